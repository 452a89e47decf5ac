package conformance_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/conformance"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// everything claims all that a Resource can claim, for every type.
func everything() conformance.Served {
	reg := definition.Default()
	s := minimal()
	s.PatchFormats = []string{"application/json-patch+json"}
	s.Security = conformance.Security{CORS: true, Services: []string{"SMART-on-FHIR"}, Description: "bearer tokens",
		OAuth: []conformance.OAuthEndpoint{{Name: "token", URL: "https://ehr.example/oauth/token"}}, Launch: "https://ehr.example/oauth/launch"}
	s.Interactions = []string{"transaction", "batch", "search-system", "history-system"}
	s.Operations = []string{"convert"}
	s.Compartments = []string{"Patient"}
	for _, typ := range reg.ResourceTypes() {
		r := conformance.Resource{
			Type:         typ,
			Interactions: []string{"read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"},
			Versioning:   "versioned-update", ReadHistory: true, UpdateCreate: true, ConditionalCreate: true, ConditionalUpdate: true,
			ConditionalRead: "full-support", ConditionalDelete: "single", ReferencePolicy: []string{"literal", "enforced"},
			Includes: []string{"*"}, RevIncludes: []string{"Provenance:target"}, Operations: []string{"validate"},
		}
		for _, p := range reg.SearchParameters(typ) {
			r.SearchParameters = append(r.SearchParameters, p.Code)
		}
		s.Resources = append(s.Resources, r)
	}
	return s
}

func minimal() conformance.Served {
	return conformance.Served{
		Definitions: definition.Default(), Software: "Fieldseal", Version: "1.2.3", Description: "test & <more>",
		Base: "https://ehr.example/fhir", Published: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
		Formats: []string{"application/fhir+json"},
	}
}

func render(t *testing.T, s conformance.Served) (*fhir.Resource, string) {
	t.Helper()
	b, err := conformance.Statement(s)
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse(b, fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(b)
}

func TestStatementIsValidR4(t *testing.T) {
	t.Parallel()
	v := validation.New(definition.Default())
	for name, s := range map[string]conformance.Served{"everything": everything(), "minimal": minimal()} {
		r, _ := render(t, s)
		if issues := v.Validate(r); issues.HasErrors() {
			t.Errorf("%s: %v", name, issues)
		}
	}
}

func TestStatementClaimsWhatIsServed(t *testing.T) {
	t.Parallel()
	_, text := render(t, everything())
	for _, want := range []string{
		`"fhirVersion":"4.0.1"`, `"kind":"instance"`, `"status":"active"`, `"date":"2026-02-03T04:05:06Z"`, `"test & <more>"`,
		`"mode":"server"`, `"code":"history-system"`, `"cors":true`, `"code":"SMART-on-FHIR"`, `"type":"VisionPrescription"`,
		`"compartment":["http://hl7.org/fhir/CompartmentDefinition/patient"]`, `"conditionalRead":"full-support"`,
		`{"name":"identifier","definition":"http://hl7.org/fhir/SearchParameter/Patient-identifier","type":"token"}`,
		`{"extension":[{"url":"token","valueUri":"https://ehr.example/oauth/token"}],"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"}`,
		`"definition":"http://hl7.org/fhir/OperationDefinition/Resource-validate"`, `"url":"https://ehr.example/fhir"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

// What is not in Served must not appear, not even as a default of the structs
// that render it.
func TestStatementClaimsNothingElse(t *testing.T) {
	t.Parallel()
	s := minimal()
	s.Resources = []conformance.Resource{{Type: "Patient", Interactions: []string{"read"}}}
	r, text := render(t, s)
	rest := r.Root().Member("rest").At(0)
	var got []string
	for i := range rest.Len() {
		got = append(got, rest.At(i).Name())
	}
	if strings.Join(got, " ") != "mode security resource" {
		t.Errorf("rest has %v", got)
	}
	if patient := `"resource":[{"type":"Patient","interaction":[{"code":"read"}]}]`; !strings.Contains(text, patient) {
		t.Errorf("no %s in %s", patient, text)
	}
	for _, claim := range []string{"vread", "search", "conditional", "updateCreate", "patchFormat", "operation", "messaging", "document\""} {
		if strings.Contains(text, claim) {
			t.Errorf("claims %s", claim)
		}
	}
}

func TestStatementRefusesFalseClaims(t *testing.T) {
	t.Parallel()
	s := minimal()
	s.Software, s.Formats = "", nil
	s.Interactions = []string{"search-all"}
	s.Compartments = []string{"Household"}
	s.Operations = []string{"everything"} // exists, but not for the system
	s.Resources = []conformance.Resource{
		{Type: "Nonsense"},
		{Type: "Patient", Interactions: []string{"read", "guess"}, SearchParameters: []string{"shoe-size"}, Versioning: "some"},
		{Type: "Device", ReadHistory: true, UpdateCreate: true, ConditionalCreate: true, ConditionalUpdate: true,
			ConditionalRead: "not-match", ConditionalDelete: "single", Includes: []string{"*"}, Operations: []string{"nothing"}},
		{Type: "Device", ReferencePolicy: []string{""}},
	}
	_, err := conformance.Statement(s)
	for _, want := range []string{
		"software name", "format is missing", `"search-all"`, "compartment Household", "$everything", `"Nonsense"`, `"guess"`,
		"search parameter shoe-size", "search parameters without search-type", `"some"`, "readHistory without vread",
		"updateCreate without update", "conditionalCreate without create", "conditionalUpdate without update",
		"conditionalRead without read", "conditionalDelete without delete", "includes without search-type", "$nothing",
		"Device is listed twice", `"" is no`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if _, err := conformance.Statement(conformance.Served{}); err == nil {
		t.Error("the zero Served has a statement")
	}
}

func BenchmarkStatement(b *testing.B) {
	s := everything()
	for b.Loop() {
		if _, err := conformance.Statement(s); err != nil {
			b.Fatal(err)
		}
	}
}
