package issuer

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

const base = "https://fhir.example/fhir"

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// world is a provider, and a set that trusts it.
type world struct {
	*Set
	t        testing.TB
	provider *issuertest.Provider
	accounts *account.Directory
	ahead    atomic.Int64 // how much later than the provider it is here
	log      *logged
}

// logged is a log that may be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t testing.TB) *issuertest.Provider {
	t.Helper()
	p, err := issuertest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// file is a list with one issuer; more are lines of its entry.
func file(t testing.TB, p *issuertest.Provider, more string) string {
	t.Helper()
	path, err := p.List(t.TempDir(), more)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// bearing is the usual entry.
const bearing = "  bearer: {}\n  amr: {pwd: [pwd], otp: [otp, mfa]}\n  acr: {gold: [hwk, user, mfa]}\n"

func newWorld(t testing.TB, more string) *world {
	t.Helper()
	w := &world{t: t, provider: start(t), log: &logged{}, accounts: account.NewDirectory(keyringtest.NewTable(), keyringtest.NewRing(t))}
	opened := time.Now() // the clock stands still but for later
	settings, err := Load(file(t, w.provider, more))
	if err != nil {
		t.Fatal(err)
	}
	w.Set, err = New(Options{Issuers: settings, Accounts: w.accounts, Base: base, Purposes: purposesOf, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Now: func() time.Time { return opened.Add(time.Duration(w.ahead.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	for sub, a := range map[string]account.Account{
		"s-ann":    {Subject: "user:ann", Roles: []string{"role:clinician"}, Links: []string{"Practitioner/ann"}},
		"s-pat":    {Subject: "user:pat", Roles: []string{"role:patient"}, Links: []string{"Patient/p1"}},
		"s-engine": {Subject: "client:engine", Roles: []string{"role:integration"}},
		"s-left":   {Subject: "user:left", Roles: []string{"role:clinician"}, Links: []string{"Practitioner/left"}, Disabled: true},
	} {
		if err := w.accounts.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if _, err := w.accounts.Link(t.Context(), a.Subject, account.Identity{Issuer: w.provider.URL, Subject: sub}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// purposesOf is what the server would say.
func purposesOf(a account.Account) (string, []string) {
	if len(a.Links) > 0 && strings.HasPrefix(a.Links[0], "Patient/") {
		return "PATRQT", nil
	}
	return "TREAT", []string{"HOPERAT"}
}

// later lets time pass here.
func (w *world) later(d time.Duration) { w.ahead.Add(int64(d)) }

// ann is a good token of a clinician, or changed.
func (w *world) ann(change func(*issuertest.Token)) string {
	return w.provider.Token(base, "s-ann", "user/*.rs", func(t *issuertest.Token) {
		t.Claims["fhirUser"] = base + "/Practitioner/ann"
		if change != nil {
			change(t)
		}
	})
}
