package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// answers is a backend that says what it was asked.
type answers struct {
	asked []any
	err   error
}

func (a *answers) note(x any) error { a.asked = append(a.asked, x); return a.err }

func (a *answers) Token(_ context.Context, r TokenRequest) (TokenReply, error) {
	return TokenReply{Token: "fst_x", Base: "http://b"}, a.note(r)
}
func (a *answers) RevokeToken(_ context.Context, token string) error { return a.note(token) }
func (a *answers) KeysStatus(context.Context) (keyring.Status, error) {
	return keyring.Status{}, a.note("status")
}
func (a *answers) RotateKEK(_ context.Context, p func(Progress)) error {
	p(Progress{Step: "one", Done: 1, Total: 2})
	p(Progress{Step: "two", Done: 2, Total: 2})
	return a.note("rotate")
}
func (a *answers) RotateIndex(context.Context, func(Progress)) error { return a.note("rotate index") }
func (a *answers) Reindex(context.Context, func(Progress)) error     { return a.note("reindex") }
func (a *answers) Erase(_ context.Context, r EraseRequest, _ func(Progress)) (interaction.EraseReport, error) {
	return interaction.EraseReport{Versions: 7}, a.note(r)
}
func (a *answers) Hold(_ context.Context, r HoldRequest) error     { return a.note(r) }
func (a *answers) Readmit(_ context.Context, r EraseRequest) error { return a.note(r) }
func (a *answers) Backup(_ context.Context, r BackupRequest) error { return a.note(r) }
func (a *answers) Stats(context.Context) (Stats, error)            { return Stats{Store: "s"}, a.note("stats") }
func (a *answers) Explain(_ context.Context, r ExplainRequest) (interaction.Explanation, error) {
	return interaction.Explanation{}, a.note(r)
}

func (a *answers) BreakGlassList(context.Context) ([]Emergency, error) {
	return []Emergency{{Overdue: true}}, a.note("emergencies")
}
func (a *answers) BreakGlassReview(_ context.Context, r ReviewRequest) (glass.Record, error) {
	return glass.Record{ID: r.ID}, a.note(r)
}
func (a *answers) Office(_ context.Context, c OfficeCall) (json.RawMessage, error) {
	return c.Body, a.note(c)
}

// serve serves a backend on the socket of a new data folder.
func serve(t *testing.T, b Backend) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "fs") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: NewHandler(b), ReadHeaderTimeout: time.Minute, ConnContext: ConnContext}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return dir
}

// TestEveryCallReachesTheBackend: what the client sends arrives, and a refusal
// comes back as it was said.
func TestEveryCallReachesTheBackend(t *testing.T) {
	t.Parallel()
	b := &answers{}
	c, err := Dial(t.Context(), serve(t, b))
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	var steps []Progress
	calls := []struct {
		name string
		run  func() error
		want any
	}{
		{"token", func() error {
			r, err := c.Token(ctx, TokenRequest{Role: "nurse", Lifetime: time.Hour})
			if err == nil && (r.Token != "fst_x" || r.Base != "http://b") {
				t.Errorf("reply %+v", r)
			}
			return err
		}, TokenRequest{Role: "nurse", Lifetime: time.Hour}},
		{"revoke", func() error { return c.RevokeToken(ctx, "fst_y") }, "fst_y"},
		{"status", func() error { _, err := c.KeysStatus(ctx); return err }, "status"},
		{"rotate", func() error { return c.RotateKEK(ctx, func(p Progress) { steps = append(steps, p) }) }, "rotate"},
		{"rotate index", func() error { return c.RotateIndex(ctx, nil) }, "rotate index"},
		{"reindex", func() error { return c.Reindex(ctx, nil) }, "reindex"},
		{"erase", func() error {
			r, err := c.Erase(ctx, EraseRequest{Patient: "p", Reason: "r"}, nil)
			if err == nil && r.Versions != 7 {
				t.Errorf("report %+v", r)
			}
			return err
		}, EraseRequest{Patient: "p", Reason: "r"}},
		{"hold", func() error { return c.Hold(ctx, HoldRequest{Patient: "p", Release: true}) }, HoldRequest{Patient: "p", Release: true}},
		{"readmit", func() error { return c.Readmit(ctx, EraseRequest{Patient: "p"}) }, EraseRequest{Patient: "p"}},
		{"backup", func() error { return c.Backup(ctx, BackupRequest{Data: "/d", Keystore: "/k"}) }, BackupRequest{Data: "/d", Keystore: "/k"}},
		{"emergencies", func() error {
			all, err := c.BreakGlassList(ctx)
			if err == nil && (len(all) != 1 || !all[0].Overdue) {
				t.Errorf("emergencies %+v", all)
			}
			return err
		}, "emergencies"},
		{"review", func() error {
			_, err := c.BreakGlassReview(ctx, ReviewRequest{ID: "g", By: "user:o", Decision: glass.Justified})
			return err
		}, ReviewRequest{ID: "g", By: "user:o", Decision: glass.Justified}},
		{"stats", func() error { _, err := c.Stats(ctx); return err }, "stats"},
		{"office", func() error {
			out, err := c.Office(ctx, OfficeCall{System: "root", Account: "user:ann", Operation: "policy/show", Body: json.RawMessage(`{"version":1}`)})
			if err == nil && string(out) != `{"version":1}` {
				t.Errorf("reply %s", out)
			}
			return err
		}, OfficeCall{System: ProcessUser(), Account: "user:ann", Operation: "policy/show", Body: json.RawMessage(`{"version":1}`)}},
		{"explain", func() error { _, err := c.Explain(ctx, ExplainRequest{Query: "q"}); return err }, ExplainRequest{Query: "q"}},
	}
	if n := reflect.TypeFor[Backend]().NumMethod(); n != len(calls) {
		t.Fatalf("%d calls for %d methods", len(calls), n)
	}
	for _, fail := range []error{nil, errors.New("not today")} {
		b.err = fail
		for _, call := range calls {
			b.asked = nil
			err := call.run()
			if len(b.asked) != 1 || !reflect.DeepEqual(b.asked[0], call.want) {
				t.Errorf("%s arrived as %+v", call.name, b.asked)
			}
			if (err != nil) != (fail != nil) || err != nil && err.Error() != fail.Error() {
				t.Errorf("%s: %v, want %v", call.name, err, fail)
			}
		}
	}
	if len(steps) != 4 || steps[1] != (Progress{"two", 2, 2}) {
		t.Errorf("progress %v", steps)
	}
}

func TestSocketIsForItsUserOnly(t *testing.T) {
	t.Parallel()
	dir := serve(t, &answers{})
	info, err := os.Lstat(filepath.Join(dir, SocketName))
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Fatal(info.Mode(), err)
	}
}

// TestGarbageIsRefused: only the calls there are, with the JSON that they take.
func TestGarbageIsRefused(t *testing.T) {
	t.Parallel()
	b := &answers{}
	c, err := Dial(t.Context(), serve(t, b))
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no JSON":         {"POST", "/erase", "garbage", 400},
		"empty":           {"POST", "/erase", "", 400},
		"unknown member":  {"POST", "/erase", `{"patient":"p","force":true}`, 400},
		"wrong type":      {"POST", "/erase", `{"patient":7}`, 400},
		"an array":        {"POST", "/token", `[]`, 400},
		"too long":        {"POST", "/token", `{"role":"` + strings.Repeat("x", maxRequestBytes) + `"}`, 400},
		"another method":  {"GET", "/keys/status", "", 405},
		"an unknown call": {"POST", "/keys/export", "{}", 404},
		"a path":          {"POST", "/erase/../keys/export", "{}", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), row.method, "http://admin"+row.path, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		client := c.http
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != row.want && (name != "a path" || resp.StatusCode < 300) {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if len(b.asked) != 0 {
		t.Errorf("garbage reached the backend: %v", b.asked)
	}
}

func TestDialTellsWhenNoServerRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Dial(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	short, err := os.MkdirTemp("", "fs")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(short)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(short, SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if _, err := Dial(t.Context(), short); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a socket that a crash left: %v", err)
	}
	again, err := Listen(short)
	if err != nil {
		t.Fatalf("over a socket that a crash left: %v", err)
	}
	_ = again.Close()
}
