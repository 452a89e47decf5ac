package issuer

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

func (w *world) admits(name string, want error) {
	w.t.Helper()
	w.admitsToken(name, w.ann(nil), want)
}

func (w *world) admitsToken(name, bearer string, want error) {
	w.t.Helper()
	if _, _, err := w.External(w.t.Context(), bearer); !errors.Is(err, want) || want == nil && err != nil {
		w.t.Errorf("%s: %v, want %v", name, err, want)
	}
}

func (w *world) rotate() {
	w.t.Helper()
	if err := w.provider.Rotate(); err != nil {
		w.t.Fatal(err)
	}
}

// TestRotatedKeyIsFoundAndAStormIsNot: an unknown kid has the keys fetched once,
// and not again within retry, whoever asks.
func TestRotatedKeyIsFoundAndAStormIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	w.admits("the first key", nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { // a kid that nobody has, at the same time
			for range 20 {
				w.admitsToken("a guess", w.ann(head("kid", "guess")), token.ErrInvalid)
			}
		})
	}
	wg.Wait()
	if n := w.provider.Asked("/keys"); n != 1 {
		t.Errorf("asked %d times", n)
	}
	old := w.ann(nil)
	w.rotate()
	w.later(retry)
	w.admits("the new key", nil)
	if n := w.provider.Asked("/keys"); n != 2 {
		t.Errorf("asked %d times", n)
	}
	w.admitsToken("the key that was withdrawn", old, token.ErrInvalid)
}

func TestCacheControlIsHonoured(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header string
		after  time.Duration
		asked  int
	}{{"", 4 * time.Minute, 1}, {"", 6 * time.Minute, 2}, {"max-age=60", 50 * time.Second, 1}, {"max-age=60", 70 * time.Second, 2},
		{"max-age=86400", 6 * time.Minute, 2}, {"no-store", time.Second, 1}, {"no-store", floor + time.Second, 2}} {
		w := newWorld(t, bearing)
		w.provider.Misbehave(issuertest.Faults{CacheControl: c.header})
		w.admits("first", nil)
		w.later(c.after)
		w.admits("later", nil)
		if n := w.provider.Asked("/keys"); n != c.asked {
			t.Errorf("%q, %v later: asked %d times", c.header, c.after, n)
		}
	}
}

// TestIssuerThatIsAway: keys in hand serve for KeyGrace, then nobody is admitted;
// an operator is told of both.
func TestIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	w.admits("first", nil)
	w.provider.Misbehave(issuertest.Faults{Down: true})
	w.later(10 * time.Minute)
	before := w.provider.Asked("/.well-known/openid-configuration")
	for range 5 {
		w.admits("keys in hand", nil)
	}
	if n := w.provider.Asked("/.well-known/openid-configuration") - before; n != 1 {
		t.Errorf("an issuer that is away was asked %d times", n)
	}
	if !strings.Contains(w.log.String(), "level=WARN") || strings.Contains(w.log.String(), "level=ERROR") {
		t.Errorf("nobody was told: %s", w.log)
	}
	w.rotate()
	w.admits("a key that may be new", repository.ErrUnavailable)
	w.later(45 * time.Minute)
	w.later(10 * time.Minute)
	w.admitsToken("after the grace", w.ann(func(t *issuertest.Token) {
		t.Claims["exp"], t.Claims["iat"] = time.Now().Add(100*time.Minute).Unix(), time.Now().Add(50*time.Minute).Unix()
	}), repository.ErrUnavailable)
	if !strings.Contains(w.log.String(), "level=ERROR") || strings.Contains(w.log.String(), w.provider.URL) {
		t.Errorf("nobody was told: %s", w.log)
	}
	w.provider.Misbehave(issuertest.Faults{})
	w.later(retry)
	w.admitsToken("it is back", w.ann(func(t *issuertest.Token) {
		t.Claims["exp"], t.Claims["iat"] = time.Now().Add(100*time.Minute).Unix(), time.Now().Add(50*time.Minute).Unix()
	}), nil)
}

// TestCallerWhoGoesAwayBlamesNoIssuer: a cancelled request is no failed fetch.
func TestCallerWhoGoesAwayBlamesNoIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _ = w.External(ctx, w.ann(nil))
	w.admits("the next caller", nil)
}

func TestDocumentsThatAreNotTheIssuers(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]issuertest.Faults{
		"another issuer's discovery": {Discovery: func(d object) { d["issuer"] = "https://evil.example" }},
		"keys behind http":           {Discovery: func(d object) { d["jwks_uri"] = "http://127.0.0.1:1/keys" }},
		"no keys":                    {Discovery: func(d object) { delete(d, "jwks_uri") }},
	} {
		w := newWorld(t, bearing)
		w.provider.Misbehave(f)
		w.admits(name, repository.ErrUnavailable)
	}
	w := newWorld(t, bearing)
	w.provider.Misbehave(issuertest.Faults{Keys: func(k []any) []any { return append(k, k[0]) }})
	w.admits("two keys with one kid", token.ErrInvalid)
}

// TestDiscoveryReachesNoInternalAddress: an issuer that was taken over cannot
// make the server call into its own network.
func TestDiscoveryReachesNoInternalAddress(t *testing.T) {
	t.Parallel()
	p := start(t)
	w := &world{t: t, provider: p, log: &logged{}}
	all, err := Load(file(t, p, bearing))
	if err != nil {
		t.Fatal(err)
	}
	if all[0].reachable(mustAddr("10.0.0.1")) || all[0].reachable(mustAddr("169.254.169.254")) || !all[0].reachable(mustAddr("127.0.0.1")) || !all[0].reachable(mustAddr("8.8.8.8")) {
		t.Error("what is reachable is not what is listed")
	}
	all[0].networks = nil
	w.Set, err = New(Options{Issuers: all, Accounts: newWorld(t, bearing).accounts, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	w.admits("an issuer at an internal address", repository.ErrUnavailable)
	if p.Asked("/.well-known/openid-configuration") != 0 {
		t.Error("an internal address was called")
	}
}
