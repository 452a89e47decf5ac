package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

// call sends a request with a bearer token and returns status and body.
func call(t *testing.T, s *httptest.Server, method, target, bearer, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// operate runs an operation as the operator of this process.
func operate(t *testing.T, a *App, operation, body string) string {
	t.Helper()
	out, err := a.Office(t.Context(), adminapi.OfficeCall{Operation: operation, Body: json.RawMessage(body)})
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
	return string(out)
}

// The admin API is for fresh security officers only.
func TestAdminAPIIsForSecurityOfficers(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	s := httptest.NewServer(a.root)
	defer s.Close()
	for _, role := range token.DemoRoles() {
		claims, err := token.DemoClaims(role, "dr", "p1")
		if err != nil {
			t.Fatal(err)
		}
		claims.Scopes = append(slices.Clone(claims.Scopes), "fieldseal/admin") // whatever the client got
		claims.AMR, claims.AuthTime = []string{"mfa"}, time.Now()
		bearer, err := a.tokens.Issue(t.Context(), claims)
		if err != nil {
			t.Fatal(err)
		}
		want := http.StatusForbidden
		if role == "security-officer" {
			want = http.StatusOK
		}
		for _, operation := range []string{"policy/history", "user/list"} {
			if got, body := call(t, s, "POST", "/admin/"+operation, bearer, "{}"); got != want {
				t.Errorf("%s, %s: %d %s", role, operation, got, body)
			}
		}
		if got, _ := call(t, s, "GET", "/fhir/Patient", bearer, ""); role == "security-officer" && got != http.StatusForbidden {
			t.Errorf("a security officer searches patients: %d", got)
		}
	}
	claims, err := token.DemoClaims("security-officer", "", "")
	if err != nil {
		t.Fatal(err)
	}
	claims.AuthTime = time.Now().Add(-time.Hour)
	stale, err := a.tokens.Issue(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	if got, body := call(t, s, "POST", "/admin/policy/history", stale, "{}"); got != http.StatusUnauthorized {
		t.Errorf("authenticated an hour ago: %d %s", got, body)
	}
	for _, path := range []string{"/admin/", "/admin/policy", "/admin/policy/../../fhir/Patient", "/admin/%2e%2e/fhir/metadata", "/admin/policy/erase"} {
		if got, _ := call(t, s, "POST", path, stale, "{}"); got == http.StatusOK {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// A proxy reads the patient's compartment within the delegation, and nothing
// once it ends.
func TestProxyReadsWithinTheDelegation(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	s := httptest.NewServer(a.root)
	defer s.Close()
	for _, id := range []string{"child", "other"} {
		send(t, a, s, http.MethodPut, "/fhir/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`, http.StatusCreated)
		send(t, a, s, http.MethodPut, "/fhir/Observation/of-"+id, `{"resourceType":"Observation","id":"of-`+id+`","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+id+`"}}`, http.StatusCreated)
	}
	operate(t, a, "user/create", `{"account":{"subject":"user:parent","links":["RelatedPerson/r"],"roles":["role:clinician"]},"reason":"x"}`)
	granted := operate(t, a, "user/delegate", `{"subject":"user:parent","patient":"child","scopes":["patient/Observation.rs"],"until":"2999-01-01T00:00:00Z","reason":"custody"}`)
	var delegation struct{ ID string }
	if err := json.Unmarshal([]byte(granted), &delegation); err != nil {
		t.Fatal(err)
	}
	reply, err := a.Token(t.Context(), adminapi.TokenRequest{Account: "user:parent", Patient: "child"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"the patient's result", "GET", "/fhir/Observation/of-child", "", http.StatusOK},
		{"another patient's result", "GET", "/fhir/Observation/of-other", "", http.StatusNotFound},
		{"beyond the scopes", "GET", "/fhir/Patient/child", "", http.StatusForbidden},
		{"write", "DELETE", "/fhir/Observation/of-child", "", http.StatusForbidden},
		{"who looked", "GET", "/fhir/AuditEvent?patient=child", "", http.StatusForbidden},
		{"administration", "POST", "/admin/user/list", "{}", http.StatusForbidden},
	} {
		if got, body := call(t, s, c.method, c.path, reply.Token, c.body); got != c.want {
			t.Errorf("%s: %d %s", c.name, got, body)
		}
	}
	if got, body := call(t, s, "GET", "/fhir/Observation?_count=10", reply.Token, ""); got != http.StatusOK || strings.Contains(body, "of-other") || !strings.Contains(body, "of-child") {
		t.Errorf("search: %d %s", got, body)
	}
	if _, err := a.Token(t.Context(), adminapi.TokenRequest{Account: "user:parent", Patient: "other"}); err == nil {
		t.Error("a token for a patient without a delegation")
	}
	operate(t, a, "user/undelegate", `{"subject":"user:parent","delegation":"`+delegation.ID+`","reason":"over"}`)
	if got, _ := call(t, s, "GET", "/fhir/Observation/of-child", reply.Token, ""); got != http.StatusUnauthorized {
		t.Errorf("the token outlives the delegation: %d", got)
	}
	if _, err := a.Token(t.Context(), adminapi.TokenRequest{Account: "user:parent", Patient: "child"}); err == nil {
		t.Error("a token under an ended delegation")
	}
}
