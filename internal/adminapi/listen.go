package adminapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// socketMode lets the server's own user connect and nobody else.
const socketMode = 0o600

// Listen opens the socket in the data folder, in place of one that an earlier
// process left. Where the system tells who connects, only the server's own
// user and root are let in; so nobody slips through before the file has its
// mode, nor when somebody widens it.
func Listen(dataDir string) (net.Listener, error) {
	path := filepath.Join(dataDir, SocketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing a stale admin socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening on the admin socket: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the admin socket: %w", err), l.Close())
	}
	return &listener{l}, nil
}

type listener struct{ *net.UnixListener }

// Accept closes connections of other users unanswered.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if ownPeer(c) {
			return c, nil
		}
		_ = c.Close() // nothing was exchanged
	}
}
