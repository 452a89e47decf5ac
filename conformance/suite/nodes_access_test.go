package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policyAcross activates a policy on the first node, by which the second then
// decides: every node has it within 5 s.
func policyAcross(t *testing.T, c *nodes) {
	t.Helper()
	a, b := c.all[0], c.all[1]
	code, text, stderr := command(t, "policy", "show", "--data", a.dir)
	if code != 0 {
		t.Fatal(stderr)
	}
	file := filepath.Join(t.TempDir(), "policy.csv")
	if err := os.WriteFile(file, []byte(text+"p, role:clinician, Basic, read, *, *, all_patients, deny\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func() int { return b.do(t, clinician, "GET", "/Basic/unknown", nil).status }
	if got := ask(); got != 404 {
		t.Fatalf("before the policy: %d", got)
	}
	if code, _, stderr := command(t, "policy", "apply", "--data", a.dir, "--reason", "test", file); code != 0 {
		t.Fatal(stderr)
	}
	if got := a.do(t, clinician, "GET", "/Basic/unknown", nil).status; got != 403 {
		t.Errorf("the node that activated it answers %d", got)
	}
	b.promptly(t, "deciding by the new policy", func() bool { return ask() == 403 })
}

// patientAcross is a patient who is cared for by a physician, with a token on
// every node.
func patientAcross(t *testing.T, c *nodes) object {
	t.Helper()
	a, patient := c.all[0], person("")
	id := a.create(t, patient)
	patient["id"] = id
	doctor := a.create(t, object{"resourceType": "Practitioner", "active": true})
	a.create(t, object{"resourceType": "CareTeam", "status": "active", "subject": object{"reference": "Patient/" + id},
		"participant": []any{object{"member": object{"reference": "Practitioner/" + doctor}}}})
	a.operator(t, "user", "create", "user:across", "--role", "role:physician", "--link", "Practitioner/"+doctor, "--reason", "test")
	code, token, stderr := command(t, "token", "--data", a.dir, "--account", "user:across", "--purpose", "TREAT", "--lifetime", "1h")
	if code != 0 {
		t.Fatal(stderr)
	}
	a.Tokens[physician] = strings.TrimSpace(token) // the map is that of every node
	return patient
}

// labelsAcross raises and lowers, at the first node, the label of what the second
// has shown: it judges by the labels of the version that is current.
func labelsAcross(t *testing.T, c *nodes, patient object) {
	t.Helper()
	a, b := c.all[0], c.all[1]
	path := "/Patient/" + fmt.Sprint(patient["id"])
	b.until(t, "seeing whom the physician cares for", func() bool { return b.do(t, physician, "GET", path, nil).status == 200 })
	for _, step := range []struct {
		label string
		want  int
	}{{"V", 404}, {"N", 200}} {
		patient["meta"] = object{"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": step.label}}}
		a.do(t, integration, "PUT", path, patient).want(200)
		if got := b.do(t, physician, "GET", path, nil).status; got != step.want {
			t.Errorf("the node that has shown the patient answers %d after the label became %s", got, step.label)
		}
	}
}

// consentAcross writes at the first node a Consent that takes away what the second
// has shown and remembers why.
func consentAcross(t *testing.T, c *nodes, patient object) {
	t.Helper()
	a, b := c.all[0], c.all[1]
	path := "/Patient/" + fmt.Sprint(patient["id"])
	ask := func(s *server) int { return s.do(t, physician, "GET", path, nil).status }
	if got := ask(b); got != 200 {
		t.Fatalf("before the Consent: %d", got)
	}
	a.create(t, object{"resourceType": "Consent", "status": "active", "patient": object{"reference": path[1:]},
		"scope":    object{"coding": []any{object{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}}},
		"category": []any{object{"text": "privacy"}}, "policyRule": object{"text": "none"}, "provision": object{"type": "deny"}})
	if got := ask(a); got != 404 {
		t.Errorf("the node that wrote the Consent answers %d", got)
	}
	b.promptly(t, "withholding by the new Consent", func() bool { return ask(b) == 404 })
}
