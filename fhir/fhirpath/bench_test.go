package fhirpath_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

const (
	benchInvariant = "name.all(family.exists() or given.exists()) and (birthDate.empty() or birthDate <= today())"
	benchSearch    = "Patient.name.where(use = 'official').given | Patient.generalPractitioner.where(resolve() is Practitioner)"
)

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := fhirpath.CompileFor("Patient", benchInvariant); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEvaluate(b *testing.B) {
	c := fhirpath.Context{Focus: fhirpath.Root(sampleResource(b)), Resolver: world{}}
	for name, expression := range map[string]string{"invariant": benchInvariant, "search": benchSearch, "path": "name.given", "descendants": "descendants().count()"} {
		b.Run(name, func(b *testing.B) {
			e, err := fhirpath.CompileFor("Patient", expression)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Evaluate(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
