package suite

import (
	"encoding/json"
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
