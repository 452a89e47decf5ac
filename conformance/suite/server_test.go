package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what takes seconds: no verdict hangs on
// how busy the machine is.
const patience = 3 * time.Minute

// capture is what a process printed; it may be read while the process writes.
type capture struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// credentials is DATA/demo-credentials.json.
type credentials struct {
	Base    string            `json:"base"`
	Patient string            `json:"patient"`
	Tokens  map[string]string `json:"tokens"`
}

// server is one running `fieldseal serve --demo`.
type server struct {
	credentials
	dir            string
	cmd            *exec.Cmd
	stdout, stderr *capture
	done           chan struct{} // closed when the process ended
	client         *http.Client
}

// start runs a server on its own copy of the demo data until the test ends.
func start(t testing.TB, args ...string) *server {
	t.Helper()
	return startOn(t, demoData(t), args...)
}

// startOn runs a server on a data folder until the test ends.
func startOn(t testing.TB, dir string, args ...string) *server {
	t.Helper()
	s, err := launch(dir, httpClient(nil), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s
}

// cleanEnv keeps settings of whoever runs the tests away from the server.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FIELDSEAL_") {
			env = append(env, v)
		}
	}
	return env
}

// launch starts the binary and waits until it is ready.
func launch(dir string, client *http.Client, args ...string) (*server, error) {
	s := spawn(dir, append([]string{"--demo", "--listen", "127.0.0.1:0"}, args...)...)
	if client != nil {
		s.client = client
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	if err := s.await(); err != nil {
		s.kill()
		return nil, fmt.Errorf("%w\nstdout: %s\nstderr: %s", err, s.stdout, s.stderr)
	}
	return s, nil
}

func spawn(dir string, args ...string) *server {
	s := &server{dir: dir, stdout: &capture{}, stderr: &capture{}, done: make(chan struct{}), client: httpClient(nil)}
	// What the machine may take for a request and for the last ones; tests of
	// these limits name their own behind it.
	args = append([]string{"serve", "--data", dir, "--metrics=", "--request-timeout", patience.String(), "--drain-timeout", patience.String()}, args...)
	s.cmd = exec.Command(binary, args...)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = s.stdout, s.stderr, environment(args)
	return s
}

var printedBase = regexp.MustCompile(`https?://(127\.0\.0\.1|localhost):\d+/fhir`)

// await waits for the printed base, the credentials and readiness.
func (s *server) await() error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.done:
			return errors.New("the server ended before it was ready")
		default:
		}
		base := printedBase.FindString(s.stdout.String() + s.stderr.String())
		b, err := os.ReadFile(filepath.Join(s.dir, "demo-credentials.json"))
		if base == "" || err != nil || json.Unmarshal(b, &s.credentials) != nil || s.Base != base {
			continue
		}
		if r, err := s.client.Get(s.origin() + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return errors.New("the server was not ready in time")
}

// origin is the base without its path.
func (s *server) origin() string { return strings.TrimSuffix(s.Base, "/fhir") }

// address is host:port of the listener.
func (s *server) address() string {
	_, after, _ := strings.Cut(s.origin(), "://")
	return after
}

// terminate sends SIGTERM and reports an exit code other than 0.
func (s *server) terminate() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(patience):
		s.kill()
		return fmt.Errorf("SIGTERM did not end the server in %s", patience)
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("SIGTERM: exit code %d\n%s", code, s.stderr)
	}
	return nil
}

func (s *server) stop(t testing.TB) {
	t.Helper()
	if err := s.terminate(); err != nil {
		t.Fatal(err)
	}
}

// kill is kill -9, and waits until the process is gone.
func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.done
	s.client.CloseIdleConnections()
}

// peakMemory is the server's largest resident size so far, in bytes.
func (s *server) peakMemory(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	_, after, _ := strings.Cut(string(b), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
