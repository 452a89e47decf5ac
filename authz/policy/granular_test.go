package policy

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// selecting is facts about a resource that satisfies the query.
func selecting(query string, asked *int, patients ...field.StorageID) authz.Facts {
	return authz.Facts{Patients: patients, Selects: func(q string, seen field.ClassSet) bool {
		*asked++
		return q == query && seen != 0
	}}
}

func TestGranularScopeShowsOnlyWhatItsQuerySelects(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	const lab, vital = "category=laboratory", "category=vital-signs"
	for _, row := range []struct {
		name   string
		scopes []string
		facts  authz.Facts
		want   bool
		asked  int
	}{
		{"selected", []string{"user/Observation.rs?" + lab}, selecting(lab, new(int)), true, 1},
		{"another query", []string{"user/Observation.rs?" + lab}, selecting(vital, new(int)), false, 1},
		{"nobody can tell", []string{"user/Observation.rs?" + lab}, authz.Facts{}, false, 0},
		{"either of two", []string{"user/Observation.rs?" + lab, "user/Observation.rs?" + vital}, selecting(vital, new(int)), true, 2},
		{"the whole type covers its parts", []string{"user/Observation.rs?" + lab, "user/*.rs"}, authz.Facts{}, true, 0},
		{"of the patient in context", []string{"patient/Observation.rs?" + lab}, selecting(lab, new(int), alice), true, 1},
		{"of another patient", []string{"patient/Observation.rs?" + lab}, selecting(lab, new(int), bob), false, 0},
		{"whole for the patient, labs of everybody", []string{"patient/*.rs", "user/Observation.rs?" + lab}, selecting(lab, new(int), bob), true, 1},
		{"whole for the patient, nothing else of others", []string{"patient/*.rs", "user/Observation.rs?" + lab}, selecting(vital, new(int), bob), false, 1},
		{"whole for the patient", []string{"patient/*.rs", "user/Observation.rs?" + lab}, authz.Facts{Patients: []field.StorageID{alice}}, true, 0},
	} {
		c := user("clinician")
		c.Scopes, c.Patient, c.PatientKey = row.scopes, "alice", alice
		g := ask(t, d, c, authz.Read, "Observation")
		asked := 0
		if selects := row.facts.Selects; selects != nil {
			row.facts.Selects = func(q string, seen field.ClassSet) bool { asked++; return selects(q, seen) }
		}
		if got := g.Mask(row.facts); (got == field.AllClasses) != row.want || (got == 0) == row.want {
			t.Errorf("%s: classes %v", row.name, got)
		}
		if asked != row.asked {
			t.Errorf("%s: asked %d times, want %d", row.name, asked, row.asked)
		}
	}
}

func TestGranularScopeNeverWidensARole(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	yes := func(string, field.ClassSet) bool { return true }
	c := user("researcher")
	c.Purpose, c.Scopes = "HRESCH", []string{"user/Patient.rs?gender=female"}
	g := ask(t, d, c, authz.Read, "Patient")
	if got := g.Mask(authz.Facts{Selects: yes}); got == 0 || got.Has(field.Identifier) || got != g.Ceiling() {
		t.Errorf("classes %v below %v", got, g.Ceiling())
	}
	if g.Unrestricted() {
		t.Error("a granular grant calls itself unrestricted: it would be counted in the index")
	}
	if ask(t, d, c, authz.Update, "Patient").Allowed() {
		t.Error("the query lent a letter")
	}
	p := user("patient")
	p.Purpose, p.Patient, p.PatientKey, p.Scopes = "PATRQT", "alice", alice, []string{"patient/Observation.rs?category=laboratory"}
	if !confinedTo(ask(t, d, p, authz.Search, "Observation"), p.PatientKey) {
		t.Error("a granular patient scope looks outside of the compartment")
	}
}
