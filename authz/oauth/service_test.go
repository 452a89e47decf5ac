package oauth_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/token"
)

// SMART Backend Services: a signed assertion gives a token for the scopes that
// were asked for, short and without a refresh token.
func TestBackendServiceGetsAToken(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.service("lab", bothKeys()...)
	for _, key := range []struct {
		alg jose.SignatureAlgorithm
		kid string
	}{{jose.ES384, "ec"}, {jose.RS384, "rsa"}} {
		as := n.goodAssertion("lab")
		as.alg, as.kid = key.alg, key.kid
		if key.kid == "rsa" {
			as.key = rsaKey()
		}
		a := n.post("/token", serviceForm(as.sign(t), "system/Patient.r system/Observation.rs?category=laboratory"))
		if a.status != http.StatusOK || a.text("token_type") != "Bearer" || a.body["expires_in"] != float64(token.ServiceLifetime/time.Second) ||
			a.text("scope") != "system/Patient.r system/Observation.rs?category=laboratory" || a.body["refresh_token"] != nil {
			t.Fatalf("%s: %d %v", key.alg, a.status, a.body)
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
			t.Error("a token may be cached")
		}
		c, _, _, err := n.tokens.Inspect(t.Context(), a.text("access_token"))
		if err != nil || c.Account != "client:lab" || c.Client != "lab" || len(c.Roles) != 1 || len(c.Scopes) != 2 {
			t.Errorf("%+v %v", c, err)
		}
		n.clock.Advance(token.ServiceLifetime)
		if n.valid(a.text("access_token")) {
			t.Error("it lives longer than 300 s")
		}
	}
	if !n.rec.has("token-issue", "", "client:lab") {
		t.Error("no event")
	}
}

// TestBadAssertionsAreInvalidClient: access.md, SMART 7; abuse 25 to 32.
func TestBadAssertionsAreInvalidClient(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.service("lab", bothKeys()...)
	n.service("other", jose.JSONWebKey{Key: otherRSA().Public(), KeyID: "rsa"})
	n.service("twins", jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "a"}, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "a"}) // one kid, two types
	n.app("secret-app", client.SecretBasic)
	for _, row := range []struct {
		name   string
		change func(*assertion)
	}{
		{"exp one hour away", func(a *assertion) { a.claims["exp"] = n.clock.Now().Add(time.Hour).Unix() }},
		{"exp just over five minutes", func(a *assertion) { a.claims["exp"] = n.clock.Now().Add(5*time.Minute + time.Second).Unix() }},
		{"expired", func(a *assertion) { a.claims["exp"] = n.clock.Now().Unix() }},
		{"no exp", func(a *assertion) { delete(a.claims, "exp") }},
		{"not yet valid", func(a *assertion) { a.claims["nbf"] = n.clock.Now().Add(time.Minute).Unix() }},
		{"issued in the future", func(a *assertion) { a.claims["iat"] = n.clock.Now().Add(time.Minute).Unix() }},
		{"wrong audience", func(a *assertion) { a.claims["aud"] = base }},
		{"audience of another server", func(a *assertion) { a.claims["aud"] = "https://other.test/oauth/token" }},
		{"no audience", func(a *assertion) { delete(a.claims, "aud") }},
		{"no jti", func(a *assertion) { delete(a.claims, "jti") }},
		{"jti of 10 kB", func(a *assertion) { a.claims["jti"] = strings.Repeat("x", 10_000) }},
		{"issuer is not the subject", func(a *assertion) { a.claims["sub"] = "other" }},
		{"of an unknown client", func(a *assertion) { a.claims["iss"], a.claims["sub"] = "nobody", "nobody" }},
		{"of a client with another method", func(a *assertion) { a.claims["iss"], a.claims["sub"] = "secret-app", "secret-app" }},
		{"in the name of another service", func(a *assertion) { a.claims["iss"], a.claims["sub"] = "other", "other" }},
		{"signed by another key", func(a *assertion) { a.alg, a.kid, a.key = jose.RS384, "rsa", otherRSA() }},
		{"unknown kid", func(a *assertion) { a.kid = "../../x" }},
		{"kid of SQL", func(a *assertion) { a.kid = "' OR 1=1 --" }},
		{"no kid", func(a *assertion) { a.kid = "" }},
		{"kid of 10 kB", func(a *assertion) { a.kid = strings.Repeat("k", 10_000) }},
		{"RS256", func(a *assertion) { a.alg, a.kid, a.key = jose.RS256, "rsa", rsaKey() }},
		{"PS384", func(a *assertion) { a.alg, a.kid, a.key = jose.PS384, "rsa", rsaKey() }},
		{"ES256", func(a *assertion) { a.alg, a.key = jose.ES256, p256Key() }},
		{"kid of a key of another type", func(a *assertion) { a.kid = "rsa" }},
		{"foreign jku", func(a *assertion) { a.header = map[jose.HeaderKey]any{"jku": "https://evil.test/jwks"} }},
		{"embedded key", func(a *assertion) {
			a.header = map[jose.HeaderKey]any{"jwk": jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"}}
		}},
		{"x5u", func(a *assertion) { a.header = map[jose.HeaderKey]any{"x5u": "https://evil.test/cert"} }},
	} {
		as := n.goodAssertion("lab")
		row.change(&as)
		n.refused(row.name, n.post("/token", serviceForm(as.sign(t), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	}
	n.refused("alg none", n.post("/token", serviceForm(unsigned(n, "none", nil), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	n.refused("HS256 with the public key", n.post("/token", serviceForm(unsigned(n, "HS256", rsaPEM(t)), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	n.refused("no JWT", n.post("/token", serviceForm("abc", "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	n.refused("of 20 kB", n.post("/token", serviceForm(strings.Repeat("a", 20_000), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	wrongType := serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")
	wrongType.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
	n.refused("another assertion type", n.post("/token", wrongType), http.StatusUnauthorized, "invalid_client")
	foreign := serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")
	foreign.Set("client_id", "other")
	n.refused("client_id of another", n.post("/token", foreign), http.StatusUnauthorized, "invalid_client")
	// kid and type together select one key.
	as := n.goodAssertion("twins")
	as.kid = "a"
	if a := n.post("/token", serviceForm(as.sign(t), "system/Patient.r")); a.status != http.StatusOK {
		t.Errorf("kid and type: %d %v", a.status, a.body)
	}
}

// unsigned makes an assertion that go-jose would not.
func unsigned(n *node, alg string, secret []byte) string {
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"`+alg+`","kid":"rsa"}`)) + "." + enc([]byte(`{"iss":"lab","sub":"lab","aud":"`+issuer+`/token","jti":"1","exp":`+
		strconv.FormatInt(n.clock.Now().Add(time.Minute).Unix(), 10)+`}`))
	if secret == nil {
		return text + "."
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + enc(mac.Sum(nil))
}

func rsaPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(rsaKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// TestTwoKeysWithOneKidAreRefused: nobody could tell which of them spoke.
func TestTwoKeysWithOneKidAreRefused(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	_, err := n.clients.Add(t.Context(), client.Client{ID: "lab", Name: "lab", Auth: client.PrivateKeyJWT, Scopes: []string{"system/*.r"}, Roles: []string{"role:x"},
		Keys: keySet(t, jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "a"}, jose.JSONWebKey{Key: otherRSA().Public(), KeyID: "a"})})
	if err == nil || !strings.Contains(err.Error(), "kid") {
		t.Errorf("registered: %v", err)
	}
}

// TestReplayedAssertionIsRefused: one jti gives one token, from however many
// clients and on whatever node; another issuer's jti is its own.
func TestReplayedAssertionIsRefused(t *testing.T) {
	t.Parallel()
	s := newTables()
	nodes := []*node{open(t, s, nil), open(t, s, nil)}
	nodes[0].service("lab", bothKeys()...)
	nodes[0].service("other", bothKeys()...)
	as := nodes[0].goodAssertion("lab")
	text := as.sign(t)
	var wg sync.WaitGroup
	var good atomic.Int32
	for i := range 32 {
		wg.Go(func() {
			a := nodes[i%2].post("/token", serviceForm(text, "system/Patient.r"))
			if a.status == http.StatusOK {
				good.Add(1)
			} else if a.text("error") != "invalid_client" {
				t.Errorf("%d %v", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d tokens for one assertion", good.Load())
	}
	as.claims["iss"], as.claims["sub"] = "other", "other"
	if a := nodes[0].post("/token", serviceForm(as.sign(t), "system/Patient.r")); a.status != http.StatusOK {
		t.Errorf("the same jti of another issuer: %d %v", a.status, a.body)
	}
}

func TestServiceGetsNoMoreThanItsScopes(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.service("lab", bothKeys()...)
	for name, scope := range map[string]string{"another type": "system/Encounter.r", "another letter": "system/Patient.u", "every type": "system/*.r",
		"a user's": "user/Patient.r", "a granular scope whole": "system/Observation.rs", "another query": "system/Observation.rs?category=vital-signs",
		"unordered": "system/Patient.sr", "administration": "fieldseal/admin", "none": ""} {
		n.refused(name, n.post("/token", serviceForm(n.goodAssertion("lab").sign(t), scope)), http.StatusBadRequest, "invalid_scope")
	}
	if !n.rec.has("failure", "invalid_scope", "") {
		t.Error("no event")
	}
	code := redemption("lab", "x")
	code.Set("client_assertion_type", jwtBearer)
	code.Set("client_assertion", n.goodAssertion("lab").sign(t))
	n.refused("the grant of an app", n.post("/token", code), http.StatusBadRequest, "unauthorized_client")
	n.app("public", client.Public)
	if a := n.post("/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"public"}, "scope": {"user/*.rs"}}); a.status == http.StatusOK {
		t.Error("a public client got a token for itself")
	}
	n.refused("an unknown grant", n.post("/token", url.Values{"grant_type": {"password"}, "client_id": {"public"}}), http.StatusBadRequest, "unsupported_grant_type")
}

func TestDisabledServiceGetsNothing(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	n.service("lab", bothKeys()...)
	if a := other.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")); a.status != http.StatusOK {
		t.Fatalf("%d %v", a.status, a.body)
	}
	n.must(n.clients.Disable(t.Context(), "lab"))
	n.refused("here", n.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	n.clock.Advance(client.CacheTTL)
	n.refused("there", other.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
}

// TestNoTokenLeavesWithoutItsEvent: the trail is down.
func TestNoTokenLeavesWithoutItsEvent(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.service("lab", bothKeys()...)
	n.rec.down = true
	n.refused("service", n.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r")), http.StatusServiceUnavailable, "temporarily_unavailable")
}
