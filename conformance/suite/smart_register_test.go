package suite

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestClientsRegisterThemselves: RFC 7591. Until an officer approves, the client
// is nobody; with less approved than it asked for, it gets less.
func TestClientsRegisterThemselves(t *testing.T) {
	t.Parallel()
	s := start(t, "--dynamic-registration", "approval")
	config := s.smartConfiguration(t)
	at, _ := config["registration_endpoint"].(string)
	if at == "" {
		t.Fatal("no registration_endpoint in the discovery document")
	}
	metadata := object{"client_name": "Walk diary", "redirect_uris": []string{appRedirect}, "token_endpoint_auth_method": "none",
		"scope": "launch/patient openid patient/Patient.rs patient/Observation.rs"}
	status, body := s.register(t, at, metadata)
	id, _ := body["client_id"].(string)
	if status != http.StatusCreated || id == "" || body["client_secret"] != nil {
		t.Fatalf("%d %v", status, body)
	}
	a := &smartApp{s: s, id: id, config: config}
	reader := s.newReader(t)
	scope := "launch/patient patient/Patient.rs patient/Observation.rs"
	if v := newVisitor(t).open(a.asks(scope).url()); v.left != nil || v.page.status != http.StatusBadRequest || strings.Contains(v.page.text, "Walk diary") {
		t.Errorf("a client that waits: %d %v", v.page.status, v.left)
	}
	a.token(t, a.asks(scope).redemption("fsc_x")).refused("a client that waits", http.StatusUnauthorized, "invalid_client")
	ran := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := command(t, append([]string{"client"}, append(args, "--data", s.dir)...)...)
		if code != 0 {
			t.Fatalf("client %v: %d %s", args, code, stderr)
		}
		return stdout
	}
	if waits := ran("waiting"); !strings.Contains(waits, id) || !strings.Contains(waits, appRedirect) {
		t.Errorf("waiting: %s", waits)
	}
	ran("approve", id, "--name", "Steps", "--scope", "launch/patient patient/Patient.rs")
	if waits := ran("waiting"); strings.Contains(waits, id) {
		t.Error("an approved client waits")
	}
	g := reader.authorize(t, a, "launch/patient patient/Patient.rs", nil)
	if status, _ := s.withToken(t, g.text("access_token"), "/Patient/"+s.Patient); status != http.StatusOK {
		t.Errorf("what was approved: %d", status)
	}
	if status, _ := s.withToken(t, g.text("access_token"), "/Observation?patient="+s.Patient); status != http.StatusForbidden {
		t.Errorf("what was not approved: %d", status)
	}
	if v := newVisitor(t).open(a.asks(scope).url()); v.left == nil || v.left.Query().Get("error") != "invalid_scope" {
		t.Errorf("a scope that was not approved: %d %v", v.page.status, v.left)
	}

	_, body = s.register(t, at, metadata)
	rejected, _ := body["client_id"].(string)
	ran("reject", rejected)
	if code, _, _ := command(t, "client", "approve", rejected, "--data", s.dir); code == 0 {
		t.Error("a rejected client was approved")
	}
	metadata["redirect_uris"] = []string{"javascript:alert(1)"}
	if status, body := s.register(t, at, metadata); status != http.StatusBadRequest || body["error"] != "invalid_redirect_uri" {
		t.Errorf("a script as redirect: %d %v", status, body)
	}
}

// TestRegistrationIsOff: unless it was asked for, nobody registers.
func TestRegistrationIsOff(t *testing.T) {
	t.Parallel()
	s := shared(t)
	if s.smartConfiguration(t)["registration_endpoint"] != nil {
		t.Error("the discovery document names an endpoint that is off")
	}
	if status, body := s.register(t, s.origin()+"/oauth/register", object{"client_name": "Walk diary", "redirect_uris": []string{appRedirect}}); status != http.StatusNotFound || body["client_id"] != nil {
		t.Errorf("%d %v", status, body)
	}
}

// register posts the metadata of a client as JSON.
func (s *server) register(t testing.TB, address string, metadata object) (status int, body object) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, encoded(t, metadata))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&body) // what is no JSON has no client
	return resp.StatusCode, body
}
