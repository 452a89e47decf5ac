package search_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// syntheaResources are the entries of the Synthea bundles.
func syntheaResources(t testing.TB) []*fhir.Resource {
	t.Helper()
	var list []*fhir.Resource
	for name, b := range fhirtest.Synthea(t) {
		bundle, err := fhir.Parse(b, fhir.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		entries := bundle.Root().Member("entry")
		for i := range entries.Len() {
			r, err := fhir.NewResource(*entries.At(i).Member("resource"))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			list = append(list, r)
		}
	}
	return list
}

// BenchmarkExtractAll is the goal of 120 µs for all parameters of a typical
// resource: one operation is one resource, every type of the Synthea bundles
// in its share.
func BenchmarkExtractAll(b *testing.B) {
	c := catalog(b)
	list := syntheaResources(b)
	values := 0
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		c.ExtractAll(list[i%len(list)], func(*search.Parameter, *search.Value) { values++ })
		i++
	}
	b.ReportMetric(float64(values)/float64(b.N), "values/op")
}

func BenchmarkNewCatalog(b *testing.B) {
	classes, err := field.DefaultTable(definition.Default())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := search.NewCatalog(definition.Default(), classes); err != nil {
			b.Fatal(err)
		}
	}
}
