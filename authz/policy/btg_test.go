package policy

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

const glassPolicy = `
role, role:ward, sees its own organization and one patient in an emergency
role, role:clerk, sees its own organization
p, role:ward, record, read|search|update|delete, *, *, org, allow
p, role:ward, record, read|search|create|update|delete, *, BTG, btg, allow
p, role:ward, record, read|search, narrative, TREAT, restricted_label, deny
p, role:clerk, record, read|search, *, *, org, allow
p, role:ward, AuditEvent, read|search, *, BTG, btg, allow
`

func glassFor(patient field.StorageID, role string) authz.Subject {
	c := user(role)
	c.Orgs = []field.StorageID{ward}
	return authz.NewSubject(c).WithGlass(authz.Glass{ID: "g", Patient: patient})
}

func decide(t *testing.T, d *Decider, s authz.Subject, a authz.Action, typ string) authz.Grant {
	t.Helper()
	g, err := d.Decide(t.Context(), s, authz.Request{Action: a, Type: typ})
	if (err != nil) == g.Allowed() {
		t.Fatalf("error %v, but allowed is %v", err, g.Allowed())
	}
	return g
}

// The emergency is one patient's: nothing of another, not even what the role
// sees on other days, is shown under it.
func TestBreakGlassShowsOnePatientOnly(t *testing.T) {
	t.Parallel()
	d := newDecider(t, glassPolicy)
	g := decide(t, d, glassFor(alice, "ward"), authz.Read, "Observation")
	if m := g.Mask(authz.Facts{Patients: []field.StorageID{alice}}); m != field.AllClasses {
		t.Errorf("of the patient: %v", m)
	}
	if m := g.Mask(authz.Facts{Patients: []field.StorageID{bob}, Orgs: []field.StorageID{ward}}); m != 0 {
		t.Errorf("of another patient: %v", m)
	}
	if !g.Emergency() || !confinedTo(g, alice) {
		t.Error("the grant is no emergency of one patient")
	}
	org := decide(t, d, glassFor(alice, "ward"), authz.Read, "Organization")
	if m := org.Mask(authz.Facts{Orgs: []field.StorageID{ward}}); m != field.AllClasses {
		t.Errorf("of the own organization: %v", m)
	}
}

func TestBreakGlassNeverLiftsADenyRule(t *testing.T) {
	t.Parallel()
	d := newDecider(t, glassPolicy)
	g := decide(t, d, glassFor(alice, "ward"), authz.Read, "Observation")
	if m := g.Mask(restrictedFacts(alice)); m.Has(field.Narrative) || !m.Has(field.Clinical) {
		t.Errorf("a row that denies the usual purpose was lifted by changing the purpose: %v", m)
	}
}

func TestBreakGlassOnlyReads(t *testing.T) {
	t.Parallel()
	d := newDecider(t, glassPolicy)
	for _, a := range []authz.Action{authz.Create, authz.Update, authz.Delete, authz.Reassign, authz.Admin} {
		if g := decide(t, d, glassFor(alice, "ward"), a, "Observation"); g.Allowed() {
			t.Errorf("%s is allowed with the glass broken", a)
		}
	}
	if decide(t, d, glassFor(alice, "ward"), authz.Read, "AuditEvent").Allowed() {
		t.Error("the audit trail is read with the glass broken")
	}
}

func TestBreakGlassOfIneligibleRoleIsNoEmergency(t *testing.T) {
	t.Parallel()
	d := newDecider(t, glassPolicy)
	if decide(t, d, glassFor(alice, "clerk"), authz.Read, "Patient").Emergency() {
		t.Error("a role without a btg rule breaks the glass")
	}
	c := user("ward")
	c.Purpose = authz.BreakGlassPurpose
	if ask(t, d, c, authz.Read, "Patient").Allowed() {
		t.Error("a token that claims the purpose BTG reads without a grant")
	}
	p := user("ward")
	p.Scopes, p.Patient, p.PatientKey = []string{"patient/*.rs"}, "bob", bob
	if decide(t, d, authz.NewSubject(p).WithGlass(authz.Glass{Patient: alice}), authz.Read, "Patient").Allowed() {
		t.Error("a token for one patient breaks the glass of another")
	}
}

// A cached program of another purpose must not answer.
func TestBreakGlassProgramsAreKeptApartByUsualPurpose(t *testing.T) {
	t.Parallel()
	d := newDecider(t, glassPolicy)
	for _, usual := range []string{"TREAT", "HOPERAT", "TREAT"} {
		c := user("ward")
		c.Purpose = usual
		s := authz.NewSubject(c).WithGlass(authz.Glass{Patient: alice})
		m := decide(t, d, s, authz.Read, "Observation").Mask(restrictedFacts(alice))
		if m.Has(field.Narrative) != (usual != "TREAT") {
			t.Errorf("usual purpose %s: %v", usual, m)
		}
	}
}
