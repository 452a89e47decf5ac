package policy

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
)

const traitPolicy = `
role, role:a, reads under pseudonyms, pseudonymous_ids|conceal_changes
role, role:b, reads under pseudonyms of its own, pseudonymous_ids
role, role:c, writes
p, role:a|role:b, *, read|search, *, *, all_patients, allow
p, role:c, record, create|read|update|delete|search, *, *, all_patients, allow
`

func TestTraitsOfEveryRoleAreInForce(t *testing.T) {
	t.Parallel()
	d := newDecider(t, traitPolicy)
	for _, tt := range []struct {
		roles []string
		want  authz.Traits
	}{
		{[]string{"role:c"}, authz.Traits{}},
		{[]string{"role:b"}, authz.Traits{Project: "role:b"}},
		{[]string{"role:c", "role:b", "role:a"}, authz.Traits{ConcealChanges: true, Project: "role:a|role:b"}},
	} {
		c := user("u")
		c.Roles = tt.roles
		if got := d.Traits(authz.NewSubject(c)); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.roles, got, tt.want)
		}
	}
}

// A second role does not give the pseudonymous caller references to write, nor
// the audit trail, which names ids.
func TestPseudonymousCallerNeitherWritesNorReadsTheTrail(t *testing.T) {
	t.Parallel()
	d := newDecider(t, traitPolicy)
	c := user("u")
	c.Roles = []string{"role:b", "role:c"}
	for _, a := range []authz.Action{authz.Create, authz.Update, authz.Delete, authz.Reassign} {
		if ask(t, d, c, a, "Patient").Allowed() {
			t.Errorf("%s is allowed", a)
		}
	}
	if ask(t, d, c, authz.Search, "AuditEvent").Allowed() {
		t.Error("the audit trail is searched")
	}
}

func TestTraitsAreValidated(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"role, role:x, x, conceal", "role, role:x, x, ", "role, role:x, x, conceal_changes|conceal_changes",
		"role, role:x, x, pseudonymous_ids\np, role:x, Patient, update, *, *, all_patients, allow"} {
		_, err := New(Options{Policy: []byte(bad + "\np, role:x, Patient, read, *, *, all_patients, allow\n"), Types: testTypes, PatientType: inCompartment})
		if err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestLostTraitIsADifference(t *testing.T) {
	t.Parallel()
	old, next := newDecider(t, traitPolicy), newDecider(t, strings.Replace(traitPolicy, "pseudonymous_ids|conceal_changes", "pseudonymous_ids", 1))
	if got := strings.Join(declared(old, next), "\n"); got != "role:a has the trait conceal_changes no longer" {
		t.Errorf("the difference is %q", got)
	}
}
