package adminapi

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerUID asks the kernel who connected (unix(7), SO_PEERCRED).
func peerUID(c *net.UnixConn) (uid int, known bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if known = err == nil; known {
			uid = int(peer.Uid)
		}
	})
	return uid, known && err == nil
}

// ownPeer refuses when the kernel does not say who connected.
func ownPeer(c *net.UnixConn) bool {
	uid, known := peerUID(c)
	return known && (uid == 0 || uid == os.Geteuid())
}
