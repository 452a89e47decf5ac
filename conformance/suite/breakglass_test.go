package suite

import (
	"encoding/json"
	"strings"
	"testing"
)

// emergencyToken is what a physician gets who has just logged in.
func (s *server) emergencyToken(t *testing.T, factors ...string) string {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"token", "--data", s.dir, "--role", physician, "--lifetime", "1h"}, factors...)...)
	if code != 0 {
		t.Fatal(stderr)
	}
	return "Bearer " + strings.TrimSpace(stdout)
}

func reason() object {
	return object{"resourceType": "Parameters", "parameter": []any{object{"name": "reason", "valueCode": "ETREAT"}, object{"name": "text", "valueString": "unconscious in the emergency room"}}}
}

// TestBreakGlass goes from the closed record to the closed review.
func TestBreakGlass(t *testing.T) {
	t.Parallel()
	s := start(t) // one role's token lives for 15 minutes
	mine, other := s.create(t, person("")), s.create(t, person(""))
	open := func(token, id string) *answer {
		return s.do(t, nobody, "POST", "/Patient/"+id+"/$break-glass", reason(), "Authorization", token)
	}
	weak, strong := s.emergencyToken(t), s.emergencyToken(t, "--mfa")
	s.do(t, nobody, "GET", "/Patient/"+mine, nil, "Authorization", strong).outcome(404)
	open(weak, mine).outcome(403)
	s.do(t, nurse, "POST", "/Patient/"+mine+"/$break-glass", reason()).outcome(403)
	s.do(t, nobody, "GET", "/Patient/"+mine+"/$break-glass", nil, "Authorization", strong).outcome(405)
	granted := open(strong, mine).want(201)
	grant := at(granted.json(), "parameter", 0, "valueString").(string)
	under := func(method, path string, body any) *answer {
		return s.do(t, nobody, method, path, body, "Authorization", strong, "X-Break-Glass", grant)
	}
	a := under("GET", "/Patient/"+mine, nil).want(200)
	if banner := a.header.Get("X-Break-Glass"); !strings.Contains(banner, grant) || !strings.Contains(banner, "reason=ETREAT") || strings.Contains(banner, mine) {
		t.Errorf("banner %q", banner)
	}
	sameAnswer(t, "another patient", under("GET", "/Patient/"+other, nil).outcome(404), under("GET", "/Patient/"+unique("none-"), nil))
	under("POST", "/Observation", observation("Patient/"+mine)).outcome(403)
	under("PUT", "/Patient/"+mine, person(mine)).outcome(403)
	under("GET", "/AuditEvent?patient="+mine, nil).outcome(403)
	for role := range s.Tokens { // somebody else's grant
		s.do(t, role, "GET", "/Patient/"+mine, nil, "X-Break-Glass", grant).outcome(403)
	}
	s.do(t, nobody, "GET", "/Patient/"+mine, nil, "Authorization", strong, "X-Break-Glass", strings.Repeat("0", 32)).outcome(403)
	s.do(t, nobody, "POST", "/Patient/"+mine+"/$break-glass-end?grant="+grant, nil, "Authorization", strong).want(200)
	under("GET", "/Patient/"+mine, nil).outcome(403)

	code, stdout, stderr := command(t, "break-glass", "list", "--data", s.dir, "--open", "--json")
	var list []struct {
		ID, Patient, Reason string
		Overdue             bool
	}
	if code != 0 || json.Unmarshal([]byte(stdout), &list) != nil {
		t.Fatal(stdout, stderr)
	}
	found := false
	for _, e := range list {
		found = found || e.ID == grant && e.Patient == mine && e.Reason == "ETREAT" && !e.Overdue
	}
	if !found {
		t.Errorf("the queue lacks the access: %s", stdout)
	}
	review := []string{"break-glass", "review", "--data", s.dir, "--decision", "justified", grant, "--by"}
	if code, _, _ := command(t, append(review, "user:demo-physician")...); code != 1 {
		t.Errorf("the own access is reviewed: exit code %d", code)
	}
	if code, stdout, stderr := command(t, append(review, "user:officer")...); code != 0 || !strings.Contains(stdout, "justified by user:officer") {
		t.Error(stdout, stderr)
	}
	trail := s.do(t, privacyOfficer, "GET", "/AuditEvent?patient=Patient/"+mine+"&_count=100", nil).want(200)
	if n := strings.Count(string(trail.body), "break-glass:"+grant+":ETREAT"); n < 3 {
		t.Errorf("%d events name the access: %s", n, trail.body)
	}
}
