package summary_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/summary"
)

const (
	patient = `{"resourceType":"Patient","id":"p","meta":{"versionId":"1"},"text":{"status":"generated","div":"<div/>"},` +
		`"extension":[{"url":"u"}],"modifierExtension":[{"url":"m"}],"identifier":[{"system":"s","value":"v","period":{"start":"2020"}}],` +
		`"active":true,"name":[{"family":"F","_family":{"id":"x"}}],"_birthDate":{"id":"y"},"maritalStatus":{"text":"m"},` +
		`"contact":[{"name":{"family":"C"}}],"communication":[{"language":{"text":"l"},"preferred":true}]}`
	tag = `"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]`
)

func TestShapes(t *testing.T) {
	t.Parallel()
	s := summary.New(definition.Default())
	tests := []struct {
		name  string
		apply func(*fhir.Resource)
		want  string
	}{
		{"true leaves what is marked as summary, at every level", s.Summary,
			`{"resourceType":"Patient","id":"p","meta":{"versionId":"1",` + tag + `},"modifierExtension":[{"url":"m"}],` +
				`"identifier":[{"system":"s","value":"v","period":{"start":"2020"}}],"active":true,` +
				`"name":[{"family":"F","_family":{"id":"x"}}],"_birthDate":{"id":"y"}}`},
		{"text leaves text, id, meta and what is required", s.Text,
			`{"resourceType":"Patient","id":"p","meta":{"versionId":"1",` + tag + `},"text":{"status":"generated","div":"<div/>"}}`},
		{"elements leaves what is named, with siblings and modifiers", func(r *fhir.Resource) { s.Elements(r, []string{"birthDate", "Patient.contact", "name.family"}) },
			`{"resourceType":"Patient","id":"p","meta":{"versionId":"1",` + tag + `},"modifierExtension":[{"url":"m"}],"active":true,` +
				`"name":[{"family":"F","_family":{"id":"x"}}],"_birthDate":{"id":"y"},"contact":[{"name":{"family":"C"}}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := fhir.Parse([]byte(patient), fhir.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			tt.apply(r)
			if got := string(r.AppendJSON(nil)); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestDataDropsTextAlone(t *testing.T) {
	t.Parallel()
	s := summary.New(definition.Default())
	r, err := fhir.Parse([]byte(patient), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	before := r.Root().Len()
	s.Data(r)
	if r.Root().Member("text") != nil || r.Root().Len() != before-1 || !fhir.HasMark(r.Root(), "tag", fhir.Subsetted) {
		t.Errorf("left %s", r.AppendJSON(nil))
	}
}

// TestRequiredElementsStay looks at every official example: what R4 requires at
// the top is in each shape that keeps anything.
func TestRequiredElementsStay(t *testing.T) {
	t.Parallel()
	reg := definition.Default()
	s := summary.New(reg)
	for file, text := range fhirtest.Examples(t) {
		for name, apply := range map[string]func(*fhir.Resource){"summary": s.Summary, "text": s.Text,
			"elements": func(r *fhir.Resource) { s.Elements(r, nil) }} {
			r, err := fhir.Parse(text, fhir.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			had := r.Clone()
			apply(r)
			for _, e := range reg.Type(r.Type()).Elements {
				if e.Min > 0 && !e.Choice && had.Root().Member(e.Name) != nil && r.Root().Member(e.Name) == nil {
					t.Errorf("%s: %s lost the required %s", file, name, e.Path)
				}
			}
		}
	}
}
