package terminology

import (
	"context"
	"testing"
)

const (
	benchSet  = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode" // is-a over 1,116 concepts
	benchCode = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	genderSet = "http://hl7.org/fhir/ValueSet/administrative-gender"
)

func benchmark(b *testing.B, ask func(ctx context.Context, s *Service) error) {
	s := newService(b, nil)
	if err := ask(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := ask(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkContainsListed(b *testing.B) {
	benchmark(b, func(ctx context.Context, s *Service) error {
		_, err := s.Contains(ctx, genderSet, "http://hl7.org/fhir/administrative-gender", "male")
		return err
	})
}

func BenchmarkContainsIsA(b *testing.B) {
	benchmark(b, func(ctx context.Context, s *Service) error {
		_, err := s.Contains(ctx, benchSet, benchCode, "AMB")
		return err
	})
}

func BenchmarkEnumerateIsA(b *testing.B) {
	benchmark(b, func(ctx context.Context, s *Service) error {
		_, err := s.Enumerate(ctx, benchSet, 0)
		return err
	})
}

func BenchmarkEnumerateWholeSystem(b *testing.B) {
	benchmark(b, func(ctx context.Context, s *Service) error {
		_, err := s.Enumerate(ctx, "http://terminology.hl7.org/ValueSet/v3-ActCode", 0)
		return err
	})
}

// BenchmarkLoadLarge decodes and compiles a large code system each time.
func BenchmarkLoadLarge(b *testing.B) {
	x := embeddedIndex()
	e := x.find(codeSystemType, benchCode, "")
	for b.Loop() {
		compiled(b, x, e, compileCodeSystem)
	}
}

// BenchmarkLoadTypical decodes and compiles a small value set each time.
func BenchmarkLoadTypical(b *testing.B) {
	x := embeddedIndex()
	e := x.find(valueSetType, genderSet, "")
	for b.Loop() {
		compiled(b, x, e, compileValueSet)
	}
}

// BenchmarkIndex is what the first question of a process costs.
func BenchmarkIndex(b *testing.B) {
	for b.Loop() {
		if _, err := readIndex(embedded); err != nil {
			b.Fatal(err)
		}
	}
}
