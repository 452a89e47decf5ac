package fhir_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// syntheaResources returns the compact resources of all Synthea bundles.
func syntheaResources(b *testing.B) (list [][]byte, size int64) {
	for _, data := range fhirtest.Synthea(b) {
		r, err := fhir.Parse(data, fhir.DefaultLimits)
		if err != nil {
			b.Fatal(err)
		}
		entries := r.Root().Member("entry")
		for i := range entries.Len() {
			j := entries.At(i).Member("resource").AppendJSON(nil)
			list, size = append(list, j), size+int64(len(j))
		}
	}
	return list, size
}

func BenchmarkParseSyntheaCompact(b *testing.B) {
	list, size := syntheaResources(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, j := range list {
			if _, err := fhir.Parse(j, fhir.DefaultLimits); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkParseSyntheaBundle(b *testing.B) {
	for name, data := range fhirtest.Synthea(b) {
		b.Run(name[:8], func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := fhir.Parse(data, fhir.DefaultLimits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	list, size := syntheaResources(b)
	var rs []*fhir.Resource
	for _, j := range list {
		r, err := fhir.Parse(j, fhir.DefaultLimits)
		if err != nil {
			b.Fatal(err)
		}
		rs = append(rs, r)
	}
	b.SetBytes(size)
	var dst []byte
	for b.Loop() {
		for _, r := range rs {
			dst = r.AppendJSON(dst[:0])
		}
	}
}
