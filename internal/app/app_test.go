package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/internal/config"
)

const base = "http://127.0.0.1/fhir"

var quiet = slog.New(slog.DiscardHandler)

// installation makes a data folder with one patient and closes it.
func installation(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	a, err := Open(t.Context(), settings(t, dir), base, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestDamagedInstallationsDoNotOpen (the suite has more of them): what does not belong together is refused
// with the reason; no new key is made, and after the repair everything opens.
func TestDamagedInstallationsDoNotOpen(t *testing.T) {
	t.Parallel()
	good, other := installation(t), installation(t)
	for _, row := range []struct {
		name   string
		damage func(t *testing.T, cfg *config.Options, dir string)
		says   string
	}{
		{"keystore of another installation", func(t *testing.T, _ *config.Options, dir string) {
			copyTree(t, filepath.Join(other, "keystore"), filepath.Join(dir, "keystore"))
			copyTree(t, filepath.Join(other, "kek"), filepath.Join(dir, "kek"))
		}, "belongs to other data"},
		{"older keystore", func(t *testing.T, _ *config.Options, dir string) {
			old := filepath.Join(t.TempDir(), "keystore")
			copyTree(t, filepath.Join(dir, "keystore"), old)
			a, err := Open(t.Context(), settings(t, dir), base, quiet)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			copyTree(t, old, filepath.Join(dir, "keystore"))
		}, "the keystore is older than the data"},
		{"key file readable by others", func(t *testing.T, _ *config.Options, dir string) {
			if err := os.Chmod(filepath.Join(dir, "kek"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "others may read"},
		{"unknown index profile", func(_ *testing.T, cfg *config.Options, _ string) { cfg.IndexProfile = "other" }, "opening the definitions"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			copyTree(t, good, dir)
			cfg := settings(t, dir)
			row.damage(t, &cfg, dir)
			a, err := Open(t.Context(), cfg, base, quiet)
			if err == nil {
				_ = a.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), row.says) {
				t.Errorf("it says %q, not %q", err, row.says)
			}
			// Every part that was open is released, and nothing was harmed.
			copyTree(t, good, dir)
			open(t, dir)
		})
	}
}

// TestPartsCloseInReverse: the keystore is open as long as anything that needs
// keys, the trail as long as the service.
func TestPartsCloseInReverse(t *testing.T) {
	t.Parallel()
	a := &App{}
	var order []string
	for _, part := range []string{"keystore", "store", "trail"} {
		a.onClose(func() error { order = append(order, part); return errors.New(part) })
	}
	err := a.Close()
	if fmt.Sprint(order) != "[trail store keystore]" || err == nil || !strings.Contains(err.Error(), "trail") || !strings.Contains(err.Error(), "keystore") {
		t.Errorf("%v %v", order, err)
	}
	if err := a.Close(); err != nil || len(order) != 3 {
		t.Errorf("closed twice: %v", order)
	}
}

// TestOnlyTheFirstFailuresAreKept: a part that fails again and again blocks
// nobody.
func TestOnlyTheFirstFailuresAreKept(t *testing.T) {
	t.Parallel()
	a := &App{fatal: make(chan error, 4)}
	for range 100 {
		a.fail("store")(errors.New("disk"))
	}
	if err := <-a.Fatal(); err == nil || err.Error() != "store failed: disk" {
		t.Error(err)
	}
}

// TestInterruptedWritesAreResolvedAtTheStart (decision 33): the service takes
// no request before every intent of an earlier life has its outcome.
func TestInterruptedWritesAreResolvedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := Open(t.Context(), settings(t, dir), base, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ev := a.operatorEvent(audit.REST, "update", audit.Update)
	ev.Outcome = audit.Intent
	ev.Entities = []audit.Entity{{Type: "Patient", Key: a.vault.Key("Patient", "p1").ID, Expect: 0, ContentHash: [32]byte{1}}}
	if err := a.record(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for life, want := range []string{"count=1", ""} {
		var log strings.Builder
		a, err := Open(t.Context(), settings(t, dir), base, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "resolved writes that a crash interrupted"); got != (want != "") || !strings.Contains(log.String(), want) {
			t.Errorf("life %d: %s", life, log.String())
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// serving is a server in this process.
type serving struct {
	Serving
	token string
	stop  context.CancelFunc
	done  chan error
}

func serve(t *testing.T, drain time.Duration) *serving {
	t.Helper()
	dir, err := os.MkdirTemp("", "fs") // short, for the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := settings(t, dir)
	cfg.Listen, cfg.DrainTimeout = "127.0.0.1:0", drain
	a, err := Open(t.Context(), cfg, base, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{token: a.bearer(t, "integration"), done: make(chan error, 1)}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	up := make(chan Serving, 1)
	go func() { s.done <- Serve(ctx, cfg, nil, io.Discard, quiet, func(v Serving) { up <- v }) }()
	select {
	case s.Serving = <-up:
	case err := <-s.done:
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s
}

// begin sends a request up to a part of its body, and returns the connection
// once the server reads it.
func (s *serving) begin(t *testing.T, body string, sent int) net.Conn {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(s.Base, "http://"), "/fhir")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	fmt.Fprintf(c, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/fhir+json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		s.token, len(body))
	line := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(c, line); err != nil || !strings.Contains(string(line), "100") {
		t.Fatalf("%q %v", line, err)
	}
	if _, err := io.WriteString(c, body[:sent]); err != nil {
		t.Fatal(err)
	}
	return c
}

const small = `{"resourceType":"Patient"}`

// TestDrainLetsRequestsInFlightEnd: no new connection, but the answer of what
// was under way.
func TestDrainLetsRequestsInFlightEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, 5*time.Minute)
	c := s.begin(t, small, 5)
	s.stop()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := http.Get(strings.TrimSuffix(s.Base, "/fhir") + "/healthz"); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("new connections are taken still")
		}
	}
	select {
	case err := <-s.done:
		t.Fatalf("it ended with a request in flight: %v", err)
	default:
	}
	if _, err := io.WriteString(c, small[5:]); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 201") {
		t.Errorf("%v %.100s", err, answer)
	}
	if err := <-s.done; err != nil {
		t.Errorf("a clean end: %v", err)
	}
	a := open(t, s.Folder)
	page, err := a.trail.Search(t.Context(), trail.Query{Limit: 3})
	if err != nil || len(page) == 0 || !slices.ContainsFunc(page, func(e audit.Entry) bool { return e.Event.Subtype == "stop" }) {
		t.Errorf("the stop is not among the last events: %v", err)
	}
}

// TestDrainEndsAtItsTimeout: a client that never ends its request does not keep
// the process.
func TestDrainEndsAtItsTimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, 300*time.Millisecond)
	s.begin(t, small, 5)
	began := time.Now()
	s.stop()
	if err := <-s.done; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it ended with %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("after %s", took)
	}
	open(t, s.Folder)
}
