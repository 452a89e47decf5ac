package federation

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/authz/login"
)

// TestReplayedStateIsRefused: of many who bring one answer, one is logged in.
func TestReplayedStateIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.browse(w.start(w.flow()))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := w.finish("fsa_browser", q); err != nil && !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(w.sessions) != 1 {
		t.Errorf("%d sessions", len(w.sessions))
	}
	if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-state" {
		t.Errorf("%v %s", err, w.lastCounted())
	}
}

// TestLoginCSRFIsRefused: the attacker's own answer in the victim's browser.
func TestLoginCSRFIsRefused(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{"the victim's session": "fsa_victim", "no session": ""} {
		w := newWorld(t)
		q := w.browse(w.start(w.flow()))
		if _, err := w.finish(secret, q); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-browser" {
			t.Errorf("%s: %v %s", name, err, w.lastCounted())
		}
		w.nobody(name)
		if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: the state works afterwards: %v", name, err)
		}
	}
}

// TestInjectedCodeIsRefused: a code that was stolen from another login is put
// into one's own answer (RFC 9700 §2.1.1).
func TestInjectedCodeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stolen := w.browse(w.start(Flow{Provider: "hospital", Session: "fsa_victim", Next: next})).Get("code")
	q := w.browse(w.start(w.flow()))
	q.Set("code", stolen)
	if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-code" {
		t.Errorf("PKCE: %v %s", err, w.lastCounted())
	}
	// A provider that does not check PKCE: the nonce is another's.
	w.provider.Misbehave(issuertest.Faults{SkipPKCE: true})
	stolen = w.browse(w.start(Flow{Provider: "hospital", Session: "fsa_victim", Next: next})).Get("code")
	q = w.browse(w.start(w.flow()))
	q.Set("code", stolen)
	if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-id-token-nonce" {
		t.Errorf("nonce: %v %s", err, w.lastCounted())
	}
	w.nobody("injected")
}

// TestMixUpIsRefused: the answer of another provider, or one that does not say
// whose it is (RFC 9207).
func TestMixUpIsRefused(t *testing.T) {
	t.Parallel()
	for name, redirect := range map[string]func(object){
		"another's iss": func(o object) { o["iss"] = "https://evil.example" },
		"an empty iss":  func(o object) { o["iss"] = "" },
		"no iss":        func(o object) { delete(o, "iss") },
	} {
		w := newWorld(t)
		w.provider.Misbehave(issuertest.Faults{Redirect: redirect})
		if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-mix-up" {
			t.Errorf("%s: %v %s", name, err, w.lastCounted())
		}
		w.nobody(name)
		if n := w.provider.Asked("/token"); n != 0 {
			t.Errorf("%s: a code was sent", name)
		}
	}
	// A provider that promises no iss needs none: its redirect URI is its own.
	w := newWorld(t)
	w.provider.Misbehave(issuertest.Faults{Redirect: func(o object) { delete(o, "iss") }, Discovery: func(d object) { delete(d, "authorization_response_iss_parameter_supported") }})
	if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); err != nil {
		t.Errorf("no iss, and none promised: %v", err)
	}
	// At another provider's address the answer is refused.
	w = newWorldWith(t, "- {name: other, issuer: \"https://other.example\", login: {client_id: x}}\n")
	if _, err := w.Finish(t.Context(), peer, "other", "fsa_browser", w.browse(w.start(w.flow()))); err == nil {
		t.Error("an answer at another provider's address")
	}
	w.nobody("at another provider's address")
}

// TestWrongIDTokensAreRefused: OpenID Connect Core §3.1.3.7.
func TestWrongIDTokensAreRefused(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) func(*issuertest.Token) {
		return func(t *issuertest.Token) { t.Claims[name] = value }
	}
	for name, c := range map[string]struct {
		change func(*issuertest.Token)
		code   string
	}{
		"wrong audience":       {claim("aud", "another-client"), "audience"},
		"two audiences":        {claim("aud", []string{issuertest.ClientID, "another-client"}), "audience"},
		"another's azp":        {claim("azp", "another-client"), "audience"},
		"nonce mismatch":       {claim("nonce", "another"), "nonce"},
		"no nonce":             {func(t *issuertest.Token) { delete(t.Claims, "nonce") }, "nonce"},
		"another issuer":       {claim("iss", "https://evil.example"), "issuer"},
		"expired":              {claim("exp", time.Now().Add(-time.Minute).Unix()), "expired"},
		"alg none":             {func(t *issuertest.Token) { t.Header["alg"], t.Key = "none", nil }, "form"},
		"an access token":      {func(t *issuertest.Token) { t.Header["typ"] = "at+jwt" }, "type"},
		"a logout token":       {claim("events", object{}), "type"},
		"a refresh token":      {claim("typ", "Refresh"), "type"},
		"no sub":               {func(t *issuertest.Token) { delete(t.Claims, "sub") }, "type"},
		"authenticated later":  {claim("auth_time", time.Now().Add(time.Hour).Unix()), "auth-time"},
		"a signature of a key": {func(t *issuertest.Token) { t.Key = []byte("x") }, "signature"},
	} {
		w := newWorld(t)
		w.provider.Misbehave(issuertest.Faults{IDToken: c.change})
		if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-id-token-"+c.code {
			t.Errorf("%s: %v %s", name, err, w.lastCounted())
		}
		w.nobody(name)
	}
	w := newWorld(t)
	w.provider.Misbehave(issuertest.Faults{NoIDToken: true})
	if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); !errors.Is(err, ErrRefused) {
		t.Errorf("no id_token: %v", err)
	}
}

// TestOpenRedirectIsRefused: a login leads on to pages of this server only.
func TestOpenRedirectIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, to := range []string{"", "/", "https://evil.example/oauth/", "//evil.example/oauth/", "/\\evil.example", "/oauth/\\evil", "/oauth/\r\nSet-Cookie: x", "/oauth/ x",
		"javascript:alert(1)", "/fhir/Patient", "/oauth" + "/" + strings.Repeat("x", maxNext)} {
		f := w.flow()
		f.Next = to
		if at, err := w.Start(t.Context(), peer, f); !errors.Is(err, ErrRefused) {
			t.Errorf("%.40q: %s %v", to, at, err)
		}
	}
	for _, f := range []Flow{{Provider: "evil", Session: "s", Next: next}, {Provider: "hospital", Next: next}} {
		if _, err := w.Start(t.Context(), peer, f); !errors.Is(err, ErrRefused) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestAnswersThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.browse(w.start(w.flow()))
	for name, q := range map[string]url.Values{
		"nothing":         {},
		"no state":        {"code": good["code"]},
		"a made-up state": {"state": {statePrefix + strings.Repeat("x", 43)}, "code": good["code"]},
		"another secret":  {"state": {"fss_" + strings.Repeat("x", 43)}},
		"a long state":    {"state": {statePrefix + strings.Repeat("x", 10_000)}},
		"two states":      {"state": {good.Get("state"), good.Get("state")}, "code": good["code"]},
		"two codes":       {"state": good["state"], "code": {"a", "b"}},
	} {
		if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.Finish(t.Context(), peer, "nobody", "fsa_browser", good); !errors.Is(err, ErrRefused) {
		t.Errorf("an unknown provider: %v", err)
	}
	if _, err := w.finish("fsa_browser", good); err != nil {
		t.Errorf("the good one afterwards: %v", err)
	}
}

// TestFloodOfLoginsIsStopped: each costs a row here, or a call to the provider.
func TestFloodOfLoginsIsStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, calls := 0, often.Default.Burst*3
	for range calls {
		switch _, err := w.Start(t.Context(), "198.51.100.9", w.flow()); {
		case err == nil:
			good++
		case !errors.Is(err, login.ErrTooMany):
			t.Fatal(err)
		}
	}
	if good != often.Default.Burst {
		t.Errorf("%d began", good)
	}
	for range calls {
		_, _ = w.Finish(t.Context(), "198.51.100.9", "hospital", "s", url.Values{"state": {statePrefix}})
	}
	if _, err := w.Finish(t.Context(), "198.51.100.9", "hospital", "s", url.Values{}); !errors.Is(err, login.ErrTooMany) {
		t.Errorf("%v", err)
	}
	if _, err := w.Start(t.Context(), peer, w.flow()); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	w.ahead.Add(int64(time.Minute))
	if _, err := w.Start(t.Context(), "198.51.100.9", w.flow()); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

// TestRowsShowNothing: who copies the table can finish no login.
func TestRowsShowNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.start(w.flow())
	u, _ := url.Parse(at)
	n := 0
	for r := range w.table.Scan(t.Context(), nil) {
		n++
		text := fmt.Sprintf("%s %s", r.Key, r.Value)
		for _, secret := range []string{u.Query().Get("state"), u.Query().Get("nonce"), "hospital", "authorize"} {
			if strings.Contains(text, secret) {
				t.Errorf("the table shows %q", secret)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d rows", n)
	}
}
