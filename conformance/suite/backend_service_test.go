package suite

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// backend is a backend service that knows RFC 7515 and nothing of this server.
type backend struct {
	id  string
	key *ecdsa.PrivateKey
}

func segment(v any) string {
	b, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(b)
}

// register makes a key and registers a service with the running server.
func register(t *testing.T, s *server, id string, scopes string, more ...string) *backend {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	set, _ := json.Marshal(object{"keys": []object{{"kty": "EC", "crv": "P-384", "kid": "k1", "use": "sig", "x": enc(point[1:49]), "y": enc(point[49:])}}})
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"client", "add", id, "--data", s.dir, "--name", "Lab feed", "--jwks", file, "--role", "role:integration", "--scope", scopes}, more...)
	if code, stdout, stderr := command(t, args...); code != 0 || stdout != "" {
		t.Fatalf("client add: %d %q %s", code, stdout, stderr)
	}
	return &backend{id, key}
}

// assertion signs by ES384 (RFC 7518 §3.4).
func (b *backend) assertion(t *testing.T, audience string, change func(header, claims object)) string {
	t.Helper()
	header := object{"alg": "ES384", "typ": "JWT", "kid": "k1"}
	claims := object{"iss": b.id, "sub": b.id, "aud": audience, "exp": time.Now().Add(2 * time.Minute).Unix(), "jti": rand.Text()}
	if change != nil {
		change(header, claims)
	}
	text := segment(header) + "." + segment(claims)
	sum := sha512.Sum384([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, b.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 48)), v.FillBytes(make([]byte, 48))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// form posts to an endpoint of the authorization server.
func (s *server) form(t *testing.T, endpoint string, form url.Values) (status int, header http.Header, body object) {
	t.Helper()
	resp, err := s.client.PostForm(endpoint, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&body)
	return resp.StatusCode, resp.Header, body
}

func (s *server) serviceToken(t *testing.T, endpoint, assertion, scope string) (int, object) {
	t.Helper()
	status, header, body := s.form(t, endpoint, url.Values{"grant_type": {"client_credentials"}, "scope": {scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}})
	if header.Get("Cache-Control") != "no-store" || header.Get("Pragma") != "no-cache" {
		t.Errorf("a token answer may be cached: %v", header)
	}
	return status, body
}

// withToken reads below the base with a token that belongs to no demo role.
func (s *server) withToken(t *testing.T, token, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	_, _ = io.Copy(&b, resp.Body)
	return resp.StatusCode, b.String()
}

// TestBackendServiceReadsWhatItsScopesAllow (SMART Backend Services): discovery,
// registration, a signed assertion, a token, and what it opens; then the token
// and the client are ended.
func TestBackendServiceReadsWhatItsScopesAllow(t *testing.T) {
	t.Parallel()
	s := start(t)
	var config object
	resp, err := s.client.Get(s.Base + "/.well-known/smart-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&config); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatal(err, resp.Header)
	}
	endpoint, _ := config["token_endpoint"].(string)
	revocation, _ := config["revocation_endpoint"].(string)
	introspection, _ := config["introspection_endpoint"].(string)
	if !strings.HasPrefix(endpoint, s.origin()) || config["authorization_endpoint"] != nil {
		t.Fatalf("%v", config)
	}
	lab := "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
	b := register(t, s, "lab-feed", "system/Patient.rs system/Observation.rs?"+lab)

	status, got := s.serviceToken(t, endpoint, b.assertion(t, endpoint, nil), "system/Patient.r system/Observation.rs?"+lab)
	token, _ := got["access_token"].(string)
	if status != 200 || got["token_type"] != "Bearer" || expiresIn(got) < 240 || expiresIn(got) > 300 || got["refresh_token"] != nil {
		t.Fatalf("%d %v", status, got)
	}
	for path, want := range map[string]int{"/Patient/" + s.Patient: 200, "/Observation?patient=" + s.Patient: 200, "/Patient?_id=" + s.Patient: 403, "/Encounter?patient=" + s.Patient: 403} {
		if status, body := s.withToken(t, token, path); status != want {
			t.Errorf("%s: %d, want %d: %.200s", path, status, want, body)
		}
	}
	_, all := s.withToken(t, token, "/Observation?_count=1000&patient="+s.Patient)
	if !strings.Contains(all, `"code":"laboratory"`) || strings.Contains(all, `"code":"vital-signs"`) {
		t.Error("the granular scope is not what is shown")
	}
	auth := func(tok string) url.Values {
		return url.Values{"token": {tok}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {b.assertion(t, endpoint, nil)}}
	}
	if status, _, body := s.form(t, introspection, auth(token)); status != 200 || body["active"] != true || body["client_id"] != "lab-feed" {
		t.Errorf("introspection: %d %v", status, body)
	}
	if status, _, _ := s.form(t, revocation, auth(token)); status != 200 {
		t.Errorf("revocation: %d", status)
	}
	if status, _ := s.withToken(t, token, "/Patient/"+s.Patient); status != 401 {
		t.Errorf("after the revocation: %d", status)
	}
	if _, _, body := s.form(t, introspection, auth(token)); len(body) != 1 || body["active"] != false {
		t.Errorf("introspection of a revoked token: %v", body)
	}
	// Disabling the client ends the tokens that it has.
	_, got = s.serviceToken(t, endpoint, b.assertion(t, endpoint, nil), "system/Patient.r")
	token, _ = got["access_token"].(string)
	if code, stdout, stderr := command(t, "client", "disable", "lab-feed", "--data", s.dir); code != 0 || !strings.Contains(stdout, "tokens ended: 1") {
		t.Errorf("client disable: %d %s %s", code, stdout, stderr)
	}
	if status, _ := s.withToken(t, token, "/Patient/"+s.Patient); status != 401 {
		t.Errorf("after the client was disabled: %d", status)
	}
	if status, got := s.serviceToken(t, endpoint, b.assertion(t, endpoint, nil), "system/Patient.r"); status != 401 || got["error"] != "invalid_client" {
		t.Errorf("a disabled client: %d %v", status, got)
	}
	events := s.auditEvents(t, privacyOfficer, "_count=100")
	for _, subtype := range []string{"token-issue", "token-revoke", "client-add", "client-disable"} {
		if !slices.ContainsFunc(events, func(e object) bool { return mentions(e["subtype"], subtype) }) {
			t.Errorf("no event %s", subtype)
		}
	}
}

// The group Tokens of the abusive requests, as far as a signed assertion goes:
// 25, 27 to 32.
func TestAbusiveAssertionsAreInvalidClient(t *testing.T) {
	t.Parallel()
	s := start(t)
	endpoint := s.origin() + "/oauth/token"
	b := register(t, s, "lab-feed", "system/Patient.rs")
	other := register(t, s, "other-feed", "system/*.cruds")
	for name, change := range map[string]func(header, claims object){
		"25 alg none":          func(h, _ object) { h["alg"] = "none" },
		"26 HS256":             func(h, _ object) { h["alg"] = "HS256" },
		"27 kid of a path":     func(h, _ object) { h["kid"] = "../../x" },
		"27 kid of 10 kB":      func(h, _ object) { h["kid"] = strings.Repeat("k", 10_000) },
		"28 jku":               func(h, _ object) { h["jku"] = "https://127.0.0.1:1/jwks" },
		"28 x5u":               func(h, _ object) { h["x5u"] = "https://127.0.0.1:1/cert" },
		"29 expired":           func(_, c object) { c["exp"] = time.Now().Add(-time.Minute).Unix() },
		"29 not yet valid":     func(_, c object) { c["nbf"] = time.Now().Add(time.Hour).Unix() },
		"30 wrong audience":    func(_, c object) { c["aud"] = s.Base },
		"30 another's name":    func(_, c object) { c["iss"], c["sub"] = other.id, other.id },
		"32 exp one hour away": func(_, c object) { c["exp"] = time.Now().Add(time.Hour).Unix() },
	} {
		if status, got := s.serviceToken(t, endpoint, b.assertion(t, endpoint, change), "system/Patient.r"); status != 401 || got["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	once := b.assertion(t, endpoint, nil)
	if status, got := s.serviceToken(t, endpoint, once, "system/Patient.r"); status != 200 {
		t.Errorf("a good one: %d %v", status, got)
	}
	if status, got := s.serviceToken(t, endpoint, once, "system/Patient.r"); status != 401 || got["error"] != "invalid_client" {
		t.Errorf("31 replayed jti: %d %v", status, got)
	}
	if status, got := s.serviceToken(t, endpoint, b.assertion(t, endpoint, nil), "system/*.cruds"); status != 400 || got["error"] != "invalid_scope" {
		t.Errorf("more than registered: %d %v", status, got)
	}
	if code, _, stderr := command(t, "client", "add", "evil", "--data", s.dir, "--jwks-url", "http://127.0.0.1/jwks", "--role", "role:integration", "--scope", "system/*.r"); code == 0 {
		t.Errorf("40: a key set by http was registered: %s", stderr)
	}
	if code, _, stderr := command(t, "client", "add", "evil", "--data", s.dir, "--jwks-url", "https://keys.test/jwks", "--role", "role:nobody", "--scope", "system/*.r"); code == 0 || !strings.Contains(stderr, "role:nobody") {
		t.Errorf("an unknown role: %d %s", code, stderr)
	}
	for _, log := range []string{s.stdout.String(), s.stderr.String()} {
		if strings.Contains(log, once) || strings.Contains(log, "fst_"+strings.Repeat("A", 10)) {
			t.Error("a secret stands in the log")
		}
	}
}

// expiresIn is how many seconds a token answer gives the token.
func expiresIn(answer object) float64 {
	seconds, _ := answer["expires_in"].(float64)
	return seconds
}
