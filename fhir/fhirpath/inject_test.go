package fhirpath_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// world answers what lies outside of a resource.
type world struct{}

var errOutside = errors.New("outside")

func (world) Resolve(_ context.Context, reference string) (*fhir.Resource, error) {
	switch reference {
	case "Practitioner/1":
		return fhir.Parse([]byte(`{"resourceType":"Practitioner","id":"1"}`), fhir.Limits{})
	case "Practitioner/error":
		return nil, errOutside
	}
	return nil, nil
}

func (world) MemberOf(_ context.Context, valueSet, system, code string) (bool, error) {
	if valueSet != "http://e.org/vs" {
		return false, errOutside
	}
	return code == "male" && system == "" || code == "1-8" && system == "http://loinc.org", nil
}

func (world) Subsumes(_ context.Context, _, ancestor, descendant string) (bool, error) {
	return strings.HasPrefix(descendant, ancestor[:1]), nil
}

func (world) Conforms(_ context.Context, structure string, e *fhirpath.Element) (bool, error) {
	if structure != "http://e.org/profile" {
		return false, errOutside
	}
	return e.Type().Name == "Patient", nil
}

func (world) Slice(_ context.Context, _, name string, e *fhirpath.Element) (bool, error) {
	return e.Node().Member("use").Text() == name, nil
}

// evaluateIn evaluates on JSON with the world around it.
func evaluateIn(t *testing.T, resource, expression string) (fhirpath.Collection, error) {
	t.Helper()
	r, err := fhir.Parse([]byte(resource), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := fhirpath.CompileFor(r.Type(), expression)
	if err != nil {
		t.Fatal(expression, err)
	}
	return e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(r), Resolver: world{}, Terminology: world{}, Profiles: world{},
		Variables: map[string]fhirpath.Collection{"mine": {fhirpath.String("v")}, "none": nil}})
}

// R4 fhirpath.html#functions.
func TestInjectedFunctions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ expression, want string }{
		{"managingOrganization.resolve().name", "string Org"},
		{"managingOrganization.resolve() is Organization", "boolean true"},
		{"contained[0].partOf.resolve().id", "id p"},
		{"generalPractitioner.resolve().id", "id 1"},
		{"generalPractitioner.where(resolve() is Practitioner).reference", "string Practitioner/1"},
		{"('Practitioner/1' | 'Practitioner/2').resolve().id", "id 1"},
		{"'#o'.resolve().name", "string Org"},
		{"'Practitioner/error'.resolve()", "error"},
		{"gender.memberOf('http://e.org/vs')", "boolean true"},
		{"contained.code.memberOf('http://e.org/vs')", "boolean true"},
		{"contained.code.coding.memberOf('http://e.org/vs')", "boolean true"},
		{"'female'.memberOf('http://e.org/vs')", "boolean false"},
		{"gender.memberOf('http://e.org/unknown')", "error"},
		{"name.memberOf('http://e.org/vs')", "error"},
		{"photo.memberOf('http://e.org/vs')", ""},
		{"maritalStatus.subsumes(maritalStatus.coding)", "boolean true"},
		{"maritalStatus.coding.subsumedBy(contained.code)", "error"},
		{"conformsTo('http://e.org/profile')", "boolean true"},
		{"name[0].conformsTo('http://e.org/profile')", "boolean false"},
		{"name.conformsTo('http://e.org/profile')", "error"},
		{"conformsTo('http://e.org/unknown')", "error"},
		{"name.slice('http://e.org/profile', 'usual').given", "string Jim"},
		{"checkModifiers('http://e.org/mod').id", "id p"},
		{"checkModifiers().id", "error"},
		{"name.checkModifiers('x').count()", "integer 2"},
		{"text.`div`.htmlChecks()", "boolean true"},
		{"'<div><script/></div>'.htmlChecks()", "boolean false"},
		{"%mine", "string v"},
		{"%none", ""},
		{"contained.where(id = 'o').select(%resource.id & %rootResource.id)", "string pp"},
		{"name.defineVariable('n').given.select(%n.count())", "integer 2; integer 2; integer 2"},
		{"defineVariable('a', 1).select(%a + 1)", "integer 2"},
		{"defineVariable('a').defineVariable('a')", "error"},
		{"defineVariable('context')", "error"},
		{"defineVariable('a', 1).id | %a", "error"},
		{"name.select(defineVariable('x', use)).select(%x)", "error"},
		{"name.given.trace('t', length()).count()", "integer 3"},
	} {
		got := "error"
		if c, err := evaluateIn(t, sample, tt.expression); err == nil {
			got = strings.Join(show(c), "; ")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.expression, got, tt.want)
		}
	}
}

// R4 bundle.html#references: by fullUrl, relative to the entry's own base, and
// only in the Bundle around the element.
func TestResolveInBundle(t *testing.T) {
	t.Parallel()
	const bundle = `{"resourceType":"Bundle","type":"collection","entry":[
{"fullUrl":"http://e.org/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1","managingOrganization":{"reference":"Organization/2"}}},
{"fullUrl":"http://e.org/fhir/Organization/2","resource":{"resourceType":"Organization","id":"2","partOf":{"reference":"urn:uuid:0c3d9a4e-8c4b-4f1e-9e61-5d0e33b6e0a1"}}},
{"fullUrl":"urn:uuid:0c3d9a4e-8c4b-4f1e-9e61-5d0e33b6e0a1","resource":{"resourceType":"Organization","id":"3","partOf":{"reference":"Organization/2"}}}]}`
	for expression, want := range map[string]string{
		"entry.resource.ofType(Patient).managingOrganization.resolve().id": "id 2",
		"entry[1].resource.partOf.resolve().id":                            "id 3",
		"entry[2].resource.partOf.resolve().id":                            "",
		"'http://e.org/fhir/Patient/1'.resolve().id":                       "id 1",
		"entry.resource.select(%resource.type)":                            "code collection; code collection; code collection",
	} {
		c, err := evaluateIn(t, bundle, expression)
		if got := strings.Join(show(c), "; "); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", expression, got, err, want)
		}
	}
}

// %resource and %rootResource of a contained resource (R4
// fhirpath.html#variables).
func TestContainedContext(t *testing.T) {
	t.Parallel()
	r := sampleResource(t)
	c, err := evaluateStrict(t, r, "contained[0].partOf")
	if err != nil || len(c) != 1 {
		t.Fatal(c, err)
	}
	for expression, want := range map[string]string{"%resource.id": "id o", "%rootResource.id": "id p", "%context.reference": "string #", "resolve().id": "id p"} {
		e, err := fhirpath.Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Evaluate(t.Context(), fhirpath.Context{Focus: c[0]})
		if text := strings.Join(show(got), "; "); err != nil || text != want {
			t.Errorf("%s: %q %v, want %q", expression, text, err, want)
		}
	}
}

// A leap second is a value (R4 datatypes.html#instant).
func TestLeapSecond(t *testing.T) {
	t.Parallel()
	const text = `{"resourceType":"Patient","meta":{"lastUpdated":"2016-12-31T23:59:60Z"},"deceasedDateTime":"2016-12-31T23:60:00Z"}`
	for expression, want := range map[string]string{
		"meta.lastUpdated > @2016-12-31T23:59:59.9Z": "boolean true",
		"meta.lastUpdated < @2017-01-01T00:00:01Z":   "boolean true",
		"deceased.value": "",
	} {
		c, err := evaluateIn(t, text, expression)
		if got := strings.Join(show(c), "; "); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", expression, got, err, want)
		}
	}
}

// Trace and the clock come from the context.
func TestTraceAndClock(t *testing.T) {
	t.Parallel()
	var traced []string
	at := time.Date(2020, 2, 3, 4, 5, 6, 7_800_000, time.FixedZone("", 2*3600))
	e, err := fhirpath.Compile("name.trace('n', given).select(now() | today() | timeOfDay())")
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(sampleResource(t)), Now: at,
		Trace: func(name string, c fhirpath.Collection) { traced = append(append(traced, name), show(c)...) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := "dateTime 2020-02-03T04:05:06.007+02:00; date 2020-02-03; time 04:05:06.007"; strings.Join(show(got[:3]), "; ") != want {
		t.Error(show(got))
	}
	if strings.Join(traced, " ") != "n string Peter string James string Jim" {
		t.Error(traced)
	}
}
