package policy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
)

func TestEveryProblemIsReportedWithLineAndReason(t *testing.T) {
	t.Parallel()
	const bad = `role, role:x, fine
role, y, no prefix
p, role:z, Patient, read, *, *, all_patients, allow
p, role:x, Patientt, read, *, *, all_patients, allow
p, role:x, Patient, look, *, *, all_patients, allow
p, role:x, Patient, read, secret, *, all_patients, allow
p, role:x, Patient, read, *, FUN, all_patients, allow
p, role:x, Patient, read, *, *, nope, allow
p, role:x, Patient, read, *, *, all_patients, maybe
p, role:x, , read, *, *, all_patients, allow
p, role:x, Patient, read, *, *, , allow
p, role:x, Patient, read, *, *, all_patients
p, role:x, Patient, admin, *, *, all_patients, allow
p, role:x, Server, read, *, *, all_patients, allow
g, role:x, role:y
p, role:x, Patient, search, *, *, all_patients, allow
p, role:x, Patient, search, *, *, all_patients, allow
never, role:x, Patient, read
`
	_, err := New(Options{Policy: []byte(bad), Types: testTypes, PatientType: inCompartment})
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("error %v", err)
	}
	lines := map[int]bool{}
	for _, p := range ps {
		lines[p.Line] = true
		if p.Reason == "" {
			t.Errorf("line %d without a reason", p.Line)
		}
	}
	for line := 2; line <= 18; line++ {
		if line != 16 && !lines[line] {
			t.Errorf("line %d is not reported:\n%v", line, err)
		}
	}
	if lines[1] || lines[16] {
		t.Errorf("a sound line is reported:\n%v", err)
	}
}

func TestEmptyOrBrokenFileIsRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "# nothing", "role, role:x, x", "p, \"role:x", "\x00"} {
		if _, err := New(Options{Policy: []byte(bad + "\n"), Types: testTypes, PatientType: inCompartment}); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("accepted without types")
	}
}

func TestBrokenPromiseStopsTheStart(t *testing.T) {
	t.Parallel()
	bad := append(Default(), []byte("\np, role:researcher, Patient, create, contact, HRESCH, org, allow\n")...)
	_, err := New(Options{Policy: bad, Types: testTypes, PatientType: inCompartment})
	if !errors.Is(err, ErrSelfTest) || !strings.Contains(err.Error(), "role:researcher") {
		t.Errorf("error %v", err)
	}
}

func TestDenyRowWins(t *testing.T) {
	t.Parallel()
	d := newDecider(t, `role, role:x, x
role, role:y, y
p, role:x, *, read, *, *, all_patients, allow
p, role:y, Patient, read, contact|identifier, *, restricted_label, deny`)
	c := user("x")
	c.Roles = append(c.Roles, "role:y")
	g := ask(t, d, c, authz.Read, "Patient")
	if g.Mask(restrictedFacts()) == g.Mask(authz.Facts{}) {
		t.Error("the deny row of a second role has no effect")
	}
}

func TestRevisionFollowsTheRows(t *testing.T) {
	t.Parallel()
	a, b := newDecider(t, ""), newDecider(t, string(Default())+"\n# changed\n")
	if a.Revision() == b.Revision() || len(a.Revision()) != 12 || a.Revision() != newDecider(t, "").Revision() {
		t.Errorf("revisions %s, %s", a.Revision(), b.Revision())
	}
	if g := ask(t, a, user("clinician"), authz.Read, "Patient"); g.Revision() != a.Revision() {
		t.Error("the grant does not name the policy")
	}
}

func TestLoadReadsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.csv")
	if err := os.WriteFile(path, Default(), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Types: testTypes, PatientType: inCompartment}
	if _, err := Load(path, o); err != nil {
		t.Error(err)
	}
	if _, err := Load(path+".missing", o); err == nil {
		t.Error("a missing policy file is accepted")
	}
}

func TestDocumentationNamesEveryPredicate(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range predicates() {
		if !bytes.Contains(page, []byte("| `"+p.name+"` | "+p.doc+" |")) {
			t.Errorf("docs/policy.md lacks %s as %q", p.name, p.doc)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Default())
	f.Add([]byte("role, role:x, x\np, role:x, *, read, *, *, all_patients & org, deny\n"))
	types := map[string]bool{"Patient": true, "AuditEvent": true}
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := parse(b, types)
		if (err == nil) != (len(doc.rows) > 0) {
			t.Errorf("error %v with %d rows", err, len(doc.rows))
		}
	})
}

// The self-test asks one of the types and purposes that no rule names; it must
// still find a rule that is wrong for one that is named.
func TestBrokenPromiseForOneTypeAndPurposeIsFound(t *testing.T) {
	t.Parallel()
	for _, typ := range append([]string{"record", "*"}, testTypes...) {
		for _, purpose := range append([]string{"*"}, purposes...) {
			if typ == auditType && purpose == authz.BreakGlassPurpose {
				continue // allows nothing whatever it says
			}
			csv := "role, role:x, x\np, role:x, " + typ + ", read, clinical, " + purpose + ", org & restricted_label, allow\nnever, role:x, *, read, clinical\n"
			if _, err := New(Options{Policy: []byte(csv), Types: testTypes, PatientType: inCompartment}); !errors.Is(err, ErrSelfTest) {
				t.Errorf("%s for %s: %v", typ, purpose, err)
			}
		}
	}
}
