package search_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// Resources that make a careless extraction pay for every pair of two long
// lists. Each is of some megabytes and must stay within what its bytes cost.
func TestHostileResourcesCostTheirLength(t *testing.T) {
	c := catalog(t)
	const n = 50_000
	list := func(item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	for name, json := range map[string]string{
		"references to contained resources": `{"resourceType":"Provenance","contained":[` + list(`{"resourceType":"Group","id":"a"}`) + `],"target":[` + list(`{"reference":"#b"}`) + `]}`,
		"chromosomes of variants":           `{"resourceType":"MolecularSequence","referenceSeq":{"chromosome":{"coding":[` + list(`{"code":"1"}`) + `]}},"variant":[` + list(`{"start":1,"end":2}`) + `]}`,
		"codings and components":            `{"resourceType":"Observation","code":{"coding":[` + list(`{"code":"1"}`) + `]},"valueQuantity":{"value":1},"component":[` + list(`{"code":{"coding":[{"code":"x"}]},"valueQuantity":{"value":2}}`) + `]}`,
		"samples":                           `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"data":"` + strings.Repeat("1 ", 10*n) + `"}}`,
		"identifiers of many types":         `{"resourceType":"Patient","identifier":[` + list(`{"value":"1","type":{"coding":[{"code":"a"},{"code":"b"}]}}`) + `]}`,
	} {
		r, err := fhir.Parse([]byte(json), fhir.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		start, values := time.Now(), 0
		c.ExtractAll(r, func(_ *search.Parameter, v *search.Value) {
			values++
			for _, part := range v.Parts {
				values += len(part)
			}
		})
		// About 0.2 s on one core of a slow machine; the pairs would take minutes.
		if took := time.Since(start); took > time.Minute || values > 100*n {
			t.Errorf("%s: %d values, %s", name, values, took)
		}
	}
}
