package policy

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// interface.md, demo roles: ceiling of each role for each kind of request.
func TestDemoRoles(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	research := field.Set(field.Clinical, field.Limited, field.Administrative)
	colleague := field.Set(field.Identifier, field.Clinical, field.Administrative)
	for _, c := range []struct {
		role   string
		action authz.Action
		typ    string
		want   field.ClassSet
	}{
		{"clinician", authz.Read, "Patient", field.AllClasses},
		{"clinician", authz.Update, "Observation", field.AllClasses},
		{"clinician", authz.Reassign, "Observation", 0},
		{"clinician", authz.Read, "AuditEvent", 0},
		{"nurse", authz.Search, "Patient", field.AllClasses},
		{"nurse", authz.Create, "Observation", 0},
		{"researcher", authz.Read, "Patient", research},
		{"researcher", authz.Search, "Observation", research},
		{"researcher", authz.Update, "Patient", 0},
		{"researcher", authz.Read, "AuditEvent", 0},
		{"patient", authz.Read, "Patient", field.AllClasses},
		{"patient", authz.Read, "AuditEvent", field.AllClasses},
		{"patient", authz.Read, "Practitioner", field.AllClasses},
		{"patient", authz.Update, "Patient", 0},
		{"integration", authz.Reassign, "Observation", field.AllClasses},
		{"integration", authz.Delete, "Binary", field.AllClasses},
		{"integration", authz.Read, "AuditEvent", 0},
		{"privacy-officer", authz.Search, "AuditEvent", field.AllClasses},
		{"privacy-officer", authz.Read, "Patient", 0},
		{"admin", authz.Admin, authz.Server, field.Set(field.Administrative)},
		{"admin", authz.Read, "Patient", 0},
		{"clinician", authz.Admin, authz.Server, 0},
	} {
		claims := user(c.role)
		if c.role == "patient" {
			claims.Patient, claims.PatientKey = "alice", alice
		}
		if got := ask(t, d, claims, c.action, c.typ).Ceiling(); got != c.want {
			t.Errorf("%s %s %s: %v, want %v", c.role, c.action, c.typ, got, c.want)
		}
	}
	p := user("patient")
	p.Patient, p.PatientKey = "alice", alice
	if got := ask(t, d, p, authz.Read, "Practitioner").Mask(authz.Facts{}); got != colleague {
		t.Errorf("a patient reads %v of a Practitioner, want %v", got, colleague)
	}
}

func TestRestrictedNarrativeIsHiddenFromNurse(t *testing.T) {
	t.Parallel()
	g := ask(t, newDecider(t, ""), user("nurse"), authz.Read, "Observation")
	if got := g.Mask(authz.Facts{}); got != field.AllClasses {
		t.Errorf("unlabelled: %v", got)
	}
	for _, label := range []field.Label{{System: label.Confidentiality, Code: "R"}, {System: label.Confidentiality, Code: "V"}, {Code: "R"}} {
		if got := g.Mask(authz.Facts{Security: []field.Label{{Code: "N"}, label}}); got != field.AllClasses&^field.Set(field.Narrative) {
			t.Errorf("%v: %v", label, got)
		}
	}
	if g.Unrestricted() {
		t.Error("a grant whose mask depends on labels calls itself unrestricted")
	}
}

func TestPatientNeverReadsAnotherCompartment(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	p := user("patient")
	p.Patient, p.PatientKey = "alice", alice
	for _, typ := range []string{"Patient", "Observation", "AuditEvent", "Practitioner", "Binary"} {
		g := ask(t, d, p, authz.Read, typ)
		if got := g.Mask(authz.Facts{Owner: bob, Patients: []field.StorageID{bob}}); got != 0 {
			t.Errorf("%s of another patient: %v", typ, got)
		}
		if got := g.Mask(authz.Facts{Patients: []field.StorageID{bob, alice}}); got != field.AllClasses {
			t.Errorf("own %s: %v", typ, got)
		}
	}
	if got := ask(t, d, p, authz.Read, "Observation").Mask(authz.Facts{}); got != 0 {
		t.Errorf("an Observation in no compartment is patient data, got %v", got)
	}
}

// A missing patient claim is a refusal, not a skipped check.
func TestMissingPatientClaimIsRefused(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	p := user("patient")
	if ask(t, d, p, authz.Read, "Observation").Allowed() {
		t.Error("the patient role without a patient reads")
	}
	p.PatientKey = alice // a key alone is no claim
	if ask(t, d, p, authz.Read, "Observation").Allowed() {
		t.Error("a storage id without a patient claim reads")
	}
	c := user("clinician")
	c.Scopes = []string{"patient/*.rs"}
	if ask(t, d, c, authz.Read, "Observation").Allowed() {
		t.Error("a patient scope without a patient in context reads")
	}
}
