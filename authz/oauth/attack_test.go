package oauth_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// TestCodeOfADisabledAccountIsRefused: a code that was made before the account
// was disabled opens nothing, and nothing afterwards either.
func TestCodeOfADisabledAccountIsRefused(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	code := n.code("app", appScopes)
	n.person.Login(token.Claims{Account: "user:another"}) // Renew declines user:dr
	n.refused("disabled", n.post("/token", redemption("app", code)), http.StatusBadRequest, "invalid_grant")
	n.person.Login(clinician())
	n.refused("enabled again", n.post("/token", redemption("app", code)), http.StatusBadRequest, "invalid_grant")

	code = n.code("app", appScopes)
	less := clinician()
	less.Roles = []string{"role:nurse"}
	n.person.Login(less)
	a := n.post("/token", redemption("app", code))
	if c, _, _, err := n.tokens.Inspect(t.Context(), a.text("access_token")); err != nil || c.Roles[0] != "role:nurse" || c.Patient != "p1" || strings.Join(c.Scopes, " ") != appScopes {
		t.Errorf("a role that was taken between code and token: %+v %v", c, err)
	}
}

// TestNothingOutlivesTheEndOfAnAccountsGrants: whoever stole a refresh token, a
// code or an access token before a reset has nothing after it, on any node.
func TestNothingOutlivesTheEndOfAnAccountsGrants(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	n.app("app", client.Public)
	mine := n.granted("app", appScopes)
	code := n.code("app", appScopes)
	n.person.Login(token.Claims{Account: "user:another", Roles: []string{"role:nurse"}, Who: "Practitioner/a", Patient: "p1"})
	theirs := n.granted("app", appScopes)
	n.person.Login(clinician())

	s.rec.down = true
	if ended, err := other.EndGrants(t.Context(), "user:dr"); err == nil || ended != 0 || !other.valid(mine.text("access_token")) {
		t.Errorf("without a trail: %d %v", ended, err)
	}
	s.rec.down = false
	if ended, err := other.EndGrants(t.Context(), "user:dr"); err != nil || ended != 2 {
		t.Fatalf("%d %v", ended, err)
	}
	if !s.rec.has("token-revoke", "", "user:dr") {
		t.Error("it left no event")
	}
	n.clock.Advance(5 * time.Second)
	for _, at := range []*node{n, other} {
		if at.valid(mine.text("access_token")) {
			t.Error("the access token is in force")
		}
		at.refused("refresh", at.post("/token", refresh("app", mine.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
		at.refused("code", at.post("/token", redemption("app", code)), http.StatusBadRequest, "invalid_grant")
	}
	if ended, err := n.EndGrants(t.Context(), "user:dr"); err != nil || ended != 0 {
		t.Errorf("a second time: %d %v", ended, err)
	}
	n.person.Login(token.Claims{Account: "user:another", Roles: []string{"role:nurse"}})
	if a := n.post("/token", refresh("app", theirs.text("refresh_token"))); a.status != http.StatusOK {
		t.Errorf("another account's: %d %v", a.status, a.body)
	}
}

// TestNodeThatHasNotHeardOfADisabledClientGivesNoToken: one within the cache's
// life would be in force long after.
func TestNodeThatHasNotHeardOfADisabledClientGivesNoToken(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	n.service("lab", bothKeys()...)
	n.app("app", client.Public)
	got := other.granted("app", appScopes)
	if a := other.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")); a.status != http.StatusOK {
		t.Fatalf("%d %v", a.status, a.body)
	}
	n.must(n.clients.Disable(t.Context(), "lab"))
	n.must(n.clients.Disable(t.Context(), "app"))
	before := rows(t, s)
	other.refused("service", other.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	other.refused("app", other.post("/token", refresh("app", got.text("refresh_token"))), http.StatusUnauthorized, "invalid_client")
	for key, value := range rows(t, s) {
		if before[key] == "" && strings.Contains(value, `"revoked":0`) {
			t.Error("a token that was made is in force")
		}
	}
}

// rows are those of the tokens.
func rows(t *testing.T, s tables) map[string]string {
	t.Helper()
	out := map[string]string{}
	for r, err := range s.tokens.Scan(t.Context(), []byte("token/")) {
		if err != nil {
			t.Fatal(err)
		}
		out[string(r.Key)] = string(r.Value)
	}
	return out
}

// TestDemandedLoginAmongOtherPromptsCounts: prompt is a list (OpenID Connect Core
// §3.1.2.1), and a login that an app demands is not lost in it.
func TestDemandedLoginAmongOtherPromptsCounts(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	for prompt, want := range map[string]string{"login consent": "login", "consent login": "login", "select_account": "login", "login": "login",
		"none": "none", " none ": "none", "consent": "", "": "", "something": ""} {
		q := authorizeQuery("app", appScopes)
		q.Set("prompt", prompt)
		if _, to, _ := n.authorize(q); to.Get("code") == "" {
			t.Errorf("%q: %v", prompt, to)
			continue
		}
		asked := n.person.Asked()
		if got := asked[len(asked)-1].Prompt; got != want {
			t.Errorf("%q is read as %q", prompt, got)
		}
	}
	q := authorizeQuery("app", appScopes)
	q.Set("prompt", "none login")
	if _, to, _ := n.authorize(q); to.Get("error") != "invalid_request" {
		t.Errorf("none beside another: %v", to)
	}
}

// TestAuthorizationFormOfAnotherTypeIsRefused: multipart would be read behind the
// check that no parameter comes twice.
func TestAuthorizationFormOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	n.must(form.WriteField("scope", "user/*.rs"))
	n.must(form.Close())
	q := authorizeQuery("app", appScopes)
	for name, media := range map[string]string{"multipart": form.FormDataContentType(), "JSON": "application/json", "none": ""} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, oauth.Path+"/authorize?"+q.Encode(), bytes.NewReader(body.Bytes()))
		r.Header.Set("Content-Type", media)
		if w := n.do(r); w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if len(n.person.Asked()) > 0 {
		t.Error("the person was asked")
	}
}

// TestGuessedKeyTakesNobodysKeys: a guess has the set fetched; when that fails,
// the set in hand serves as long as it may be kept.
func TestGuessedKeyTakesNobodysKeys(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t, serving(keySet(t, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"}), ""))
	n := remote(t, k, k.URL, anywhere)
	if a := n.serviceToken(nil); a.status != http.StatusOK {
		t.Fatalf("%d %v", a.status, a.body)
	}
	n.clock.Advance(time.Minute)
	k.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	n.refused("a guess", n.serviceToken(func(a *assertion) { a.kid = "guess" }), http.StatusUnauthorized, "invalid_client")
	if a := n.serviceToken(nil); a.status != http.StatusOK {
		t.Errorf("after the guess: %d %v", a.status, a.body)
	}
	n.clock.Advance(5 * time.Minute)
	n.refused("beyond its life", n.serviceToken(nil), http.StatusUnauthorized, "invalid_client")
}

// TestCallerWhoLeavesShutsNoClientOut: a caller who goes away while keys are
// fetched must not make it look as though their server had.
func TestCallerWhoLeavesShutsNoClientOut(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	set := keySet(t, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"})
	k := newKeyServer(t, func(w http.ResponseWriter, _ *http.Request) {
		leave()
		_, _ = w.Write(set)
	})
	n := remote(t, k, k.URL, anywhere)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"system/*.r"}, "client_assertion_type": {jwtBearer}, "client_assertion": {n.goodAssertion("lab").sign(t)}}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, oauth.Path+"/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	n.do(r)
	if a := n.serviceToken(nil); a.status != http.StatusOK {
		t.Errorf("the client itself: %d %v", a.status, a.body)
	}
}

// TestOutageOfTheTrailCostsNoAuthorisation: a refusal for want of an event must
// not use up a code or refresh token, whose next use would end the family.
func TestOutageOfTheTrailCostsNoAuthorisation(t *testing.T) {
	t.Parallel()
	s := newTables()
	n := open(t, s, nil)
	n.app("app", client.Public)
	code := n.code("app", appScopes)
	during := func(form url.Values) {
		t.Helper()
		before := rows(t, s)
		n.rec.down = true
		n.refused("without a trail", n.post("/token", form), http.StatusServiceUnavailable, "temporarily_unavailable")
		n.rec.down = false
		if after := rows(t, s); len(after) != len(before) {
			t.Error("a token was made")
		}
	}
	during(redemption("app", code))
	first := n.post("/token", redemption("app", code))
	if first.status != http.StatusOK {
		t.Fatalf("the code afterwards: %d %v", first.status, first.body)
	}
	during(refresh("app", first.text("refresh_token")))
	if second := n.post("/token", refresh("app", first.text("refresh_token"))); second.status != http.StatusOK || !n.rec.has("token-refresh", "", "user:dr") {
		t.Errorf("the refresh token afterwards: %d %v", second.status, second.body)
	}
}

// TestFailingStoreGivesNoToken: whichever operation fails, on either table, no
// token leaves and the client is told to come again.
func TestFailingStoreGivesNoToken(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(n *node) url.Values{
		"code": func(n *node) url.Values { return redemption("app", n.code("app", appScopes)) },
		"refresh": func(n *node) url.Values {
			return refresh("app", n.granted("app", appScopes).text("refresh_token"))
		},
		"service": func(n *node) url.Values { return serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r") },
	} {
		s := newTables()
		n := open(t, s, nil)
		n.app("app", client.Public)
		n.service("lab", bothKeys()...)
		for at, fired := 1, true; fired; at++ {
			form, count := prepare(n), 0
			n.clock.Advance(client.CacheTTL) // nothing is cached
			fault := func(keyringtest.Op, []byte) error {
				if count++; count != at {
					return nil
				}
				return repository.ErrUnavailable
			}
			for _, table := range []repository.Table{s.oauth, s.tokens} {
				table.(*keyringtest.Table).SetFault(fault)
			}
			a := n.post("/token", form)
			for _, table := range []repository.Table{s.oauth, s.tokens} {
				table.(*keyringtest.Table).SetFault(nil)
			}
			if fired = count >= at; fired {
				n.refused(fmt.Sprintf("%s, operation %d", name, at), a, http.StatusServiceUnavailable, "temporarily_unavailable")
			} else if a.status != http.StatusOK {
				t.Errorf("%s without a fault: %d %v", name, a.status, a.body)
			}
		}
	}
}
