package policy

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

func realOptions() Options {
	reg := definition.Default()
	patient := reg.Compartment("Patient")
	return Options{Types: reg.ResourceTypes(), PatientType: func(t string) bool { return patient.Params(t) != nil }}
}

// No type of R4 lets a patient see what lies in another patient's
// compartment, or the researcher an identifying class.
func TestDefaultPolicyOverAllTypes(t *testing.T) {
	t.Parallel()
	d, err := New(realOptions())
	if err != nil {
		t.Fatal(err)
	}
	p := user("patient")
	p.Patient, p.PatientKey, p.Scopes = "alice", alice, []string{"patient/*.rs"}
	for _, typ := range definition.Default().ResourceTypes() {
		for _, a := range []authz.Action{authz.Read, authz.Search} {
			if got := ask(t, d, p, a, typ).Mask(authz.Facts{Owner: bob, Patients: []field.StorageID{bob}}); got != 0 {
				t.Errorf("patient, %s %s of another: %v", a, typ, got)
			}
			if got := ask(t, d, user("researcher"), a, typ).Ceiling(); !field.Set(field.Clinical, field.Limited, field.Administrative).Contains(got) {
				t.Errorf("researcher, %s %s: %v", a, typ, got)
			}
		}
	}
}

func BenchmarkNew(b *testing.B) {
	o := realOptions()
	for b.Loop() {
		if _, err := New(o); err != nil {
			b.Fatal(err)
		}
	}
}
