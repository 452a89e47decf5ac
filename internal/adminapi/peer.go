package adminapi

import (
	"context"
	"net"
	"os/user"
	"strconv"
)

type peerKey struct{}

// ConnContext is for the http.Server of the socket: it remembers who connected.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if u, ok := c.(*net.UnixConn); ok {
		if uid, known := peerUID(u); known {
			return context.WithValue(ctx, peerKey{}, uid)
		}
	}
	return ctx
}

// peerUser is the operating-system user who connected. Where the system does
// not tell, it is that of this process: the socket is for nobody else.
func peerUser(ctx context.Context) string {
	if uid, ok := ctx.Value(peerKey{}).(int); ok {
		return userName(strconv.Itoa(uid))
	}
	return ProcessUser()
}

// ProcessUser is the operating-system user of this process.
func ProcessUser() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// userName is the name of a user id, or the id where there is no list of
// users.
func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "uid-" + uid
}
