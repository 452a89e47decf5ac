package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout bounds the time from start to ready; loading the demo patients
// takes seconds, and minutes on the stand-in for MongoDB.
const startTimeout = 5 * time.Minute

// server is the running binary.
type server struct {
	cmd     *exec.Cmd
	data    string
	base    string // FHIR base
	addr    string // host:port
	debug   string // host:port of the profiling endpoint
	metrics string // host:port of the metrics, of a server on MongoDB
	tokens  map[string]string
	ready   time.Duration // from start to the first ready answer on the filled folder
	stderr  *boundedBuffer
	stopped sync.Once
	exited  chan struct{}
}

// boundedBuffer keeps the end of what the server says.
type boundedBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (w *boundedBuffer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b = append(w.b, p...)
	if over := len(w.b) - 4<<10; over > 0 {
		w.b = w.b[over:]
	}
	return len(p), nil
}

func (s *server) errors() string {
	s.stderr.mu.Lock()
	defer s.stderr.mu.Unlock()
	return string(s.stderr.b)
}

func build(ctx context.Context, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, "./cmd/fieldseal")
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	return cmd.Run()
}

// start runs the server twice: once to load the demo patients, then again on
// the filled folder, whose time from start to ready is measured.
func start(ctx context.Context, binary, data string, profiled bool) (*server, error) {
	first, err := launch(ctx, binary, data, false)
	if err != nil {
		return nil, err
	}
	first.stop()
	return launch(ctx, binary, data, profiled)
}

func launch(ctx context.Context, binary, data string, profiled bool, more ...string) (*server, error) {
	s := &server{data: data, stderr: &boundedBuffer{}, exited: make(chan struct{})}
	args := []string{"serve", "--data", data, "--metrics", "", "--demo", "--log-level", "warn"}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	args = append(append(args, "--listen", listen), more...)
	if profiled {
		if s.debug, err = freeAddress(); err != nil {
			return nil, err
		}
		args = append(args, "--debug", s.debug)
	}
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stderr = s.stderr
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = s.cmd.Wait(); close(s.exited) }()
	if err := s.await(ctx, listen); err != nil {
		s.stop()
		return nil, fmt.Errorf("starting the server: %w\n%s", err, s.errors())
	}
	s.ready = time.Since(began)
	return s, s.credentials()
}

// freeAddress finds a loopback port that is free now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) await(ctx context.Context, addr string) error {
	s.addr = addr
	for end := time.Now().Add(startTimeout); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.exited:
			return errors.New("the server ended")
		case <-time.After(2 * time.Millisecond):
		}
		resp, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if _, err := os.Stat(s.credentialsPath()); err == nil && resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.New("not ready in time")
}

func (s *server) credentialsPath() string { return filepath.Join(s.data, "demo-credentials.json") }

func (s *server) credentials() error {
	b, err := os.ReadFile(s.credentialsPath())
	if err != nil {
		return err
	}
	var c struct {
		Tokens map[string]string `json:"tokens"`
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	s.tokens, s.base = c.Tokens, "http://"+s.addr+"/fhir"
	return nil
}

// stop ends the server by its own process id: first politely.
func (s *server) stop() {
	s.stopped.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.exited:
		case <-time.After(30 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.exited
		}
	})
}

// rss is the resident memory in bytes, 0 when the system does not tell.
func (s *server) rss() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// ticksPerSecond is USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// cpu is the processor time that the server has used.
func (s *server) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // proc_pid_stat(5): field 3 on
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}
