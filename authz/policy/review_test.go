package policy

import (
	"strings"
	"testing"
)

func TestLockOutIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		wants int
	}{
		"built-in policy":              {string(Default()), 0},
		"no administration at all":     {"role, role:x, x\np, role:x, record, read, *, *, all_patients, allow\n", 4},
		"nobody changes the policy":    {strings.ReplaceAll(string(Default()), "p, role:security-officer,", "# "), 1},
		"only patients read the trail": {strings.ReplaceAll(string(Default()), "p, role:privacy-officer,", "# "), 2},
		"administration denied":        {string(Default()) + "p, role:admin, Server, admin, *, *, all_patients, deny\n", 1},
	} {
		d, err := New(withPolicy(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.lockedOut(); len(got) != c.wants {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestRulesWithoutEffectAreReported(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, rows, want string }{
		{"narrower type", "p, role:x, record, read, *, *, org, allow\np, role:x, Patient, read, *, *, org, allow", "is shadowed: line 2"},
		{"narrower class and purpose", "p, role:x, Patient, read, *, *, org, allow\np, role:x, Patient, read, clinical, TREAT, org, allow", "is shadowed: line 2"},
		{"stricter condition", "p, role:x, Patient, read, *, *, org, allow\np, role:x, Patient, read, *, *, org & own_compartment, allow", "is shadowed: line 2"},
		{"always denied", "p, role:x, *, read, *, *, all_patients, deny\np, role:x, Patient, read, *, *, org, allow", "never takes effect: denied by line 2"},
		{"contradiction", "p, role:x, Patient, search, *, *, org, allow\np, role:x, Patient, read, *, *, restricted_label & not_restricted_label, allow", "exclude each other"},
		{"several lines together", "p, role:x, Patient, read|search, *, *, org, allow\np, role:x, Patient, read, *, TREAT, org, allow", "is shadowed"},
		{"other type", "p, role:x, Observation, read, *, *, org, allow\np, role:x, Patient, read, *, *, org, allow", ""},
		{"AuditEvent is no record", "p, role:x, record, read, *, *, org, allow\np, role:x, AuditEvent, read, *, *, org, allow", ""},
		{"wider than record", "p, role:x, record, read, *, *, org, allow\np, role:x, *, read, *, *, org, allow", "is shadowed: line 3"},
		{"half of it", "p, role:x, Patient, read, *, TREAT, org, allow\np, role:x, Patient|Observation, read, *, *, org, allow", "is shadowed: line 3"},
		{"other condition", "p, role:x, Patient, read, *, *, org, allow\np, role:x, Patient, read, *, *, own_compartment, allow", ""},
		{"partly denied", "p, role:x, Patient, read, *, *, org, deny\np, role:x, Patient, read, *, *, all_patients, allow", ""},
	} {
		got := newDecider(t, "role, role:x, x\n"+c.rows+"\n").Warnings()
		if (c.want == "") != (len(got) == 0) || (c.want != "" && !strings.Contains(got.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	d, err := New(realOptions())
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Warnings(); len(got) > 0 {
		t.Errorf("the built-in policy: %v", got)
	}
}

func TestReviewRefusesAndOverridesByName(t *testing.T) {
	t.Parallel()
	text := withoutPromises(string(Default())) + "p, role:clinician, AuditEvent, read, *, *, all_patients, allow\n"
	override := Override{"clinician-read-AuditEvent", "the ward keeps its own log"}
	for _, c := range []struct {
		name      string
		text      string
		overrides []Override
		refused   string
	}{
		{"broken golden decision", text, nil, "breaks the golden decision clinician-read-AuditEvent"},
		{"overridden by name", text, []Override{override}, ""},
		{"override without a reason", text, []Override{{override.Golden, " "}}, "needs a reason"},
		{"override of another decision", text, []Override{{"clinician-search-AuditEvent", "x"}}, "breaks the golden decision clinician-read-AuditEvent"},
		{"override of what is no golden decision", text, []Override{override, {"everything", "x"}}, "there is no golden decision"},
		{"lock-out", "role, role:x, x\np, role:x, Patient, read, *, *, org, allow\n", nil, "nobody could change the policy"},
		{"fault", "p, role:x, Patient, read, *, *, org, allow\n", nil, "unknown role"},
		{"empty action", string(Default()) + "p, role:nurse, Patient, , *, *, org, allow\n", nil, "action is empty"},
		{"unknown predicate", string(Default()) + "p, role:nurse, Patient, read, *, *, nonesuch, allow\n", nil, `unknown predicate "nonesuch"`},
		{"built-in policy", string(Default()), nil, ""},
	} {
		d, _, err := Review(withPolicy(c.text), c.overrides)
		if (err == nil) != (c.refused == "") || (d == nil) != (err != nil) || (err != nil && !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
