package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestDefaultPolicyGivesEveryGoldenDecision(t *testing.T) {
	t.Parallel()
	goldens, err := Goldens()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	allowed := 0
	for _, g := range goldens {
		if names[g.Name] {
			t.Errorf("%s stands twice", g.Name)
		}
		names[g.Name] = true
		if g.Allowed {
			allowed++
		}
	}
	if len(goldens) < 200 || allowed < 15 {
		t.Errorf("%d golden decisions, %d of them allow", len(goldens), allowed)
	}
	d, err := New(realOptions())
	if err != nil {
		t.Fatal(err)
	}
	broken, err := d.Broken()
	if err != nil || len(broken) > 0 {
		t.Errorf("%v %v", broken, err)
	}
}

// Each of these mistakes in a policy file is caught by a golden decision with
// the given name.
func TestGoldenDecisionsCatchMistakes(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]string{
		"researcher-and-nurse-identifier":    "", // the deny row of researchers is gone
		"clinician-read-AuditEvent":          "p, role:clinician, AuditEvent, read, *, *, all_patients, allow",
		"patient-reads-other-Observation":    "p, role:patient, Observation, read, clinical, *, all_patients, allow",
		"security-officer-read-Patient":      "p, role:security-officer, *, read, *, *, all_patients, allow",
		"nurse-restricted-narrative-Patient": "p, role:nurse, Patient, read, narrative, TREAT, restricted_label, allow",
		"admin-admin-Policy":                 "p, role:admin, Policy, admin, *, *, all_patients, allow",
		"no-role-read-Patient":               "g, user:golden, role:clinician",
	} {
		text := withoutPromises(string(Default()))
		if row == "" {
			text = strings.Replace(text, "p, role:researcher,      *,", "# p, role:researcher,      *,", 1)
		}
		if name == "nurse-restricted-narrative-Patient" {
			text = strings.Replace(text, "p, role:nurse,           record, read|search,                       narrative", "# ", 1)
		}
		d, err := New(withPolicy(text + row + "\n"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		broken, err := d.Broken()
		if err != nil || !slices.ContainsFunc(broken, func(b Broken) bool { return b.Name == name }) {
			t.Errorf("%s is not broken: %v %v", name, broken, err)
		}
	}
}

// withoutPromises drops the never lines, which would refuse most mistakes
// first.
func withoutPromises(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "never") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

func withPolicy(text string) Options {
	o := realOptions()
	o.Policy = []byte(text)
	return o
}
