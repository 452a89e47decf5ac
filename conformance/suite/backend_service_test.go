package suite

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

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
	if !strings.HasPrefix(endpoint, s.origin()) {
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
		return withAssertion(url.Values{"token": {tok}}, b.assertion(t, endpoint, nil))
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

// expiresIn is how many seconds a token answer gives the token.
func expiresIn(answer object) float64 {
	seconds, _ := answer["expires_in"].(float64)
	return seconds
}

// TestServiceIsRegisteredAsItSigns: what a registration refuses, and what it
// allows that resembles it.
func TestServiceIsRegisteredAsItSigns(t *testing.T) {
	t.Parallel()
	s := shared(t)
	endpoint := s.origin() + "/oauth/token"
	a, b := newBackend(t, unique("svc-")), newBackend(t, "")
	weak := object{"kty": "RSA", "kid": "k1", "n": base64URL(b.rsa.N.Bytes()[:128]), "e": "AQAB"}
	private := a.ecJWK(t)
	d, err := a.ec.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private["d"] = base64URL(d)
	for name, row := range map[string]struct {
		keys []object
		more []string
	}{
		"two keys with one kid":    {keys: []object{a.ecJWK(t), b.ecJWK(t)}},
		"a key without a kid":      {keys: []object{{"kty": "EC", "crv": "P-384", "x": a.ecJWK(t)["x"], "y": a.ecJWK(t)["y"]}}},
		"a private key":            {keys: []object{private}},
		"an RSA key of 1024 bits":  {keys: []object{weak}},
		"a shared secret":          {keys: []object{{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}}},
		"no key":                   {keys: []object{}},
		"a role that is not there": {keys: []object{a.ecJWK(t)}, more: []string{"--role", "role:nobody"}},
		"a user's scope":           {keys: []object{a.ecJWK(t)}, more: []string{"--scope", "user/*.rs"}},
		"no signature at all":      {keys: []object{a.ecJWK(t)}, more: []string{"--auth", "none"}},
	} {
		args := append([]string{"client", "add", unique("bad-"), "--data", s.dir, "--jwks", keyFile(t, row.keys...), "--role", "role:integration", "--scope", "system/*.r"}, row.more...)
		if code, _, stderr := command(t, args...); code == 0 || strings.Contains(stderr, "panic") {
			t.Errorf("%s: %d %s", name, code, stderr)
		}
	}
	// kid and kty select one key: both of one kid work.
	good := register(t, s, unique("svc-"), "system/Patient.rs")
	for name, change := range map[string]func(*jws){
		"ES384":          nil,
		"RS384":          func(j *jws) { j.header["alg"], j.key = "RS384", good.rsa },
		"a list of auds": func(j *jws) { j.claims["aud"] = []any{"https://other.example", endpoint} },
		"no typ":         func(j *jws) { delete(j.header, "typ") },
	} {
		if status, got := s.serviceToken(t, endpoint, good.assertion(t, endpoint, change), "system/Patient.r"); status != http.StatusOK {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if status, got := s.serviceToken(t, endpoint, good.assertion(t, endpoint, nil), "system/*.cruds"); status != 400 || got["error"] != "invalid_scope" {
		t.Errorf("more than registered: %d %v", status, got)
	}
}
