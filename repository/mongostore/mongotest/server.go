// Package mongotest starts MongoDB servers for tests, kills them, and breaks the
// connections to them. Start with Run (one server for a package's tests) or URI
// and New (one for a test). It knows a server only as a program: see ServerVariable.
package mongotest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// URIVariable names the server that tests share; each test has a database of its
// own there.
const URIVariable = "FIELDSEAL_TEST_MONGODB_URI"

// ServerVariable names a program that serves MongoDB's protocol and takes the
// arguments --host, --port and --storage-path. Tests start and kill servers of
// their own with it.
const ServerVariable = "FIELDSEAL_TEST_MONGODB_SERVER"

// Run runs a package's tests with the URI of a server that they share, which is
// empty when neither variable is set.
func Run(run func() int, uri *string) int {
	*uri = os.Getenv(URIVariable)
	program := os.Getenv(ServerVariable)
	if *uri == "" && program != "" {
		dir, err := os.MkdirTemp("", "mongotest")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		s := &Server{program: program, Dir: dir}
		if err := s.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "starting the shared server:", err)
			return 1
		}
		defer s.end()
		*uri = s.URI()
	}
	return run()
}

// Server is a database process of a test.
type Server struct {
	Dir     string // its files lie below
	Address string // kept over restarts
	program string
	args    []string
	cmd     *exec.Cmd
	exited  chan struct{}
	guard   net.Listener // holds the port; see reserve
}

// New starts a server whose files and process belong to the test. Without a
// program the test is skipped.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	program := os.Getenv(ServerVariable)
	if program == "" {
		t.Skip(ServerVariable + " names no program; .ci/run mongodb installs one")
	}
	s := &Server{program: program, Dir: t.TempDir(), args: args}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	return s
}

// patience belongs to every URI: a server that is slow because the machine is
// busy does not look as if it were gone.
const patience = "&connectTimeoutMS=60000"

// URI leads to the server.
func (s *Server) URI() string { return "mongodb://" + s.Address + "/?directConnection=true" + patience }

// Start starts the process, anew after Kill, and waits until it listens.
func (s *Server) Start() error {
	if s.Address == "" {
		if err := s.reserve(); err != nil {
			return err
		}
	}
	host, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return err
	}
	args := append([]string{"--host", host, "--port", port, "--storage-path", filepath.Join(s.Dir, "db")}, s.args...)
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Dir = s.Dir // it looks for a configuration file in its folder
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func() { s.cmd.Wait(); close(s.exited) }()
	return s.wait()
}

// reserve chooses a port for the process, which binds it later and anew after
// Kill. It lies below those that systems give to connections and to listeners
// without a port of their own, and the one above it is held as long as this
// server lives, so that no other test chooses it.
func (s *Server) reserve() error {
	for range 1000 {
		port := 15_000 + 2*rand.N(8_000)
		guard, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+1))
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			guard.Close()
			continue
		}
		s.Address, s.guard = l.Addr().String(), guard
		return l.Close()
	}
	return errors.New("no port is free")
}

// end kills the process for good.
func (s *Server) end() {
	s.Kill()
	s.guard.Close()
}

func (s *Server) wait() error {
	for range 1800 { // three minutes: a busy machine starts no interpreter quickly
		if c, err := net.DialTimeout("tcp", s.Address, time.Second); err == nil {
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

// Kill is SIGKILL; nothing is closed in good order.
func (s *Server) Kill() {
	s.cmd.Process.Kill()
	<-s.exited
}

// Eventually calls until there is no error or the time is over.
func Eventually(t testing.TB, limit time.Duration, call func(ctx context.Context) error) {
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
