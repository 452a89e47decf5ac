package policy

import (
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Types of the tests: some of the Patient compartment, some not.
var testTypes = []string{"Patient", "Observation", "Encounter", "AuditEvent", "Practitioner", "Organization", "Location", "Medication", "PractitionerRole", "HealthcareService", "Binary", "RelatedPerson"}

func inCompartment(t string) bool {
	switch t {
	case "Patient", "Observation", "Encounter", "AuditEvent", "RelatedPerson":
		return true
	}
	return false
}

func newDecider(t testing.TB, csv string) *Decider {
	t.Helper()
	o := Options{Types: testTypes, PatientType: inCompartment, Now: noon}
	if csv != "" {
		o.Policy = []byte(csv)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// noon is when every test happens.
func noon() time.Time { return time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }

var (
	alice = field.StorageID{1}
	bob   = field.StorageID{2}
	ward  = field.StorageID{3}
)

// user is an account with every scope unless the test narrows it.
func user(role string) authz.SubjectClaims {
	return authz.SubjectClaims{ID: "user:" + role, Roles: []string{"role:" + role}, Scopes: []string{"user/*.cruds", AdminScope}, Purpose: "TREAT"}
}

func ask(t testing.TB, d *Decider, c authz.SubjectClaims, a authz.Action, typ string) authz.Grant {
	t.Helper()
	g, err := d.Decide(t.Context(), authz.NewSubject(c), authz.Request{Action: a, Type: typ})
	if (err != nil) == g.Allowed() {
		t.Fatalf("error %v, but allowed is %v", err, g.Allowed())
	}
	return g
}

func restrictedFacts(patients ...field.StorageID) authz.Facts {
	return authz.Facts{Patients: patients, Security: []field.Label{{System: label.Confidentiality, Code: "R"}}}
}
