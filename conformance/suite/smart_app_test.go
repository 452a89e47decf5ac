package suite

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	appOrigin   = "https://app.example"
	appRedirect = appOrigin + "/callback"
	// appScopes are the widest that the apps of these tests may ask for.
	appScopes = "openid fhirUser launch launch/patient launch/encounter offline_access online_access patient/*.cruds user/*.cruds"
)

// smartApp is a registered app.
type smartApp struct {
	s      *server
	config object // .well-known/smart-configuration
	id     string
	secret string   // of a confidential app
	keys   *backend // of an app that signs
}

// newApp registers an app; more are flags of `client add`, which say how it
// authenticates when it is not public.
func newApp(t testing.TB, s *server, more ...string) *smartApp {
	t.Helper()
	a := &smartApp{s: s, id: unique("app-"), config: s.smartConfiguration(t)}
	args := append([]string{"client", "add", a.id, "--data", s.dir, "--name", "Growth chart", "--redirect", appRedirect, "--origin", appOrigin, "--scope", appScopes}, more...)
	if len(more) == 0 {
		args = append(args, "--auth", "none")
	}
	code, stdout, stderr := command(t, args...)
	if code != 0 {
		t.Fatalf("client add: %d %s", code, stderr)
	}
	if secret := strings.TrimSpace(stdout); strings.HasPrefix(secret, "fss_") {
		a.secret = secret
	}
	return a
}

// signingApp registers an app that authenticates by private_key_jwt.
func signingApp(t testing.TB, s *server) *smartApp {
	t.Helper()
	b := newBackend(t, "")
	a := newApp(t, s, "--auth", "private_key_jwt", "--jwks", keyFile(t, b.ecJWK(t), b.rsaJWK()))
	b.id, a.keys = a.id, b
	return a
}

func (s *server) smartConfiguration(t testing.TB) (config object) {
	t.Helper()
	resp, err := s.client.Get(s.Base + "/.well-known/smart-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&config); err != nil {
		t.Fatal(err)
	}
	return config
}

func (a *smartApp) endpoint(name string) string {
	at, _ := a.config[name+"_endpoint"].(string)
	return at
}

// attempt is one authorization request and what belongs to it.
type attempt struct {
	app      *smartApp
	query    url.Values
	verifier string
}

// asks makes a good authorization request with values of its own.
func (a *smartApp) asks(scope string) *attempt {
	at := &attempt{app: a, verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(at.verifier))
	at.query = url.Values{"response_type": {"code"}, "client_id": {a.id}, "redirect_uri": {appRedirect}, "scope": {scope}, "state": {rand.Text()},
		"aud": {a.s.Base}, "nonce": {rand.Text()}, "code_challenge": {base64URL(sum[:])}, "code_challenge_method": {"S256"}}
	return at
}

func (at *attempt) url() string { return at.app.endpoint("authorization") + "?" + at.query.Encode() }

// redemption is the form by which the app redeems a code.
func (at *attempt) redemption(code string) url.Values {
	return at.app.authenticated(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {appRedirect}, "code_verifier": {at.verifier}})
}

// authenticated adds who the app is, without a header.
func (a *smartApp) authenticated(form url.Values) url.Values {
	form.Set("client_id", a.id)
	if a.secret != "" {
		form.Set("client_secret", a.secret)
	}
	return form
}

// granted is what a token endpoint answered.
type granted struct {
	t      testing.TB
	status int
	header http.Header
	body   object
}

// token posts to the token endpoint.
func (a *smartApp) token(t testing.TB, form url.Values) *granted {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint("token"), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return a.send(t, r)
}

// send sends a request to the token endpoint, no answer of which may be cached.
func (a *smartApp) send(t testing.TB, r *http.Request) *granted {
	t.Helper()
	resp, err := a.s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	g := &granted{t: t, status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&g.body); err != nil {
		t.Error(err)
	}
	if h := g.header; h.Get("Cache-Control") != "no-store" || h.Get("Pragma") != "no-cache" || h.Get("Content-Type") != "application/json" {
		t.Errorf("headers of a token answer: %v", h)
	}
	return g
}

// want ends the test when no token was given.
func (g *granted) want() *granted {
	g.t.Helper()
	if g.status != http.StatusOK {
		g.t.Fatalf("no token: %d %v", g.status, g.body)
	}
	return g
}

// refused wants an error of RFC 6749 §5.2 and nothing else.
func (g *granted) refused(name string, status int, code string) {
	g.t.Helper()
	if g.status != status || g.body["error"] != code || g.body["access_token"] != nil || g.body["refresh_token"] != nil {
		g.t.Errorf("%s: %d %v, want %d %s", name, g.status, g.body, status, code)
	}
}

func (g *granted) text(name string) string {
	text, _ := g.body[name].(string)
	return text
}

func (g *granted) scopes() []string { return strings.Fields(g.text("scope")) }

// refresh is the form of a refresh.
func (a *smartApp) refresh(token, scope string) url.Values {
	form := a.authenticated(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	if scope != "" {
		form.Set("scope", scope)
	}
	return form
}
