package adminapi

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestOtherUsersGetNoAnswer: neither the mode of the file nor a widened one
// lets another user in.
func TestOtherUsersGetNoAnswer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can play another user")
	}
	t.Parallel()
	b := &answers{}
	dir := serve(t, b)
	path := filepath.Join(dir, SocketName)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := asNobody(path); !errors.Is(err, syscall.EACCES) {
		t.Errorf("with mode 0600: %v", err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if answer, err := asNobody(path); answer != "" {
		t.Errorf("with mode 0666: %q %v", answer, err)
	}
	if len(b.asked) != 0 {
		t.Errorf("another user asked %v", b.asked)
	}
	c, err := Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.KeysStatus(t.Context()); err != nil {
		t.Errorf("the own user is shut out: %v", err)
	}
}

// asNobody asks for the key status as user 65534.
func asNobody(path string) (answer string, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its user
		const keep, nobody = ^uintptr(0), 65534
		if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, keep, nobody, keep); e != 0 {
			err = e
			return
		}
		var c net.Conn
		if c, err = net.Dial("unix", path); err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, "POST /keys/status HTTP/1.1\r\nHost: admin\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
		var got []byte
		got, err = io.ReadAll(c)
		answer = string(got)
	}()
	<-done
	return answer, err
}
