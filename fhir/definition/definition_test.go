package definition

import (
	"slices"
	"strings"
	"testing"
)

func TestCounts(t *testing.T) {
	t.Parallel()
	r := Default()
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"concrete resource types", len(r.ResourceTypes()), 146},                        // R4 resourcelist.html
		{"search parameters", len(r.AllSearchParameters()), 1375},                       // R4 searchparameter-registry.html
		{"compartments", len(r.Compartments()), 5},                                      // R4 compartmentdefinition.html
		{"operations", len(r.Operations()), 46},                                         // R4 operationslist.html
		{"primitives", count(r, func(t *Type) bool { return t.Kind == Primitive }), 20}, // R4 datatypes.html#primitive, with xhtml
		{"resources", count(r, func(t *Type) bool { return t.Kind == Resource }), 148},  // with Resource, DomainResource
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

func count(r *Registry, keep func(*Type) bool) int {
	n := 0
	for _, t := range r.Types() {
		if keep(t) {
			n++
		}
	}
	return n
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, name, path, typ, clause string }{
		{"Observation", "valueQuantity", "Observation.value[x]", "Quantity", "observation.html, formats.html#choice"},
		{"Observation", "value", "", "", "the bare choice name is no member"},
		{"Observation", "valueAddress", "", "", "not among the types of Observation.value[x]"},
		{"Observation", "_status", "", "", "callers strip the underscore"},
		{"Patient", "birthDate", "Patient.birthDate", "date", "patient.html"},
		{"Patient", "contact", "Patient.contact", "Patient.contact", "patient.html, backbone element"},
		{"Patient.contact", "name", "Patient.contact.name", "HumanName", "patient.html"},
		{"Patient", "deceasedBoolean", "Patient.deceased[x]", "boolean", "patient.html"},
		{"Patient", "id", "Patient.id", "id", "resource.html#id"},
		{"Patient", "resourceType", "", "", "json.html: a property, no element"},
		{"Patient", "__proto__", "", "", "unknown property"},
		{"Patient", "contained", "Patient.contained", "Resource", "domainresource.html"},
		{"Patient", "modifierExtension", "Patient.modifierExtension", "Extension", "domainresource.html"},
		{"HumanName", "id", "HumanName.id", "string", "element.html"},
		{"Narrative", "div", "Narrative.div", "xhtml", "narrative.html"},
		{"Extension", "valueMeta", "Extension.value[x]", "Meta", "extensibility.html"},
		{"Extension", "valueBase64Binary", "Extension.value[x]", "base64Binary", "datatypes.html#open"},
		{"Extension", "url", "Extension.url", "uri", "extensibility.html"},
		{"date", "extension", "date.extension", "Extension", "json.html#primitive"},
		{"date", "value", "", "", "a primitive's value is the JSON scalar"},
		{"Questionnaire.item", "item", "Questionnaire.item.item", "Questionnaire.item", "content reference"},
		{"Bundle.entry", "link", "Bundle.entry.link", "Bundle.link", "content reference"},
		{"Timing", "repeat", "Timing.repeat", "Timing.repeat", "datatypes.html#Timing"},
		{"ActivityDefinition", "quantity", "ActivityDefinition.quantity", "Quantity", "a profile has the type's shape"},
	} {
		typ := Default().Type(c.in)
		if typ == nil {
			t.Fatalf("no type %s", c.in)
		}
		e, got := typ.Lookup(c.name)
		if (e == nil) != (c.path == "") {
			t.Errorf("%s.%s: found %v (%s)", c.in, c.name, e != nil, c.clause)
			continue
		}
		if e != nil && (e.Path != c.path || got.Name != c.typ) {
			t.Errorf("%s.%s: %s %s, want %s %s (%s)", c.in, c.name, e.Path, got.Name, c.path, c.typ, c.clause)
		}
	}
}

func TestLookupFindsEveryElementOfEveryType(t *testing.T) {
	t.Parallel()
	for _, typ := range Default().Types() {
		for _, e := range typ.Elements {
			if len(e.Types) == 0 || !e.Choice && len(e.Types) != 1 {
				t.Errorf("%s: %d types, choice %v", e.Path, len(e.Types), e.Choice)
			}
			for _, ref := range e.Types {
				name := e.Name
				if e.Choice {
					name += upperFirst(ref.Code)
				}
				got, gotType := typ.Lookup(name)
				if got != e || gotType != ref.Type || gotType == nil {
					t.Errorf("%s: Lookup(%q) does not find it", e.Path, name)
				}
			}
		}
	}
}

func TestElementFacts(t *testing.T) {
	t.Parallel()
	r := Default()
	e, _ := r.Type("Observation").Lookup("status")
	if e.Min != 1 || e.Max != 1 || e.Repeats() || !e.IsModifier || !e.IsSummary || e.FiveWs != "status" {
		t.Errorf("Observation.status: %+v", e)
	}
	if e.Binding.Strength != "required" || !e.Binding.Codes.HasCode("final") || e.Binding.Codes.HasCode("Final") {
		t.Errorf("Observation.status binding: %+v", e.Binding)
	}
	e, _ = r.Type("Observation").Lookup("subject")
	if want := []string{"Patient", "Group", "Device", "Location"}; !slices.Equal(e.Types[0].Targets, want) {
		t.Errorf("Observation.subject targets: %v", e.Types[0].Targets)
	}
	if e, _ = r.Type("Provenance").Lookup("target"); len(e.Types[0].Targets) != 0 || !e.Repeats() {
		t.Errorf("Provenance.target: %v, want any", e.Types[0].Targets)
	}
	if got := r.Type("Patient").SecurityCategory; got != "individual" && got != "patient" {
		t.Errorf("Patient security category %q", got)
	}
}

func TestAllElementsAreReachable(t *testing.T) {
	t.Parallel()
	modifiers := 0
	for _, typ := range Default().Types() {
		for _, e := range typ.Elements {
			if !strings.HasPrefix(e.Path, typ.Name+".") {
				t.Errorf("%s stands in %s", e.Path, typ.Name)
			}
			if e.IsModifier {
				modifiers++
			}
		}
	}
	if modifiers < 134 {
		t.Errorf("%d modifier elements", modifiers)
	}
}

func TestRequiredBindingsThatCannotBeEnumerated(t *testing.T) {
	t.Parallel()
	missing := map[string]bool{}
	for _, typ := range Default().Types() {
		for _, e := range typ.Elements {
			if b := e.Binding; b != nil && b.Strength == "required" && b.Codes == nil {
				missing[b.ValueSet] = true
			}
		}
	}
	want := []string{
		"http://hl7.org/fhir/ValueSet/mimetypes|4.0.1",  // BCP 13: open-ended
		"http://hl7.org/fhir/ValueSet/ucum-units|4.0.1", // UCUM is a grammar
		"http://loinc.org/vs/LL379-9|4.0.1",             // LOINC's own, not in the definitions
	}
	for _, u := range want {
		if !missing[u] {
			t.Errorf("%s is enumerated", u)
		}
		if Default().ValueSet(u) != nil {
			t.Errorf("ValueSet(%s) is not nil", u)
		}
		delete(missing, u)
	}
	if len(missing) > 0 {
		t.Errorf("not enumerated: %v", missing)
	}
}

func TestValueSets(t *testing.T) {
	t.Parallel()
	r := Default()
	vs := r.ValueSet("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1")
	if !vs.Has("http://hl7.org/fhir/administrative-gender", "other") || vs.Has("http://example.org", "other") || vs.HasCode("") {
		t.Error("administrative-gender")
	}
	if got := vs.Codes(vs.Systems()[0]); len(got) != 4 || vs.Codes("x") != nil {
		t.Errorf("administrative-gender: %v", got)
	}
	if vs := r.ValueSet("http://hl7.org/fhir/ValueSet/currencies"); vs == nil || !vs.HasCode("EUR") || vs.HasCode("eur") {
		t.Error("currencies come from the official expansion")
	}
	if vs := r.ValueSet("http://hl7.org/fhir/ValueSet/issue-type"); !vs.HasCode("code-invalid") {
		t.Error("issue-type must hold the nested codes too")
	}
}
