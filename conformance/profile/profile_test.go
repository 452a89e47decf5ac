package profile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/conformance/profile"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// shelf is a Source of a few profiles by name.
type shelf map[string]*profile.Structure

func (s shelf) Profile(_ context.Context, url, _ string) (*profile.Structure, error) {
	return s[url], nil
}

const shelfBase = "http://p.example/"

// define parses a profile from the members of its elements: id, and the rest of
// the JSON object.
func define(t *testing.T, name, typ string, elements ...[2]string) *profile.Structure {
	t.Helper()
	var list []string
	for _, e := range append([][2]string{{typ, ""}}, elements...) {
		var steps []string
		for _, step := range strings.Split(e[0], ".") {
			step, _, _ = strings.Cut(step, ":")
			steps = append(steps, step)
		}
		text := fmt.Sprintf(`{"id":%q,"path":%q`, e[0], strings.Join(steps, "."))
		if e[1] != "" {
			text += "," + e[1]
		}
		list = append(list, text+"}")
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"StructureDefinition","url":"`+shelfBase+name+`","type":"`+typ+`","snapshot":{"element":[`+strings.Join(list, ",")+`]}}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := profile.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bySlice(kind, path, more string) string {
	return `"slicing":{"discriminator":[{"type":"` + kind + `","path":"` + path + `"}],"rules":"open"` + more + `}`
}

// shelved are the profiles of the table below.
func shelved(t *testing.T) shelf {
	s := shelf{}
	add := func(name, typ string, elements ...[2]string) { s[shelfBase+name] = define(t, name, typ, elements...) }
	add("min", "Patient", [2]string{"Patient.name", `"min":1`})
	add("max", "Patient", [2]string{"Patient.name", `"max":"1"`})
	add("none", "Patient", [2]string{"Patient.photo", `"max":"0"`})
	add("inner", "Patient", [2]string{"Patient.name", ""}, [2]string{"Patient.name.family", `"min":1`})
	add("length", "Patient", [2]string{"Patient.name", ""}, [2]string{"Patient.name.family", `"maxLength":3`})
	add("fixed", "Patient", [2]string{"Patient.maritalStatus", `"fixedCodeableConcept":{"coding":[{"system":"urn:s","code":"M"}]}`})
	add("fixedCode", "Patient", [2]string{"Patient.gender", `"fixedCode":"female"`})
	add("pattern", "Patient", [2]string{"Patient.maritalStatus", `"patternCodeableConcept":{"coding":[{"system":"urn:s","code":"M"}]}`})
	add("type", "Patient", [2]string{"Patient.deceased[x]", `"type":[{"code":"boolean"}]`})
	add("member", "Observation", [2]string{"Observation.valueQuantity", `"min":1`})
	add("bound", "Patient", [2]string{"Patient.maritalStatus", `"binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/observation-status"}`})
	add("boundElsewhere", "Patient", [2]string{"Patient.maritalStatus", `"binding":{"strength":"required","valueSet":"urn:unknown"}`})
	add("example", "Patient", [2]string{"Patient.maritalStatus", `"binding":{"strength":"example","valueSet":"urn:unknown"}`})
	add("sliced", "Patient", [2]string{"Patient.identifier", bySlice("value", "system", "")},
		[2]string{"Patient.identifier:mrn", `"sliceName":"mrn","min":1,"max":"1"`}, [2]string{"Patient.identifier:mrn.system", `"min":1,"fixedUri":"urn:mrn"`},
		[2]string{"Patient.identifier:mrn.value", `"min":1`})
	add("closed", "Patient", [2]string{"Patient.identifier", strings.Replace(bySlice("value", "system", ""), "open", "closed", 1)},
		[2]string{"Patient.identifier:mrn", `"min":0,"max":"*"`}, [2]string{"Patient.identifier:mrn.system", `"min":1,"fixedUri":"urn:mrn"`})
	add("ordered", "Patient", [2]string{"Patient.identifier", bySlice("value", "system", `,"ordered":true`)},
		[2]string{"Patient.identifier:mrn", `"min":0`}, [2]string{"Patient.identifier:mrn.system", `"fixedUri":"urn:mrn"`})
	add("resolved", "Observation", [2]string{"Observation.performer", bySlice("type", "resolve()", "")}, [2]string{"Observation.performer:org", `"min":1`})
	add("categories", "Observation", [2]string{"Observation.category", bySlice("pattern", "$this", "")},
		[2]string{"Observation.category:lab", `"min":1,"max":"1","patternCodeableConcept":{"coding":[{"code":"lab"}]}`})
	add("withinPattern", "Observation", [2]string{"Observation.category", bySlice("value", "coding.code", "")},
		[2]string{"Observation.category:lab", `"min":1,"patternCodeableConcept":{"coding":[{"code":"lab"}]}`})
	add("byType", "Observation", [2]string{"Observation.value[x]", bySlice("type", "$this", "")},
		[2]string{"Observation.value[x]:valueQuantity", `"min":1,"type":[{"code":"Quantity"}]`}, [2]string{"Observation.value[x]:valueQuantity.unit", `"min":1`})
	add("byPresence", "Patient", [2]string{"Patient.name", bySlice("exists", "period", "")},
		[2]string{"Patient.name:old", `"max":"1"`}, [2]string{"Patient.name:old.period", `"min":1`}, [2]string{"Patient.name:now", `"min":1`}, [2]string{"Patient.name:now.period", `"max":"0"`})
	add("ext", "Extension", [2]string{"Extension.url", `"min":1,"fixedUri":"` + shelfBase + `ext"`}, [2]string{"Extension.value[x]", `"min":1,"type":[{"code":"string"}]`})
	add("extended", "Patient", [2]string{"Patient.extension", bySlice("value", "url", "")},
		[2]string{"Patient.extension:x", `"min":1,"max":"1","type":[{"code":"Extension","profile":["` + shelfBase + `ext"]}]`})
	add("extendedElsewhere", "Patient", [2]string{"Patient.extension", bySlice("value", "url", "")},
		[2]string{"Patient.extension:x", `"type":[{"code":"Extension","profile":["` + shelfBase + `unknown"]}]`})
	add("byProfile", "Bundle", [2]string{"Bundle.entry", bySlice("profile", "resource", "")}, [2]string{"Bundle.entry:p", `"min":1`},
		[2]string{"Bundle.entry:p.resource", `"min":1,"type":[{"code":"Patient","profile":["` + shelfBase + `min"]}]`})
	add("target", "Observation", [2]string{"Observation.subject", `"type":[{"code":"Reference","targetProfile":["` + shelfBase + `min","http://hl7.org/fhir/StructureDefinition/Group"]}]`})
	add("rule", "Patient", [2]string{"Patient.name", `"constraint":[{"key":"n-1","severity":"error","human":"text","expression":"family.exists()"},{"key":"n-2","severity":"warning","human":"better","expression":"given.exists()"}]`})
	add("broken", "Patient", [2]string{"Patient.name", `"constraint":[{"key":"n-1","severity":"error","human":"text","expression":"family.nonsense("}]`})
	add("range", "Patient", [2]string{"Patient.birthDate", `"minValueDate":"1900-01-01"`})
	add("simple", "Observation", [2]string{"Observation.value[x]", `"type":[{"code":"Quantity","profile":["http://hl7.org/fhir/StructureDefinition/SimpleQuantity"]}]`})
	add("content", "Observation", [2]string{"Observation.referenceRange", ""}, [2]string{"Observation.referenceRange.text", `"min":1`},
		[2]string{"Observation.component", ""}, [2]string{"Observation.component.referenceRange", `"contentReference":"#Observation.referenceRange"`})
	add("self", "Patient", [2]string{"Patient.contained", `"type":[{"code":"Resource","profile":["` + shelfBase + `self"]}]`})
	add("asks", "Patient", [2]string{"Patient.name", `"constraint":[{"key":"n-1","severity":"error","human":"text","expression":"%resource.conformsTo('` + shelfBase + `min')"}]`})
	return s
}

const obs = `"status":"final","code":{"text":"x"}`

func TestProfiles(t *testing.T) { // R4 profiling.html
	t.Parallel()
	s := shelved(t)
	terms, err := terminology.New(terminology.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := profile.Checker{Source: s, Terminology: terms}
	p := func(members string) string {
		return strings.Replace(`{"resourceType":"Patient",`+members+`}`, ",}", "}", 1)
	}
	o := func(members string) string { return `{"resourceType":"Observation",` + obs + members + `}` }
	for _, r := range []struct{ profile, data, want string }{
		{"min", p(`"name":[{"text":"a"}]`), "yes"},
		{"min", p(``), "no"},
		{"min", o(``), "no"}, // another type
		{"max", p(`"name":[{"text":"a"}]`), "yes"},
		{"max", p(`"name":[{"text":"a"},{"text":"b"}]`), "no"},
		{"none", p(`"active":true`), "yes"},
		{"none", p(`"photo":[{"title":"a"}]`), "no"},
		{"inner", p(`"active":true`), "yes"},
		{"inner", p(`"name":[{"family":"a"},{"text":"b"}]`), "no"},
		{"length", p(`"name":[{"family":"äöü"}]`), "yes"},
		{"length", p(`"name":[{"family":"äöüß"}]`), "no"},
		{"fixed", p(`"maritalStatus":{"coding":[{"system":"urn:s","code":"M"}]}`), "yes"},
		{"fixed", p(`"maritalStatus":{"coding":[{"code":"M","system":"urn:s"}]}`), "yes"},
		{"fixed", p(`"maritalStatus":{"coding":[{"system":"urn:s","code":"M","display":"m"}]}`), "no"},
		{"fixed", p(`"maritalStatus":{"coding":[{"system":"urn:s","code":"M"},{"code":"x"}]}`), "no"},
		{"fixedCode", p(`"gender":"female"`), "yes"},
		{"fixedCode", p(`"gender":"male"`), "no"},
		{"fixedCode", p(`"_gender":{"extension":[{"url":"urn:x","valueCode":"female"}]}`), "no"},
		{"pattern", p(`"maritalStatus":{"text":"x","coding":[{"code":"other"},{"system":"urn:s","code":"M","display":"m"}]}`), "yes"},
		{"pattern", p(`"maritalStatus":{"coding":[{"code":"M"}]}`), "no"},
		{"type", p(`"deceasedBoolean":true`), "yes"},
		{"type", p(`"deceasedDateTime":"2020"`), "no"},
		{"member", o(`,"valueQuantity":{"value":1}`), "yes"},
		{"member", o(`,"valueString":"1"`), "no"},
		{"bound", p(`"maritalStatus":{"coding":[{"system":"urn:s","code":"M"},{"system":"http://hl7.org/fhir/observation-status","code":"final"}]}`), "yes"},
		{"bound", p(`"maritalStatus":{"coding":[{"system":"http://hl7.org/fhir/observation-status","code":"M"}]}`), "no"},
		{"bound", p(`"maritalStatus":{"text":"final"}`), "no"},
		{"boundElsewhere", p(`"maritalStatus":{"coding":[{"system":"urn:s","code":"M"}]}`), "unsupported"},
		{"boundElsewhere", p(`"active":true`), "yes"},
		{"example", p(`"maritalStatus":{"coding":[{"system":"urn:s","code":"M"}]}`), "yes"},
		{"sliced", p(`"identifier":[{"system":"urn:o"},{"system":"urn:mrn","value":"1"}]`), "yes"},
		{"sliced", p(`"identifier":[{"system":"urn:o","value":"1"}]`), "no"},
		{"sliced", p(`"identifier":[{"system":"urn:mrn"}]`), "no"}, // the slice's own child
		{"sliced", p(`"identifier":[{"system":"urn:mrn","value":"1"},{"system":"urn:mrn","value":"2"}]`), "no"},
		{"closed", p(`"identifier":[{"system":"urn:mrn"}]`), "yes"},
		{"closed", p(`"identifier":[{"system":"urn:mrn"},{"system":"urn:o"}]`), "no"},
		{"ordered", p(`"identifier":[{"system":"urn:mrn"}]`), "unsupported"},
		{"ordered", p(`"active":true`), "yes"},
		{"resolved", o(`,"performer":[{"reference":"Organization/1"}]`), "unsupported"},
		{"categories", o(`,"category":[{"text":"x"},{"coding":[{"system":"urn:s","code":"lab"}]}]`), "yes"},
		{"categories", o(`,"category":[{"coding":[{"code":"vital"}]}]`), "no"},
		{"withinPattern", o(`,"category":[{"coding":[{"code":"lab"}]}]`), "yes"},
		{"withinPattern", o(`,"category":[{"coding":[{"code":"vital"}]}]`), "no"},
		{"byType", o(`,"valueQuantity":{"value":1,"unit":"g"}`), "yes"},
		{"byType", o(`,"valueQuantity":{"value":1}`), "no"},
		{"byType", o(`,"valueString":"1"`), "no"},
		{"byPresence", p(`"name":[{"text":"a"},{"text":"b","period":{"end":"2020"}}]`), "yes"},
		{"byPresence", p(`"name":[{"text":"b","period":{"end":"2020"}}]`), "no"},
		{"extended", p(`"extension":[{"url":"` + shelfBase + `ext","valueString":"x"}]`), "yes"},
		{"extended", p(`"extension":[{"url":"` + shelfBase + `ext","valueBoolean":true}]`), "no"},
		{"extended", p(`"extension":[{"url":"urn:o","valueString":"x"}]`), "no"},
		{"extendedElsewhere", p(`"extension":[{"url":"urn:o","valueString":"x"}]`), "unsupported"},
		{"byProfile", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + p(`"name":[{"text":"a"}]`) + `}]}`, "yes"},
		{"byProfile", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + p(`"active":true`) + `}]}`, "no"},
		{"target", o(`,"subject":{"reference":"Patient/1"}`), "yes"},
		{"target", o(`,"subject":{"reference":"http://o.example/Group/1"}`), "yes"},
		{"target", o(`,"subject":{"reference":"Device/1"}`), "no"},
		{"target", o(`,"subject":{"display":"somebody"}`), "yes"},
		{"rule", p(`"name":[{"family":"a","given":["b"]}]`), "yes"},
		{"rule", p(`"name":[{"family":"a"}]`), "warned"},
		{"rule", p(`"name":[{"given":["b"]}]`), "no"},
		{"broken", p(`"name":[{"given":["b"]}]`), "unsupported"},
		{"range", p(`"birthDate":"1800-01-01"`), "unsupported"},
		{"simple", o(`,"valueQuantity":{"value":1}`), "yes"},
		{"simple", o(`,"valueQuantity":{"value":1,"comparator":"<"}`), "no"},
		{"content", o(`,"component":[{"code":{"text":"x"},"referenceRange":[{"text":"x"}]}]`), "yes"},
		{"content", o(`,"component":[{"code":{"text":"x"},"referenceRange":[{"low":{"value":1}}]}]`), "no"},
		{"self", p(`"contained":[{"resourceType":"Patient"}]`), "yes"},
		{"self", p(`"contained":[{"resourceType":"Basic"}]`), "no"},
		{"self", nested(100), "unsupported"},
		{"asks", p(`"name":[{"text":"a"}]`), "yes"},
		{"unheard", p(`"active":true`), "unknown"},
	} {
		res, err := fhir.Parse([]byte(r.data), fhir.Limits{MaxDepth: 1000})
		if err != nil {
			t.Fatalf("%s: %v", r.data, err)
		}
		issues, err := c.Check(t.Context(), shelfBase+r.profile, fhirpath.Root(res))
		got := "yes"
		switch {
		case errors.Is(err, profile.ErrUnsupported):
			got = "unsupported"
		case errors.Is(err, profile.ErrUnknown):
			got = "unknown"
		case err != nil:
			got = err.Error()
		case issues.HasErrors():
			got = "no"
		case len(issues) > 0:
			got = "warned"
		}
		if got != r.want {
			t.Errorf("%s: %s: %s, want %s (%v)", r.profile, r.data, got, r.want, issues)
		}
	}
}

// nested is a Patient that contains a Patient, and so on.
func nested(n int) string {
	s := `{"resourceType":"Patient"}`
	for range n {
		s = `{"resourceType":"Patient","contained":[` + s + `]}`
	}
	return s
}

func TestSliceOfAProfile(t *testing.T) { // R4 fhirpath.html#functions, slice
	t.Parallel()
	c := profile.Checker{Source: shelved(t)}
	res, err := fhir.Parse([]byte(`{"resourceType":"Patient","identifier":[{"system":"urn:o"},{"system":"urn:mrn","value":"7"}]}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for expression, want := range map[string]string{
		"identifier.slice('" + shelfBase + "sliced', 'mrn').value": "[7]",
		"identifier.slice('" + shelfBase + "sliced', 'none')":      "error",
		"identifier.slice('urn:none', 'mrn')":                      "error",
		"conformsTo('" + shelfBase + "sliced')":                    "[true]",
		"conformsTo('" + shelfBase + "min')":                       "[false]",
	} {
		e, err := fhirpath.Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(res), Profiles: c})
		text := "error"
		if err == nil {
			var parts []string
			for _, item := range got {
				parts = append(parts, strings.Trim(string(fhirpath.AppendJSON(nil, item)), `"`))
			}
			text = "[" + strings.Join(parts, " ") + "]"
		}
		if text != want {
			t.Errorf("%s: %s (%v), want %s", expression, text, err, want)
		}
	}
}

func TestNoProfile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"resourceType":"Patient"}`,
		`{"resourceType":"StructureDefinition"}`,
		`{"resourceType":"StructureDefinition","differential":{"element":[{"id":"Patient","path":"Patient"}]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":[]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":[{"path":"Patient"}]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":[{"id":"Patient"},{"id":"Patient"}]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":[{"id":"Patient"},{"id":"Patient.name.given"}]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":[{"id":"Patient"},{"id":"Patient.name:x"}]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":[{"id":"Patient"},{"id":"Patient.name","max":"many"}]}}`,
		`{"resourceType":"StructureDefinition","snapshot":{"element":"x"}}`,
	} {
		r, err := fhir.Parse([]byte(text), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := profile.Parse(r); !errors.Is(err, profile.ErrNoProfile) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"resourceType":"StructureDefinition","url":"urn:x","type":"Patient","snapshot":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.name","path":"Patient.name","min":1,"max":"1","constraint":[{"expression":"true"}]},{"id":"Patient.name:a","slicing":{"discriminator":[{"type":"value","path":"use"}]}}]}}`))
	data, err := fhir.Parse([]byte(`{"resourceType":"Patient","name":[{"use":"usual"}],"contained":[{"resourceType":"Patient"}]}`), fhir.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := fhir.Parse(text, fhir.Limits{})
		if err != nil {
			return
		}
		s, err := profile.Parse(r)
		if err != nil {
			return
		}
		_, _ = profile.Checker{Source: shelf{"urn:x": s}}.Check(t.Context(), "urn:x", fhirpath.Root(data))
	})
}
