package policy

import (
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// row is one rule with a single value in every column, as Casbin reads it.
type row struct {
	line                              int
	role, typ, action, class, purpose string
	cond                              string
	deny                              bool
	classes                           field.ClassSet
	conds                             []*condition
}

// Words of the type column that stand for several types.
const (
	everyType  = "*"
	recordType = "record" // every type but AuditEvent: who looked is granted by name only
	auditType  = "AuditEvent"
)

// covers reports whether a rule for typ concerns the requested type. Whole
// names only: no prefix, no pattern (trap 7 of access.md).
func covers(rule, requested string) bool {
	switch rule {
	case everyType:
		return true
	case recordType:
		return requested != auditType && !administered(requested)
	}
	return rule == requested
}

// administered reports whether a type is no FHIR resource.
func administered(typ string) bool { return typ == authz.Server || typ == authz.Policy }

// fields are the columns as Casbin stores them.
func (r row) fields() []string {
	effect := "allow"
	if r.deny {
		effect = "deny"
	}
	return []string{r.role, r.typ, r.action, r.class, r.purpose, r.cond, effect}
}

// actions and purposes that rules and requests may name. The purposes are
// codes of HL7 v3 PurposeOfUse.
var (
	actions  = []string{"read", "search", "create", "update", "delete", "reassign", "relabel", "admin"}
	purposes = []string{"TREAT", "ETREAT", "BTG", "HPAYMT", "HOPERAT", "HRESCH", "HMARKT", "PATRQT", "PUBHLTH", "HSYSADMIN"}
)

// Problem is one fault of a policy file.
type Problem struct {
	Line   int // 0 when the fault is of the file as a whole
	Reason string
}

// Problems are all faults of a policy file, in order.
type Problems []Problem

func (ps Problems) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "policy has %d problem(s)", len(ps))
	for _, p := range ps {
		if p.Line > 0 {
			fmt.Fprintf(&b, "\n  line %d: %s", p.Line, p.Reason)
		} else {
			fmt.Fprintf(&b, "\n  %s", p.Reason)
		}
	}
	return b.String()
}
