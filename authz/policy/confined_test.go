package policy

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// TestOnlyOwnCompartmentRolesAreConfined: a search is narrowed to one patient
// only where no rule could show anything else.
func TestOnlyOwnCompartmentRolesAreConfined(t *testing.T) {
	t.Parallel()
	d := newDecider(t, string(Default()))
	tests := []struct {
		role, typ string
		want      bool
	}{
		{"patient", "Observation", true}, {"patient", "Patient", true}, {"patient", "Practitioner", false},
		{"clinician", "Observation", false}, {"researcher", "Observation", false}, {"nurse", "Patient", false},
	}
	for _, tt := range tests {
		claims := user(tt.role)
		claims.Patient, claims.PatientKey = "a", alice
		if g := ask(t, d, claims, authz.Search, tt.typ); confinedTo(g, alice) != tt.want {
			t.Errorf("%s searching %s: confined %v, want %v", tt.role, tt.typ, !tt.want, tt.want)
		}
	}
	if _, ok := (authz.Grant{}).Confined(); ok {
		t.Error("the zero grant claims to be confined")
	}
}

func confinedTo(g authz.Grant, patient field.StorageID) bool {
	key, ok := g.Confined()
	return ok && key == patient
}
