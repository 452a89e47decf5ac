package compartment_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Each of the 146 types stands in the owner table, and no other.
func TestEveryTypeHasAnOwnerRule(t *testing.T) {
	t.Parallel()
	want := definition.Default().ResourceTypes()
	if len(want) != 146 {
		t.Fatalf("definitions name %d types", len(want))
	}
	got := newTable(t).OwnerTypes()
	for _, typ := range want {
		if !got[typ] {
			t.Errorf("no owner rule for %s", typ)
		}
		delete(got, typ)
	}
	for typ := range maps.Keys(got) {
		t.Errorf("owner rule for unknown type %s", typ)
	}
}

// Every path of the three tables leads to a Reference that may point to the
// wanted type; a spelling mistake would silently make nobody the owner.
func TestEveryPathIsAReference(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	for _, tt := range []struct {
		name, target string
		paths        map[string][][]string
	}{
		{"owner", "Patient", table.OwnerPaths()},
		{"organization", "Organization", table.OrgPaths()},
		{"compartment", "Patient", table.PatientPaths()},
	} {
		for typ, paths := range tt.paths {
			for _, path := range paths {
				if e := element(typ, path); e == nil || !mayPointTo(e, tt.target) {
					t.Errorf("%s: %s.%v is no Reference(%s)", tt.name, typ, path, tt.target)
				}
			}
		}
	}
}

// Every compartment parameter of every type is understood: a reference at each
// path that the definitions name makes its patient a member.
func TestEveryCompartmentParameterMakesAMember(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	c := definition.Default().Compartment("Patient")
	parameters := 0
	for _, typ := range definition.Default().ResourceTypes() {
		parameters += len(c.Params(typ))
		if got := len(table.PatientPaths()[typ]); got < len(c.Params(typ)) {
			t.Errorf("%s: %d paths for %d parameters", typ, got, len(c.Params(typ)))
		}
		for _, path := range table.PatientPaths()[typ] {
			r := withReference(t, typ, path, "Patient/member")
			if !slices.Contains(table.Patients(r), "member") {
				t.Errorf("%s.%v makes no member", typ, path)
			}
			if r = withReference(t, typ, path, "Practitioner/member"); len(table.Patients(r)) != 0 {
				t.Errorf("%s.%v: a practitioner became a member", typ, path)
			}
		}
	}
	if parameters < 95 {
		t.Fatalf("only %d compartment parameters seen", parameters)
	}
}

func element(typ string, path []string) *definition.Element {
	at := definition.Default().Type(typ)
	var e *definition.Element
	for _, name := range path {
		if at == nil {
			return nil
		}
		if e, at = at.Lookup(name); e == nil {
			return nil
		}
	}
	return e
}

func mayPointTo(e *definition.Element, target string) bool {
	for _, t := range e.Types {
		if t.Code == "Reference" && (len(t.Targets) == 0 || slices.Contains(t.Targets, target) || slices.Contains(t.Targets, "Resource")) {
			return true
		}
	}
	return false
}

// withReference builds a resource that holds one reference at the path, with
// arrays where the definitions have them.
func withReference(t *testing.T, typ string, path []string, target string) *fhir.Resource {
	t.Helper()
	v := fhir.NewObject(fhir.NewString(target).Named("reference"))
	for i := len(path) - 1; i >= 0; i-- {
		if e := element(typ, path[:i+1]); e != nil && e.Max != 1 {
			v = fhir.NewArray(v)
		}
		v = fhir.NewObject(v.Named(path[i]))
	}
	v.Insert(0, fhir.NewString(typ).Named("resourceType"))
	r, err := fhir.NewResource(v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
