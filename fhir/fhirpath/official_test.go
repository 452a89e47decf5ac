package fhirpath_test

import (
	_ "embed" // the invariants
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

//go:embed testdata/invariants.tsv.zst
var invariantsFile []byte

// invariant is an ElementDefinition.constraint with the element that it is for.
type invariant struct {
	base                                   bool // of a type itself, not of a profile
	severity, path, types, key, expression string
}

// context is the type that the invariant is evaluated on, "" for any: that of
// the element, which the definitions of the types may know as an inner one.
func (i invariant) context() string {
	switch {
	case definition.Default().Type(i.path) != nil:
		return i.path
	case definition.Default().Type(i.types) != nil:
		return i.types
	}
	return ""
}

var invariants = sync.OnceValues(func() ([]invariant, error) {
	z, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	raw, err := z.DecodeAll(invariantsFile, nil)
	if err != nil {
		return nil, err
	}
	var list []invariant
	for line := range strings.Lines(string(raw)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		i := invariant{base: f[0] == "base", severity: f[1], path: f[2], types: f[3], key: f[4]}
		if err := json.Unmarshal([]byte(f[5]), &i.expression); err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, nil
})

// faultyInvariants name elements that their types do not have.
var faultyInvariants = map[string]bool{
	"ChargeItemDefinition cid-0": true, // no name in R4
	"Extension inv-1":            true, // the name of a slice
}

// Every invariant of R4 compiles, checked against the type it is for.
func TestInvariantsCompile(t *testing.T) {
	t.Parallel()
	list, err := invariants()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if faultyInvariants[i.path+" "+i.key] {
			if _, err := fhirpath.CompileFor(i.context(), i.expression); !errors.Is(err, fhirpath.ErrSemantic) {
				t.Errorf("%s %s: %v, want a semantic error", i.path, i.key, err)
			}
			continue
		}
		if typ := i.context(); typ != "" {
			_, err = fhirpath.CompileFor(typ, i.expression)
		} else {
			_, err = fhirpath.Compile(i.expression)
		}
		if err != nil {
			t.Errorf("%s %s: %v: %s", i.path, i.key, err, i.expression)
		}
	}
}

// Every search parameter of R4 compiles, also for each of its types.
func TestSearchParametersCompile(t *testing.T) {
	t.Parallel()
	reg := definition.Default()
	for _, p := range reg.AllSearchParameters() {
		if p.Expression == "" {
			continue
		}
		if _, err := fhirpath.Compile(p.Expression); err != nil {
			t.Errorf("%s: %v: %s", p.URL, err, p.Expression)
		}
		for _, base := range p.Base {
			if _, err := fhirpath.CompileFor(base, p.Expression); err != nil {
				t.Errorf("%s on %s: %v: %s", p.URL, base, err, p.Expression)
			}
		}
		for _, c := range p.Components {
			if _, err := fhirpath.Compile(c.Expression); err != nil {
				t.Errorf("%s: %v: %s", p.URL, err, c.Expression)
			}
		}
	}
}

// The invariants of the types hold in the official examples, but for the
// examples that break them.
func TestInvariantsHoldInExamples(t *testing.T) {
	t.Parallel()
	list, err := invariants()
	if err != nil {
		t.Fatal(err)
	}
	byType := map[string][]rule{}
	for _, i := range list {
		if !i.base || i.severity != "error" || definition.Default().Type(i.path) == nil || faultyInvariants[i.path+" "+i.key] {
			continue
		}
		e, err := fhirpath.CompileFor(i.path, i.expression)
		if err != nil {
			t.Fatal(err)
		}
		byType[i.path] = append(byType[i.path], rule{i.key, e})
	}
	all, err := fhirpath.Compile("$this | descendants()")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for name, data := range fhirtest.Examples(t) {
		r, err := fhir.Parse(data, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		elements, err := all.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(r)})
		if err != nil {
			t.Fatal(name, err)
		}
		for _, item := range elements {
			el := item.(*fhirpath.Element)
			for typ := el.Definition(); typ != nil; typ = definition.Default().Type(typ.Base) {
				for _, rule := range byType[typ.Name] {
					checked++
					if fault := rule.check(t, el); fault != "" && !brokenExamples[name+" "+rule.key] {
						t.Errorf("%s %s %s: %s", name, el.Path(), rule.key, fault)
					}
				}
			}
		}
	}
	if checked < 100_000 {
		t.Errorf("only %d invariants were checked", checked)
	}
}

// brokenExamples break an invariant as it is written. que-7 asks whether a
// FHIR.boolean is a System.Boolean, which N1 denies; R5 writes it small.
var brokenExamples = map[string]bool{"Questionnaire-bb.json que-7": true}

type rule struct {
	key string
	e   *fhirpath.Expression
}

func (r rule) check(t *testing.T, el *fhirpath.Element) string {
	got, err := r.e.Evaluate(t.Context(), fhirpath.Context{Focus: el})
	if err != nil {
		return err.Error()
	}
	if len(got) == 0 || len(got) == 1 && got[0] == fhirpath.Boolean(true) {
		return "" // empty is undecided, as ref-1 is for a reference that only has a display
	}
	return fmt.Sprint(show(got))
}
