package definition

import (
	"errors"
	"slices"
	"testing"
)

func TestSearchParameters(t *testing.T) {
	t.Parallel()
	r := Default()
	p := r.SearchParameter("Patient", "birthdate")
	if p == nil || p.Type != "date" || p.Expression == "" || !slices.Contains(p.Comparators, "ge") || p.MultipleOr == false {
		t.Errorf("Patient birthdate: %+v", p)
	}
	for _, c := range []struct {
		typ, code string
		want      bool
	}{
		{"Patient", "_id", true},         // R4 search.html: parameters of Resource
		{"Patient", "_text", true},       // of DomainResource
		{"Binary", "_lastUpdated", true}, // of Resource
		{"Binary", "_text", false},       // Binary is no DomainResource
		{"Patient", "code", false},
		{"Nobody", "_id", false},
	} {
		if got := r.SearchParameter(c.typ, c.code) != nil; got != c.want {
			t.Errorf("%s %s: %v", c.typ, c.code, got)
		}
	}
	p = r.SearchParameter("Observation", "code-value-quantity")
	if p == nil || p.Type != "composite" || len(p.Components) != 2 || p.Components[1].Expression == "" {
		t.Errorf("composite: %+v", p)
	}
	if got := len(r.SearchParameters("Patient")); got < 30 {
		t.Errorf("Patient has %d parameters", got)
	}
}

func TestCompartments(t *testing.T) {
	t.Parallel()
	r := Default()
	c := r.Compartment("Patient")
	if got := c.Params("Observation"); !slices.Equal(got, []string{"subject", "performer"}) {
		t.Errorf("Observation in the patient compartment by %v", got)
	}
	if c.Params("Practitioner") != nil || c.Params("Organization") != nil {
		t.Error("Practitioner and Organization are never in the patient compartment")
	}
	for _, code := range []string{"Device", "Encounter", "Practitioner", "RelatedPerson"} {
		if r.Compartment(code) == nil {
			t.Errorf("no compartment %s", code)
		}
	}
	if r.Compartment("Group") != nil {
		t.Error("Group has no compartment")
	}
}

// Every compartment names parameters that exist, so membership can be computed.
func TestCompartmentParametersExist(t *testing.T) {
	t.Parallel()
	r := Default()
	for _, c := range r.Compartments() {
		for _, typ := range r.ResourceTypes() {
			for _, code := range c.Params(typ) {
				if code != "{def}" && r.SearchParameter(typ, code) == nil {
					t.Errorf("%s compartment: %s has no parameter %s", c.Code, typ, code)
				}
			}
		}
	}
}

func TestOperations(t *testing.T) {
	t.Parallel()
	for _, o := range Default().Operations() {
		if o.Code != "everything" || !slices.Contains(o.Resources, "Patient") {
			continue
		}
		if o.System || !o.Type || !o.Instance || o.AffectsState || len(o.Parameters) != 6 {
			t.Errorf("%+v", o)
		}
		return
	}
	t.Error("no Patient/$everything")
}

func TestDamagedDefinitionsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := decode(nil); err == nil {
		t.Error("empty blob accepted")
	}
	if _, err := decode(embedded[:len(embedded)/2]); !errors.Is(err, errFormat) {
		t.Errorf("half a blob: %v", err)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	typ := Default().Type("Observation")
	if n := testing.AllocsPerRun(100, func() { typ.Lookup("valueQuantity"); typ.Lookup("nothing") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(embedded); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	typ := Default().Type("Observation")
	for b.Loop() {
		typ.Lookup("valueQuantity")
	}
}
