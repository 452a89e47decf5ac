package policy

import (
	"strings"

	"github.com/fieldseal/fieldseal/authz"
)

// duties are what some role must still be able to do, so that no policy locks
// everybody out of mending it or of finding out what happened.
var duties = []struct {
	what  string
	scope string
	asked authz.Request
}{
	{"change the policy", AdminScope, authz.Request{Action: authz.Admin, Type: authz.Policy}},
	{"administer the server", AdminScope, authz.Request{Action: authz.Admin, Type: authz.Server}},
	{"search the audit trail of every patient", "user/*.rs", authz.Request{Action: authz.Search, Type: auditType}},
	{"read the audit trail of every patient", "user/*.rs", authz.Request{Action: authz.Read, Type: auditType}},
}

// lockedOut names the duties that no role has any more. A role with a patient
// in context does not count: it sees its own compartment only.
func (d *Decider) lockedOut() Problems {
	var out Problems
	asked := d.distinctPurposes()
	for _, duty := range duties {
		if !d.somebody(duty.scope, duty.asked, asked) {
			out = append(out, Problem{0, "nobody could " + duty.what + " any more: no role has " +
				strings.Join([]string{string(duty.asked.Action), "on", duty.asked.Type}, " ")})
		}
	}
	return out
}

func (d *Decider) somebody(scope string, r authz.Request, asked []string) bool {
	for _, role := range d.Roles() {
		for _, purpose := range asked {
			s := suppose(authz.SubjectClaims{ID: "user:self-test", Roles: []string{role}, Purpose: purpose, Scopes: []string{scope}})
			if d.compile(&s, r, featuresOf(&s)).program.Ceiling() != 0 {
				return true
			}
		}
	}
	return false
}
