package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

func TestDiffSpeaksOfRolesClassesTypesAndPurposes(t *testing.T) {
	t.Parallel()
	const base = "role, role:x, x\np, role:x, record, read, clinical, *, all_patients, allow\n"
	for _, c := range []struct{ name, next, want string }{
		{"nothing", base + "# a comment\n", ""},
		{"same meaning", "role, role:x, x\np, role:x, record, read, clinical, TREAT|ETREAT|BTG|HPAYMT|HOPERAT|HRESCH|HMARKT|PATRQT|PUBHLTH|HSYSADMIN, all_patients, allow\n", ""},
		{"gains a class", base + "p, role:x, Patient, read, contact, TREAT, org, allow\n", "role:x gains read of contact on Patient for TREAT, when org"},
		{"loses by denial", base + "p, role:x, Patient, read, clinical, *, all_patients, deny\n", "role:x loses read of clinical on Patient for every purpose (had it always)"},
		{"condition", strings.Replace(base, "all_patients", "org", 1), "role:x keeps read of clinical on every type but AuditEvent for every purpose, now when org (was always)"},
		{"exception", base + "p, role:x, Patient, read, clinical, *, restricted_label, deny\n", "role:x keeps read of clinical on Patient for every purpose, now always unless restricted_label (was always)"},
		{"new role", base + "role, role:y, reads too\np, role:y, Patient, read|search, *, HRESCH, all_patients, allow\n", "role:y is new: reads too\nrole:y gains read, search of every class on Patient for HRESCH, always"},
		{"assignment", base + "g, user:ann, role:x\n", "user:ann has role:x now"},
		{"promise", base + "never, role:x, Patient, create, *\n", "promise made: role:x never gets create of every class on Patient"},
	} {
		if got := strings.Join(Diff(newDecider(t, base), newDecider(t, c.next)), "\n"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestExplainNamesRowsAndPredicates(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	patient := user("patient")
	patient.Patient, patient.PatientKey, patient.Scopes = "alice", alice, []string{"patient/*.rs"}
	read := authz.Request{Action: authz.Read, Type: "Observation"}
	own, others := authz.Facts{Patients: []field.StorageID{alice}}, authz.Facts{Patients: []field.StorageID{bob}}
	restricted := restrictedFacts(bob)
	for _, c := range []struct {
		name    string
		q       Question
		verdict Verdict
		row     string // part of a decisive row
		bit     string // predicate and result
	}{
		{"allow", Question{Claims: user("clinician"), Request: read, Facts: &others}, Allow, "role:clinician", "all_patients true"},
		{"mask by a denying row", Question{Claims: user("nurse"), Request: read, Facts: &restricted}, Mask, "restricted_label, deny", "restricted_label true"},
		{"denied class", Question{Claims: user("nurse"), Request: read, Facts: &restricted, Class: field.Set(field.Narrative)}, Deny, "restricted_label, deny", "restricted_label true"},
		{"own compartment", Question{Claims: patient, Request: read, Facts: &own}, Allow, "own_compartment", "own_compartment true"},
		{"foreign compartment", Question{Claims: patient, Request: read, Facts: &others}, Deny, "", "own_compartment false"},
		{"type as a whole", Question{Claims: patient, Request: read}, Conditional, "", "own_compartment ?"},
		{"no rule", Question{Claims: user("admin"), Request: read, Facts: &others}, Deny, "", ""},
		{"unknown action", Question{Claims: user("admin"), Request: authz.Request{Type: "Patient"}}, Deny, "", ""},
	} {
		x := d.Explain(c.q)
		if x.Verdict != c.verdict || x.Revision != d.Revision() {
			t.Errorf("%s: %s", c.name, x.Verdict)
		}
		if c.row != "" && !slices.ContainsFunc(x.Rows, func(r Row) bool {
			return r.Decisive && strings.Contains(r.Text, c.row) && r.Line > 0 && r.Text == d.Line(r.Line)
		}) {
			t.Errorf("%s: rows %+v", c.name, x.Rows)
		}
		if c.bit != "" && !slices.ContainsFunc(x.Predicates, func(b Bit) bool {
			holds := "?"
			if b.Holds != nil {
				holds = fmt.Sprint(*b.Holds)
			}
			return b.Predicate+" "+holds == c.bit && b.Reason != ""
		}) {
			t.Errorf("%s: predicates %+v", c.name, x.Predicates)
		}
	}
}
