package federation

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/issuer"
	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

const (
	origin = "https://fhir.example"
	peer   = "192.0.2.7"
	next   = "/oauth/authorize?client_id=app&state=x"
)

// world is a desk with one provider, and what it did.
type world struct {
	*Desk
	t        *testing.T
	provider *issuertest.Provider
	table    *keyringtest.Table
	ahead    atomic.Int64
	mu       sync.Mutex
	counted  []string
	events   []audit.Event
	down     error // of the trail
	sessions []session
}

// session is one that was made.
type session struct {
	old, account string
	amr          []string
	at           time.Time
}

func (w *world) Federated(_ context.Context, secret, _, subject string, amr []string, at time.Time) (string, login.Session, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions = append(w.sessions, session{secret, subject, amr, at})
	return "fss_new", login.Session{Account: subject}, nil
}

func (w *world) RecordPreAuth(from, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if from != peer && from != "198.51.100.9" {
		w.t.Errorf("the peer is %q", from)
	}
	w.counted = append(w.counted, reason)
}

func (w *world) Record(_ context.Context, e audit.Event) (audit.Receipt, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down == nil {
		w.events = append(w.events, e)
	}
	return audit.Receipt{}, w.down
}

func (w *world) Queue(e audit.Event) { w.events = append(w.events, e) }

func newWorld(t *testing.T) *world { return newWorldWith(t, "") }

// newWorldWith adds lines to the entry of the provider.
func newWorldWith(t *testing.T, more string) *world {
	t.Helper()
	p, err := issuertest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	path, err := p.List(t.TempDir(), "  amr: {pwd: [pwd], otp: [otp, mfa]}\n  login: {client_id: "+issuertest.ClientID+", client_secret_file: secret}\n"+more)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := issuer.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, provider: p, table: keyringtest.NewTable()}
	opened := time.Now()
	now := func() time.Time { return opened.Add(time.Duration(w.ahead.Load())) }
	accounts := account.NewDirectory(keyringtest.NewTable(), keyringtest.NewRing(t))
	for sub, a := range map[string]account.Account{"s-ann": {Subject: "user:ann"}, "s-bob": {Subject: "user:bob"},
		"s-left": {Subject: "user:left", Disabled: true}, "s-engine": {Subject: "client:engine"}} {
		if err := accounts.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if _, err := accounts.Link(t.Context(), a.Subject, account.Identity{Issuer: p.URL, Subject: sub}); err != nil {
			t.Fatal(err)
		}
	}
	set, err := issuer.New(issuer.Options{Issuers: settings, Accounts: accounts, Base: origin + "/fhir", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	w.Desk = New(Options{Issuers: set, Accounts: accounts, Login: w, Table: w.table, Origin: origin, Recorder: w, Gatekeeper: w, Now: now})
	w.person("s-ann")
	return w
}

// person logs somebody in at the provider.
func (w *world) person(sub string) {
	w.provider.Login(origin+CallbackPath+"hospital", issuertest.Object{"sub": sub, "amr": []string{"pwd", "otp", "magic"}})
}

func (w *world) flow() Flow {
	return Flow{Provider: "hospital", Session: "fsa_browser", Next: next}
}

func (w *world) start(f Flow) string {
	w.t.Helper()
	at, err := w.Start(w.t.Context(), peer, f)
	if err != nil {
		w.t.Fatal(err)
	}
	return at
}

// browse follows the address to the provider and returns what it sends back.
func (w *world) browse(at string) url.Values {
	w.t.Helper()
	c := *w.provider.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Get(at)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = resp.Body.Close()
	back, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusSeeOther || back.Scheme+"://"+back.Host+back.Path != origin+CallbackPath+"hospital" {
		w.t.Fatalf("%d %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	return back.Query()
}

func (w *world) finish(secret string, q url.Values) (Done, error) {
	return w.Finish(w.t.Context(), peer, "hospital", secret, q)
}

// lastCounted is what was counted last.
func (w *world) lastCounted() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.counted) == 0 {
		return ""
	}
	return w.counted[len(w.counted)-1]
}

func (w *world) hasEvent(subtype, subject, reason string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.events, func(e audit.Event) bool {
		return e.Subtype == subtype && e.Agent.Subject == subject && e.Reason == reason && e.Agent.Address == peer
	})
}

// nobody wants that no session was made.
func (w *world) nobody(name string) {
	w.t.Helper()
	if len(w.sessions) > 0 {
		w.t.Errorf("%s: somebody is logged in: %+v", name, w.sessions)
	}
}

var frozenState = statePrefix + strings.Repeat("A", 43)
