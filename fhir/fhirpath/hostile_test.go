package fhirpath_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// A hostile expression ends with an error, and soon.
func TestHostileExpressionsEnd(t *testing.T) {
	t.Parallel()
	r := sampleResource(t)
	for name, expression := range map[string]string{
		"endless repeat":     "1.repeat($this + 1)",
		"endless text":       "'a'.repeat($this & 'a')",
		"doubling text":      "(1|2|3|4|5|6|7|8|9).aggregate($total & $total & $total & $total & $total & $total & $total & $total, 'abcdefgh')",
		"doubling items":     strings.Repeat("(1|2).select(", 30) + "$this" + strings.Repeat(")", 30),
		"combining":          "descendants().select(%context.descendants().select(%context.descendants().select(%context.descendants())))",
		"growing decimals":   "(1|2|3|4|5|6|7|8|9).select((1|2|3|4|5|6|7|8|9).select((1|2|3|4|5|6|7|8|9).select((1|2|3|4|5|6|7|8|9).select(1.7.power(1000.5)))))",
		"replaced text":      strings.Repeat("'aaaaaaaaaaaaaaaa'", 1) + strings.Repeat(".replace('a', 'aaaaaaaaaaaaaaaa')", 10),
		"nested quantifiers": "'" + strings.Repeat("a", 5000) + "'.matches('(((a{0,30}){0,30}){0,30}){0,30}')",
		"nesting":            strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000),
		"signs":              strings.Repeat("-", 5000) + "1",
		"calls":              strings.Repeat("iif(", 5000) + "true" + strings.Repeat(")", 5000),
		"length":             strings.Repeat("1+", 20000) + "1",
	} {
		start := time.Now()
		e, err := fhirpath.Compile(expression)
		if err == nil {
			// A tenth of the default, to keep the test short.
			limits := fhirpath.Limits{Steps: 200_000, Bytes: 1 << 20}
			_, err = e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(r), Limits: limits})
		}
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s took %s", name, took)
		}
	}
}

// Objects with very many members cost steps by their width.
func TestWideObjectsEnd(t *testing.T) {
	t.Parallel()
	var wide strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&wide, `"x%d":1,`, i)
	}
	text := `{"resourceType":"Patient",` + wide.String() + `"contained":[{` + wide.String() + `"resourceType":"Organization","id":"o"}],"extension":[{` + wide.String() + `"url":"u"}],` +
		`"managingOrganization":{` + wide.String() + `"reference":"#o"},"maritalStatus":{"coding":[{` + wide.String() + `"code":"M"}]}}`
	r, err := fhir.Parse([]byte(text), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range []string{"%context.id", "%context.contained", "%context.extension('u')", "%o.resolve()", "%context.maritalStatus.memberOf('http://hl7.org/fhir/ValueSet/narrative-status')",
		"%context.children()", "%context.maritalStatus.coding.code", "%o.reference", "%context.contained.distinct()"} {
		e, err := fhirpath.Compile("defineVariable('o', managingOrganization).select(1.repeat(iif($this < 20000, $this + 1, {})).select(iif(" + expression + ".empty(), 1, 2)))")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(r), Limits: fhirpath.Limits{Steps: 500_000}})
		if !errors.Is(err, fhirpath.ErrLimit) || time.Since(start) > time.Minute {
			t.Errorf("%s: %v after %s", expression, err, time.Since(start))
		}
	}
}

// ending is a context that ends after some looks at it, on whatever machine.
type ending struct {
	context.Context
	looks int
}

func (e *ending) Err() error {
	if e.looks--; e.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// Work ends with its context.
func TestEvaluationEndsWithItsContext(t *testing.T) {
	t.Parallel()
	e, err := fhirpath.Compile("1.repeat($this + 1)")
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Evaluate(&ending{t.Context(), 10}, fhirpath.Context{Limits: fhirpath.Limits{Steps: 1 << 60}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

// Limits are errors of their own class.
func TestLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		expression string
		limits     fhirpath.Limits
	}{
		{"(1|2|3).select($this + 1)", fhirpath.Limits{Steps: 5}},
		{"1 | 2 | 3", fhirpath.Limits{Items: 2}},
		{"'abc' & 'def'", fhirpath.Limits{Bytes: 5}},
	} {
		e, err := fhirpath.Compile(tt.expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Evaluate(t.Context(), fhirpath.Context{}); err != nil {
			t.Error(tt.expression, err)
		}
		if _, err := e.Evaluate(t.Context(), fhirpath.Context{Limits: tt.limits}); !errors.Is(err, fhirpath.ErrLimit) {
			t.Errorf("%s: %v", tt.expression, err)
		}
	}
	if _, err := fhirpath.Compile(strings.Repeat(" ", fhirpath.MaxExpressionBytes+1)); !errors.Is(err, fhirpath.ErrLimit) {
		t.Error(err)
	}
}

// One expression serves many goroutines.
func TestExpressionsAreConcurrent(t *testing.T) {
	t.Parallel()
	r := sampleResource(t)
	e, err := fhirpath.CompileFor("Patient", "name.given.where($this.matches('^J')).defineVariable('x').select(%x.count().toString() & $this & now().toString())")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 8 {
		go func() {
			for range 50 {
				if c, err := e.Evaluate(context.Background(), fhirpath.Context{Focus: fhirpath.Root(r)}); err != nil || len(c) != 2 {
					done <- errors.New("another result")
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// Resources that break the rules of FHIR are read without a panic.
func TestBrokenResources(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"resourceType":"Patient","name":"x","birthDate":{"a":1},"active":"yes","multipleBirthInteger":1e40,"_active":[1]}`,
		`{"resourceType":"Patient","name":[[{"family":"x"}]],"birthDate":"1974-99","contained":[1,{"resourceType":5},{"x":1}]}`,
		`{"resourceType":"Nothing","name":[{"family":"x"}],"contained":{"resourceType":"Patient","id":"p"}}`,
		`{"resourceType":"Patient","_name":{"id":"x"},"telecom":[null],"extension":[{"extension":null,"valueQuantity":{"value":"5"}}]}`,
	} {
		r, err := fhir.Parse([]byte(text), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, expression := range []string{"descendants()", "children().children()", "name.family | name.given", "birthDate + 1 day", "active and true",
			"multipleBirth * 2", "contained.id", "extension.value > 1 'mg'", "descendants().select($this.toString())", "type().name"} {
			e, err := fhirpath.Compile(expression)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(r)})
		}
	}
}
