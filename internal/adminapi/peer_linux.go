package adminapi

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// ownPeer asks the kernel who connected (unix(7), SO_PEERCRED); it refuses when
// the kernel does not say.
func ownPeer(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	own := false
	err = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		own = err == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
	})
	return err == nil && own
}
