package fhirpath_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// fuzzSeeds are the expressions of the invariants, and what a mutation would
// take long to find.
func fuzzSeeds(f *testing.F) {
	f.Helper()
	list, err := invariants()
	if err != nil {
		f.Fatal(err)
	}
	for _, i := range list {
		f.Add(i.expression)
	}
	for _, s := range []string{"@2015-02-04T14:34:28.123+10:00 + 1.5 'ms'", "1.0 'cm2' / 3 'm'", "'a'.replaceMatches('(?<x>.)', '${x}')", "%`vs-x`",
		"repeat($this | children()).aggregate($total & $this.toString())", "defineVariable('x', 1).select(%x)", "-2147483648 div -1", "{}[0]",
		"name.sort(-family desc, given.first())", "4 days.toQuantity('h').lowBoundary(3)", "(1).power(0.5).ln().exp().log(3).round(31)", "'\\u0041'.toChars()"} {
		f.Add(s)
	}
}

// No expression panics, in neither form of compiling.
func FuzzCompile(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, expression string) {
		_, err := fhirpath.Compile(expression)
		_, errStrict := fhirpath.CompileFor("Patient", expression)
		if err != nil && errStrict == nil {
			t.Fatal("the strict form takes what the other does not")
		}
		var e *fhirpath.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("an error of another kind: %v", err)
		}
	})
}

// No evaluation panics or outlives its limits.
func FuzzEvaluate(f *testing.F) {
	fuzzSeeds(f)
	r := sampleResource(f)
	f.Fuzz(func(t *testing.T, expression string) {
		e, err := fhirpath.Compile(expression)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c := fhirpath.Context{Focus: fhirpath.Root(r), Limits: fhirpath.Limits{Steps: 20_000, Items: 10_000, Bytes: 1 << 16}}
		got, err := e.Evaluate(ctx, c)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("the evaluation took 20 seconds")
		}
		for _, item := range got {
			if b := fhirpath.AppendJSON(nil, item); !json.Valid(b) {
				t.Fatalf("%q is no JSON", b)
			}
		}
	})
}
