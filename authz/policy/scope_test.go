package policy

import (
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// SMART App Launch 2.2, scopes: (patient|user|system)/(Type|*).cruds.
func TestScopesOnlyNarrow(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	for _, c := range []struct {
		scope  string
		action authz.Action
		typ    string
		want   bool
	}{
		{"user/Patient.r", authz.Read, "Patient", true},
		{"user/Patient.r", authz.Search, "Patient", false},
		{"user/Patient.r", authz.Read, "Observation", false},
		{"user/*.rs", authz.Search, "Observation", true},
		{"user/*.rs", authz.Update, "Observation", false},
		{"user/*.cud", authz.Delete, "Observation", true},
		{"user/*.dus", authz.Search, "Patient", false},
		{"user/*.rr", authz.Read, "Patient", false},
		{"user/*.", authz.Read, "Patient", false},
		{"user/*.read", authz.Read, "Patient", true},
		{"user/*.read", authz.Update, "Patient", false},
		{"user/*.write", authz.Update, "Patient", true},
		{"user/*.write", authz.Read, "Patient", false},
		{"user/*.*", authz.Read, "Patient", true},
		{"user/Observation.rs?category=laboratory", authz.Search, "Patient", false},
		{"user/Observation.rs?", authz.Read, "Observation", false},
		{"user/patient.r", authz.Read, "Patient", false},
		{"user/Pat*.r", authz.Read, "Patient", false},
		{"user/PatientX.r", authz.Read, "Patient", false},
		{"USER/*.r", authz.Read, "Patient", false},
		{" user/*.r", authz.Read, "Patient", false},
		{"user/*.r patient/*.r", authz.Read, "Patient", false},
		{"system/*.cruds", authz.Read, "Patient", false}, // not for a person
		{"openid", authz.Read, "Patient", false},
		{AdminScope, authz.Read, "Patient", false},
		{"", authz.Read, "Patient", false},
	} {
		claims := user("clinician")
		claims.Scopes = []string{"launch", c.scope}
		if got := ask(t, d, claims, c.action, c.typ).Allowed(); got != c.want {
			t.Errorf("%q %s %s: %v, want %v", c.scope, c.action, c.typ, got, c.want)
		}
	}
	researcher := user("researcher")
	researcher.Scopes = []string{"user/*.cruds"}
	if got := ask(t, d, researcher, authz.Read, "Patient").Ceiling(); got.Has(field.Identifier) {
		t.Error("a scope widened what the role allows")
	}
}

func TestPatientScopeConfinesClinicianToThePatient(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	c := user("clinician")
	c.Scopes, c.Patient, c.PatientKey = []string{"patient/*.rs"}, "alice", alice
	g := ask(t, d, c, authz.Read, "Observation")
	if g.Mask(authz.Facts{Patients: []field.StorageID{alice}}) != field.AllClasses || g.Mask(authz.Facts{Patients: []field.StorageID{bob}}) != 0 || g.Mask(authz.Facts{}) != 0 {
		t.Error("a patient scope does not confine to the patient")
	}
	g = ask(t, d, c, authz.Read, "Practitioner")
	if g.Mask(authz.Facts{}) != field.AllClasses || g.Mask(authz.Facts{Patients: []field.StorageID{bob}}) != 0 {
		t.Error("a patient scope: resources that are no patient data")
	}
	if g.Unrestricted() {
		t.Error("a confined grant calls itself unrestricted")
	}
}

func TestAppTokenOfAnAdminCarriesNoAdministration(t *testing.T) {
	t.Parallel()
	c := user("admin")
	c.Scopes = []string{"user/*.cruds", "system/*.cruds"}
	if ask(t, newDecider(t, ""), c, authz.Admin, authz.Server).Allowed() {
		t.Error("SMART scopes carry administration")
	}
}

// TestScopeTooNarrowIsNamed: what the scopes leave out is insufficient_scope,
// what the rules leave out is not, or a client would ask for wider scopes.
func TestScopeTooNarrowIsNamed(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	for name, c := range map[string]struct {
		scopes []string
		typ    string
		scope  bool
	}{
		"no scope for the type":    {[]string{"system/Observation.r"}, "Patient", true},
		"no scope for the action":  {[]string{"system/Patient.s"}, "Patient", true},
		"of another level":         {[]string{"user/*.cruds"}, "Patient", true},
		"a type that no rule has":  {[]string{"system/*.cruds"}, "AuditEvent", false},
		"a type that is not known": {[]string{"system/*.cruds"}, "Unknown", false},
	} {
		s := authz.NewSubject(authz.SubjectClaims{ID: "client:lab", Roles: []string{"role:integration"}, Purpose: "TREAT", Scopes: c.scopes})
		_, err := d.Decide(t.Context(), s, authz.Request{Action: authz.Read, Type: c.typ})
		if !errors.Is(err, authz.ErrDenied) || errors.Is(err, authz.ErrScope) != c.scope {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUserScopeGrantsNothingToABackendClient(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	c := authz.SubjectClaims{ID: "client:lab", Roles: []string{"role:integration"}, Purpose: "TREAT", Scopes: []string{"user/*.cruds"}}
	if ask(t, d, c, authz.Read, "Patient").Allowed() {
		t.Error("user scope works for a client without a user")
	}
	c.Scopes = []string{"system/*.cruds"}
	if !ask(t, d, c, authz.Read, "Patient").Allowed() {
		t.Error("system scope does not work for a client")
	}
}
