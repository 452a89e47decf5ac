package oauth_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"

	"github.com/go-jose/go-jose/v4"
)

func openRegistration(t *testing.T) *node {
	t.Helper()
	var strict *client.Registry // which looks at addresses of key sets, as the product's
	n := open(t, newTables(), func(o *oauth.Options) {
		strict = client.New(client.Options{Table: o.Table, PRF: prf, CheckKeys: oauth.CheckKeys, CheckKeysURL: oauth.CheckKeysURL, Now: o.Now})
		o.Registers, o.Clients = true, strict
	})
	n.clients = strict
	return n
}

// registerRaw posts metadata from an address of its own network, unless a change
// says otherwise.
func (n *node) registerRaw(body string, change ...func(*http.Request)) answer {
	n.t.Helper()
	r := httptest.NewRequestWithContext(n.t.Context(), http.MethodPost, oauth.Path+"/register", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	n.calls++
	r.RemoteAddr = fmt.Sprintf("198.51.%d.7:4000", n.calls%250)
	for _, c := range change {
		c(r)
	}
	w := n.do(r)
	a := answer{status: w.Code, header: w.Header()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	return a
}

func (n *node) register(m map[string]any) answer {
	n.t.Helper()
	text, err := json.Marshal(m)
	n.must(err)
	return n.registerRaw(string(text))
}

func selfApp() map[string]any {
	return map[string]any{"client_name": "Walk diary", "redirect_uris": []string{redirect}, "scope": appScopes, "token_endpoint_auth_method": "none"}
}

// approve lets a client that waits in.
func (n *node) approve(id string, roles ...string) {
	n.t.Helper()
	_, err := n.clients.Approve(n.t.Context(), id, func(c *client.Client) error { c.Roles = roles; return nil })
	n.must(err)
}

// RFC 7591 §3.2.1: the answer says what was registered, with what the server
// replaced, and no secret.
func TestClientRegistersItself(t *testing.T) {
	t.Parallel()
	n := openRegistration(t)
	a := n.register(selfApp())
	id := a.text("client_id")
	if a.status != http.StatusCreated || !strings.HasPrefix(id, "self-") || a.body["client_id_issued_at"] == nil || a.body["client_secret"] != nil ||
		a.text("scope") != appScopes || a.text("token_endpoint_auth_method") != "none" || len(a.body["grant_types"].([]any)) != 2 {
		t.Fatalf("%d %v", a.status, a.body)
	}
	if a.header.Get("Cache-Control") != "no-store" || !n.rec.has("client-register", "", "") {
		t.Error("the answer is kept by caches, or no event was recorded")
	}
	n.approve(id)
	if got := n.granted(id, appScopes); got.text("access_token") == "" {
		t.Error("an approved app gets no token")
	}
	keys := bothKeys()
	b := n.register(map[string]any{"client_name": "Feed", "jwks": jose.JSONWebKeySet{Keys: keys}, "scope": "system/Patient.rs", "grant_types": []string{"client_credentials"}})
	if b.status != http.StatusCreated || b.text("token_endpoint_auth_method") != "private_key_jwt" {
		t.Fatalf("%d %v", b.status, b.body)
	}
	n.approve(b.text("client_id"), "role:integration")
	signed := n.goodAssertion(b.text("client_id")).sign(t)
	if got := n.post("/token", serviceForm(signed, "system/Patient.rs")); got.status != http.StatusOK {
		t.Errorf("an approved service: %d %v", got.status, got.body)
	}
}

func TestUnapprovedClientGetsNothing(t *testing.T) {
	t.Parallel()
	n := openRegistration(t)
	id := n.register(selfApp()).text("client_id")
	status, to, location := n.authorize(authorizeQuery(id, appScopes))
	if status != http.StatusBadRequest || location != "" || len(to) > 0 {
		t.Errorf("a person would be asked: %d %s", status, location)
	}
	service := n.register(map[string]any{"client_name": "Feed", "jwks": jose.JSONWebKeySet{Keys: bothKeys()}, "scope": "system/Patient.rs"}).text("client_id")
	n.refused("token", n.post("/token", serviceForm(n.goodAssertion(service).sign(t), "system/Patient.rs")), http.StatusUnauthorized, "invalid_client")
	n.refused("code", n.post("/token", redemption(id, "fsc_x")), http.StatusUnauthorized, "invalid_client")
	if all, err := n.clients.List(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("it counts as registered: %v %v", all, err)
	}
	n.must(n.clients.Reject(t.Context(), id))
	if _, err := n.clients.Approve(t.Context(), id, func(*client.Client) error { return nil }); err == nil {
		t.Error("a rejected client was approved")
	}
	r := httptest.NewRequest(http.MethodOptions, oauth.Path+"/token", nil)
	r.Header.Set("Origin", "https://app.example")
	if n.do(r).Header().Get("Access-Control-Allow-Origin") != "" {
		t.Error("scripts of its origin may call")
	}
}

// with is good metadata with one member changed; nil takes it away.
func with(m map[string]any, name string, value any) map[string]any {
	m = maps.Clone(m)
	if m[name] = value; value == nil {
		delete(m, name)
	}
	return m
}

func TestRegistrationAttacks(t *testing.T) {
	t.Parallel()
	n := openRegistration(t)
	service := map[string]any{"client_name": "Feed", "jwks_uri": "https://feed.example/jwks.json", "scope": "system/Patient.rs"}
	private := keySet(t, jose.JSONWebKey{Key: ecKey(), KeyID: "ec"})
	many := slices.Repeat([]string{"https://app.example/cb"}, 11)
	for name, row := range map[string]struct {
		body map[string]any
		code string
	}{
		"open redirector: http":                 {with(selfApp(), "redirect_uris", []string{"http://app.example/cb"}), "invalid_redirect_uri"},
		"open redirector: fragment":             {with(selfApp(), "redirect_uris", []string{"https://app.example/cb#x"}), "invalid_redirect_uri"},
		"open redirector: pattern":              {with(selfApp(), "redirect_uris", []string{"https://*.example/cb"}), "invalid_redirect_uri"},
		"open redirector: script":               {with(selfApp(), "redirect_uris", []string{"javascript:alert(1)"}), "invalid_redirect_uri"},
		"open redirector: data":                 {with(selfApp(), "redirect_uris", []string{"data:text/html,x"}), "invalid_redirect_uri"},
		"open redirector: private scheme":       {with(selfApp(), "redirect_uris", []string{"com.example.app:/cb"}), "invalid_redirect_uri"},
		"open redirector: user":                 {with(selfApp(), "redirect_uris", []string{"https://fhir.test@app.example/"}), "invalid_redirect_uri"},
		"open redirector: one of two":           {with(selfApp(), "redirect_uris", []string{redirect, "http://192.168.1.1/"}), "invalid_redirect_uri"},
		"flooding: redirects":                   {with(selfApp(), "redirect_uris", many), "invalid_redirect_uri"},
		"flooding: a long redirect":             {with(selfApp(), "redirect_uris", []string{redirect + "?" + strings.Repeat("a", 600)}), "invalid_redirect_uri"},
		"flooding: scopes":                      {with(selfApp(), "scope", strings.Repeat("patient/Patient.r ", 65)), "invalid_client_metadata"},
		"SSRF: private address":                 {with(service, "jwks_uri", "https://10.0.0.1/jwks"), "invalid_client_metadata"},
		"SSRF: loopback":                        {with(service, "jwks_uri", "https://127.0.0.1/jwks"), "invalid_client_metadata"},
		"SSRF: address as a number":             {with(service, "jwks_uri", "https://2130706433/jwks"), "invalid_client_metadata"},
		"SSRF: metadata service":                {with(service, "jwks_uri", "https://169.254.169.254/latest"), "invalid_client_metadata"},
		"SSRF: internal name":                   {with(service, "jwks_uri", "https://keys.internal/jwks"), "invalid_client_metadata"},
		"SSRF: http":                            {with(service, "jwks_uri", "http://feed.example/jwks"), "invalid_client_metadata"},
		"SSRF: file":                            {with(service, "jwks_uri", "file:///etc/passwd"), "invalid_client_metadata"},
		"keys twice":                            {with(service, "jwks", jose.JSONWebKeySet{Keys: bothKeys()}), "invalid_client_metadata"},
		"a private key":                         {with(with(service, "jwks_uri", nil), "jwks", private), "invalid_client_metadata"},
		"no keys":                               {with(service, "jwks_uri", nil), "invalid_client_metadata"},
		"name: new line":                        {with(selfApp(), "client_name", "Diary\nfieldseal"), "invalid_client_metadata"},
		"name: text turned around":              {with(selfApp(), "client_name", "Diary \u202eelpmaxe"), "invalid_client_metadata"},
		"name: nothing that is seen":            {with(selfApp(), "client_name", "\u200b"), "invalid_client_metadata"},
		"name: escape of a terminal":            {with(selfApp(), "client_name", "\x1b[2J"), "invalid_client_metadata"},
		"name: too long":                        {with(selfApp(), "client_name", strings.Repeat("n", 101)), "invalid_client_metadata"},
		"no name":                               {with(selfApp(), "client_name", nil), "invalid_client_metadata"},
		"scope escalation: administration":      {with(with(selfApp(), "token_endpoint_auth_method", "private_key_jwt"), "scope", "fieldseal/admin"), "invalid_client_metadata"},
		"scope escalation: system":              {with(selfApp(), "scope", "system/*.cruds"), "invalid_client_metadata"},
		"scope escalation: user's by a service": {with(service, "scope", "user/*.rs"), "invalid_client_metadata"},
		"scope escalation: unknown":             {with(selfApp(), "scope", "patient/*.dus"), "invalid_client_metadata"},
		"no scope":                              {with(selfApp(), "scope", nil), "invalid_client_metadata"},
		"a secret":                              {with(selfApp(), "token_endpoint_auth_method", "client_secret_basic"), "invalid_client_metadata"},
		"grant of passwords":                    {with(selfApp(), "grant_types", []string{"authorization_code", "password"}), "invalid_client_metadata"},
		"both kinds of client":                  {with(selfApp(), "grant_types", []string{"authorization_code", "client_credentials"}), "invalid_client_metadata"},
		"implicit":                              {with(selfApp(), "response_types", []string{"token"}), "invalid_client_metadata"},
	} {
		a := n.register(row.body)
		n.refused(name, a, http.StatusBadRequest, row.code)
		if a.body["client_id"] != nil {
			t.Errorf("%s: an id was given", name)
		}
	}
	if waiting, err := n.clients.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("refused ones wait: %v %v", waiting, err)
	}
	if !slices.Contains(n.rec.preAuth, "invalid_redirect_uri") || !slices.Contains(n.rec.preAuth, "invalid_client_metadata") {
		t.Errorf("refusals are not counted: %v", n.rec.preAuth)
	}
}

// What a client says beyond the metadata that count is neither kept nor
// repeated: no logo is shown, nothing is fetched.
func TestScriptInMetadataIsNotKept(t *testing.T) {
	t.Parallel()
	n := openRegistration(t)
	m := selfApp()
	m["client_name"] = `<script>alert(1)</script>`
	m["logo_uri"], m["client_uri"], m["policy_uri"], m["tos_uri"] = "javascript:alert(1)", "https://x.example", "https://x.example", "https://x.example"
	m["launches"], m["introspects"], m["roles"], m["id"], m["client_id"] = true, true, []string{"role:admin"}, "growth", "growth"
	a := n.register(m)
	for _, name := range []string{"logo_uri", "client_uri", "policy_uri", "tos_uri", "roles", "launches"} {
		if a.status != http.StatusCreated || a.body[name] != nil {
			t.Errorf("%s: %d %v", name, a.status, a.body[name])
		}
	}
	waiting, err := n.clients.Waiting(t.Context())
	n.must(err)
	if len(waiting) != 1 || waiting[0].ID == "growth" || waiting[0].Launches || waiting[0].Introspects || waiting[0].Roles != nil || !waiting[0].SelfRegistered {
		t.Errorf("%+v", waiting)
	}
}

func TestFloodOfRegistrationsIsBounded(t *testing.T) {
	t.Parallel()
	n := openRegistration(t)
	here := func(r *http.Request) { r.RemoteAddr = "203.0.113.9:5" }
	text, err := json.Marshal(selfApp())
	n.must(err)
	for i := range 10 {
		if a := n.registerRaw(string(text), here); a.status != http.StatusCreated {
			t.Fatalf("registration %d: %d %v", i, a.status, a.body)
		}
	}
	if a := n.registerRaw(string(text), here); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("the eleventh of a network: %d", a.status)
	}
	for i := 10; i < client.MaxWaiting; i++ {
		if a := n.register(selfApp()); a.status != http.StatusCreated {
			t.Fatalf("registration %d: %d %v", i, a.status, a.body)
		}
	}
	n.refused("a full list", n.register(selfApp()), http.StatusServiceUnavailable, "temporarily_unavailable")
	for name, change := range map[string]func(*http.Request){
		"a large body":          func(r *http.Request) { r.Body = http.NoBody },
		"a form of a web site":  func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"parameters in the URL": func(r *http.Request) { r.URL.RawQuery = "x=1" },
	} {
		body := string(text)
		if name == "a large body" {
			body, change = `{"client_name":"`+strings.Repeat("a", 20<<10)+`"}`, func(*http.Request) {}
		}
		n.refused(name, n.registerRaw(body, change), http.StatusBadRequest, "invalid_client_metadata")
	}
	n.clock.Advance(client.WaitingLife)
	if swept, err := n.Sweep(t.Context()); err != nil || swept != client.MaxWaiting {
		t.Errorf("swept %d, %v", swept, err)
	}
	if a := n.register(selfApp()); a.status != http.StatusCreated {
		t.Errorf("after their time: %d", a.status)
	}
}

func TestRegistrationIsOffUnlessSetAndRecorded(t *testing.T) {
	t.Parallel()
	if a := fresh(t).register(selfApp()); a.status != http.StatusNotFound {
		t.Errorf("off: %d", a.status)
	}
	n := openRegistration(t)
	n.rec.down = true
	if a := n.register(selfApp()); a.status != http.StatusServiceUnavailable || !strings.Contains(a.text("error"), "unavailable") {
		t.Errorf("without the trail (%v): %d %v", audit.ErrUnavailable, a.status, a.body)
	}
	if waiting, err := n.clients.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("what was not recorded waits: %v %v", waiting, err)
	}
}
