package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

// access.md, SMART 1.
func TestDiscoveryClaimsWhatIsOffered(t *testing.T) {
	t.Parallel()
	read := func(n *node, path string) (map[string]any, *httptest.ResponseRecorder) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept", "text/html")
		w := n.do(r)
		var m map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &m)
		return m, w
	}
	const smartPath = "/fhir/.well-known/smart-configuration"
	n := fresh(t)
	m, w := read(n, smartPath)
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error(w.Header())
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri", "issuer"} {
		if s, _ := m[name].(string); !strings.HasPrefix(s, issuer) {
			t.Errorf("%s: %v", name, m[name])
		}
	}
	if methods, _ := m["code_challenge_methods_supported"].([]any); len(methods) != 1 || methods[0] != "S256" {
		t.Error(methods)
	}
	if oidc, _ := read(n, oauth.Path+"/.well-known/openid-configuration"); oidc["issuer"] != issuer || oidc["jwks_uri"] != issuer+"/jwks" {
		t.Errorf("%v", oidc)
	}
	services := open(t, newTables(), func(o *oauth.Options) { o.Interaction = nil })
	m, _ = read(services, smartPath)
	for _, name := range []string{"authorization_endpoint", "jwks_uri", "issuer", "response_types_supported"} {
		if m[name] != nil {
			t.Errorf("without an interaction there is %s", name)
		}
	}
	if capabilities, _ := m["capabilities"].([]any); !slices.Contains(capabilities, "client-confidential-asymmetric") || slices.Contains(capabilities, "client-public") {
		t.Error(capabilities)
	}
	for _, path := range []string{"/authorize", "/jwks", "/.well-known/openid-configuration"} {
		if _, w := read(services, oauth.Path+path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	services.refused("the grant of apps", services.post("/token", url.Values{"grant_type": {"authorization_code"}}), http.StatusBadRequest, "unsupported_grant_type")
	if !n.Serves(smartPath) || !n.Serves(oauth.Path+"/token") || n.Serves("/fhir/Patient") || n.Serves("/oauthx") {
		t.Error("paths")
	}
}

// access.md, SMART 11.
func TestIntrospectionTellsOwnTokensOnly(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	secret := n.app("app", client.SecretPost)
	n.app("public", client.Public)
	other := n.app("other", client.SecretPost)
	_, err := n.clients.Add(t.Context(), client.Client{ID: "gateway", Name: "gateway", Auth: client.PrivateKeyJWT, Keys: keySet(t, bothKeys()...),
		Scopes: []string{"system/*.r"}, Roles: []string{"role:none"}, Introspects: true})
	n.must(err)
	form := redemption("app", n.code("app", appScopes))
	form.Set("client_secret", secret)
	got := n.post("/token", form)
	ask := func(id, secret, tok string) answer {
		return n.post("/introspect", url.Values{"client_id": {id}, "client_secret": {secret}, "token": {tok}})
	}
	gateway := func(tok string) answer {
		return n.post("/introspect", url.Values{"client_assertion_type": {jwtBearer}, "client_assertion": {n.goodAssertion("gateway").sign(t)}, "token": {tok}})
	}
	for name, a := range map[string]answer{"own": ask("app", secret, got.text("access_token")), "a resource server": gateway(got.text("access_token"))} {
		if a.body["active"] != true || a.text("client_id") != "app" || a.text("scope") != appScopes || a.text("patient") != "p1" || a.body["need_patient_banner"] != true ||
			a.text("fhirUser") != base+"/Practitioner/dr" || a.body["exp"] == nil || a.text("sub") == "" || a.text("iss") != issuer {
			t.Errorf("%s: %v", name, a.body)
		}
	}
	inactive := func(name string, a answer) {
		t.Helper()
		if a.status != http.StatusOK || len(a.body) != 1 || a.body["active"] != false {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	inactive("of another client", ask("other", other, got.text("access_token")))
	inactive("unknown", ask("app", secret, token.Draw(token.Prefix)))
	inactive("a refresh token", ask("app", secret, got.text("refresh_token")))
	inactive("empty", ask("app", secret, ""))
	n.refused("unauthenticated", ask("app", "wrong", got.text("access_token")), http.StatusUnauthorized, "invalid_client")
	n.refused("public", n.post("/introspect", url.Values{"client_id": {"public"}, "token": {"x"}}), http.StatusBadRequest, "unauthorized_client")
	n.must(n.tokens.Revoke(t.Context(), got.text("access_token")))
	inactive("revoked", ask("app", secret, got.text("access_token")))
	n.clock.Advance(token.DefaultLifetime)
	inactive("expired", ask("app", secret, got.text("access_token")))
}

// access.md, SMART 11: in force on every node in 5 s at most.
func TestRevocationEndsTheFamilyEverywhere(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	n.app("app", client.Public)
	n.app("thief", client.Public)
	revoke := func(id, tok string) answer {
		return n.post("/revoke", url.Values{"client_id": {id}, "token": {tok}})
	}
	got := n.granted("app", appScopes)
	if !other.valid(got.text("access_token")) {
		t.Fatal("not in force")
	}
	for _, tok := range []string{got.text("access_token"), got.text("refresh_token"), token.Draw("fsr_"), token.Draw(token.Prefix), "x"} {
		if a := revoke("thief", tok); a.status != http.StatusOK || len(a.body) != 0 {
			t.Errorf("%d %v", a.status, a.body)
		}
	}
	if !n.valid(got.text("access_token")) {
		t.Error("a client revoked another's token")
	}
	if a := revoke("app", got.text("refresh_token")); a.status != http.StatusOK {
		t.Errorf("%d %v", a.status, a.body)
	}
	if n.valid(got.text("access_token")) {
		t.Error("here it is in force")
	}
	n.clock.Advance(token.CacheTTL)
	if other.valid(got.text("access_token")) {
		t.Error("there it is in force")
	}
	n.refused("refresh", other.post("/token", refresh("app", got.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	second := n.granted("app", appScopes)
	revoke("app", second.text("access_token"))
	if n.valid(second.text("access_token")) || n.post("/token", refresh("app", second.text("refresh_token"))).status != http.StatusOK {
		t.Error("an access token by itself")
	}
	if !n.rec.has("token-revoke", "", "user:dr") {
		t.Error("no event")
	}
	n.refused("no token", n.post("/revoke", url.Values{"client_id": {"app"}}), http.StatusBadRequest, "invalid_request")
}

// access.md, SMART 13.
func TestUserListsAndEndsAuthorisations(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	got := n.granted("app", appScopes)
	n.granted("app", "user/*.rs") // without a refresh token
	all, err := n.Grants(t.Context(), "user:dr")
	if err != nil || len(all) != 2 || all[0].Client != "app" {
		t.Fatalf("%v %v", all, err)
	}
	if none, err := n.Grants(t.Context(), "user:other"); err != nil || len(none) != 0 || n.EndApp(t.Context(), "user:other", "app") == nil {
		t.Errorf("another account: %v %v", none, err)
	}
	n.must(n.EndApp(t.Context(), "user:dr", "app"))
	if n.valid(got.text("access_token")) || n.post("/token", refresh("app", got.text("refresh_token"))).status == http.StatusOK {
		t.Error("it goes on")
	}
	if all, _ := n.Grants(t.Context(), "user:dr"); len(all) != 0 {
		t.Errorf("still listed: %v", all)
	}
}

func TestFormsThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	for name, change := range map[string]func(*http.Request){
		"a secret in the query": func(r *http.Request) { r.URL.RawQuery = "token=x" },
		"JSON":                  func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"multipart":             func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") },
		"no type":               func(r *http.Request) { r.Header.Del("Content-Type") },
	} {
		for _, path := range []string{"/token", "/introspect", "/revoke"} {
			n.refused(path+" "+name, n.post(path, url.Values{"token": {"x"}}, change), http.StatusBadRequest, "invalid_request")
		}
	}
	n.refused("a parameter twice", n.post("/token", url.Values{"grant_type": {"refresh_token", "client_credentials"}}), http.StatusBadRequest, "invalid_request")
	n.refused("too large", n.post("/token", url.Values{"grant_type": {strings.Repeat("x", 70_000)}}), http.StatusRequestEntityTooLarge, "invalid_request")
	w := n.do(httptest.NewRequest(http.MethodGet, oauth.Path+"/token?grant_type=client_credentials", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Error(w.Code)
	}
}

// abuse 22: scripts read answers from the origins that clients registered.
func TestForeignOriginReadsNoToken(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	for origin, want := range map[string]string{"https://app.example": "https://app.example", "https://evil.test": "", "null": ""} {
		from := func(r *http.Request) { r.Header.Set("Origin", origin) }
		a := n.post("/token", redemption("app", n.code("app", appScopes)), from)
		if a.header.Get("Access-Control-Allow-Origin") != want || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", origin, a.header)
		}
		if (a.status == http.StatusOK) != (want != "") {
			t.Errorf("%s: %d %v", origin, a.status, a.body)
		}
		r := httptest.NewRequest(http.MethodOptions, oauth.Path+"/token", nil)
		from(r)
		if w := n.do(r); w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != want || (w.Header().Get("Access-Control-Allow-Methods") != "") != (want != "") {
			t.Errorf("preflight of %s: %v", origin, w.Header())
		}
	}
}

func TestSweepKeepsWhatIsInForce(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	n.service("lab", bothKeys()...)
	got := n.granted("app", appScopes)
	n.granted("app", "user/*.rs")
	n.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.r"))
	if removed, err := n.Sweep(t.Context()); removed != 0 || err != nil {
		t.Errorf("%d %v", removed, err)
	}
	n.clock.Advance(25 * 3600e9)
	if removed, err := n.Sweep(t.Context()); removed != 4 || err != nil { // two codes, a jti, a family without refresh
		t.Errorf("%d %v", removed, err)
	}
	if a := n.post("/token", refresh("app", got.text("refresh_token"))); a.status != http.StatusOK {
		t.Errorf("%d %v", a.status, a.body)
	}
}
