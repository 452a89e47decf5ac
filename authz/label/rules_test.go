package label

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

const file = `
- labels: [R, HIV]
  types: [Observation, Condition]
  codes: ["http://loinc.org|75622-1", "http://snomed.info/sct|86406008"]
- labels: [PSY]
  valueSets: ["http://example.org/vs/psychiatry"]
- labels: ["urn:house|VIP"]
  codes: ["urn:vip|yes"]
`

// sets has the codes of one value set, or fails.
type sets struct{ fails bool }

func (s sets) Contains(_ context.Context, valueSet, _, code string) (bool, error) {
	if s.fails {
		return false, errors.New("unknown value set")
	}
	return valueSet == "http://example.org/vs/psychiatry" && strings.HasPrefix(code, "F"), nil
}

func TestRulesLabelByCodeAndValueSet(t *testing.T) {
	t.Parallel()
	r, err := Parse([]byte(file), []string{"Observation", "Condition", "Patient"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		fails      bool
		want       []field.Label
	}{
		{"a code", `{"resourceType":"Observation","code":{"coding":[{"system":"http://loinc.org","code":"75622-1"}]}}`, false, labels("R", "HIV")},
		{"deep inside", `{"resourceType":"Observation","component":[{"valueCodeableConcept":{"coding":[{"code":"x"},{"system":"http://snomed.info/sct","code":"86406008"}]}}]}`, false, labels("R", "HIV")},
		{"another type", `{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"http://loinc.org","code":"75622-1"}]}}`, false, nil},
		{"another system", `{"resourceType":"Observation","code":{"coding":[{"system":"urn:x","code":"75622-1"}]}}`, false, nil},
		{"a value set", `{"resourceType":"Condition","code":{"coding":[{"system":"urn:icd","code":"F20"}]}}`, false, labels("PSY")},
		{"a value set that cannot be asked", `{"resourceType":"Condition","code":{"coding":[{"system":"urn:icd","code":"A1"}]}}`, true, labels("PSY")},
		{"no code at all", `{"resourceType":"Condition","code":{"text":"F20"}}`, true, nil},
		{"in meta", `{"resourceType":"Patient","meta":{"tag":[{"system":"urn:vip","code":"yes"}]}}`, false, nil},
		{"a label of the house", `{"resourceType":"Patient","extension":[{"url":"urn:e","valueCoding":{"system":"urn:vip","code":"yes"}}]}`, false, []field.Label{{System: "urn:house", Code: "VIP"}}},
	} {
		res, err := fhir.Parse([]byte(c.text), fhir.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.For(t.Context(), res, sets{c.fails}); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if (*Rules)(nil).For(t.Context(), nil, nil) != nil {
		t.Error("no rules have labels")
	}
}

func TestFaultyRulesAreRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"- labels: [R]", "- codes: [\"urn:x|y\"]", "- {labels: [r], codes: [\"urn:x|y\"]}", "- {labels: [R], codes: [y]}",
		"- {labels: [R], codes: [\"urn:x|y\"], types: [Observatoin]}", "- {label: R, codes: [\"urn:x|y\"]}", "- {labels: [R], valueSets: [psychiatry]}", "labels: R", "- {labels: [\"|x\"], codes: [\"urn:x|y\"]}"} {
		if _, err := Parse([]byte(text), []string{"Observation"}); err == nil {
			t.Errorf("accepted: %s", text)
		}
	}
	if _, err := Parse(nil, nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(file))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b, []string{"Observation"})
		if (r == nil) == (err == nil) {
			t.Error("neither rules nor an error")
		}
	})
}
