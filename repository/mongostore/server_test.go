package mongostore_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// serverVariable names a program that serves MongoDB's protocol and takes the
// arguments --host, --port and --storage-path. Tests start and kill servers of
// their own with it.
const serverVariable = "FIELDSEAL_TEST_MONGODB_SERVER"

var shared string // URI of the server that tests share

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	shared = os.Getenv(uriVariable)
	program := os.Getenv(serverVariable)
	if shared == "" && program != "" {
		dir, err := os.MkdirTemp("", "mongostore")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		s := &server{program: program, dir: dir}
		if err := s.start(); err != nil {
			fmt.Fprintln(os.Stderr, "starting the shared server:", err)
			return 1
		}
		defer s.kill()
		shared = s.uri()
	}
	return m.Run()
}

// server is a database process of a test.
type server struct {
	program string
	dir     string
	args    []string
	address string // kept over restarts
	cmd     *exec.Cmd
	exited  chan struct{}
}

// newServer starts a server whose files and process belong to the test.
func newServer(t *testing.T, args ...string) *server {
	t.Helper()
	program := os.Getenv(serverVariable)
	if program == "" {
		t.Skip(serverVariable + " names no program; .ci/run mongodb installs one")
	}
	s := &server{program: program, dir: t.TempDir(), args: args}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

func (s *server) uri() string { return "mongodb://" + s.address + "/?directConnection=true" }

func (s *server) start() error {
	if s.address == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		s.address = l.Addr().String()
		l.Close()
	}
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return err
	}
	args := append([]string{"--host", host, "--port", port, "--storage-path", filepath.Join(s.dir, "db")}, s.args...)
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Dir = s.dir // it looks for a configuration file in its folder
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() { s.cmd.Wait(); close(s.exited) }()
	return s.wait()
}

func (s *server) wait() error {
	for range 300 {
		if c, err := net.DialTimeout("tcp", s.address, time.Second); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-s.exited:
			return fmt.Errorf("%s ended at once: %v", s.program, s.cmd.ProcessState)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen", s.program)
}

// kill is SIGKILL; nothing is closed in good order.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// connect opens a database of the server.
func (s *server) connect(t testing.TB, timeout time.Duration) *mongostore.Store {
	t.Helper()
	return open(t, mongostore.Options{URI: s.uri(), Database: "fault", Timeout: timeout})
}

// eventually calls until there is no error or the time is over.
func eventually(t *testing.T, limit time.Duration, call func(ctx context.Context) error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := call(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
