package demo_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/internal/demo"
)

func TestBundlesAreNamedCountedAndStable(t *testing.T) {
	t.Parallel()
	var first, second []string
	for name := range demo.Bundles() {
		first = append(first, name)
	}
	for name := range demo.Bundles() {
		second = append(second, name)
	}
	if !slices.Equal(first, second) {
		t.Errorf("names differ between runs: %v and %v", first, second)
	}
	if len(first) != demo.Count() {
		t.Errorf("Count() = %d, Bundles yields %d", demo.Count(), len(first))
	}
	if len(first) < 12 {
		t.Errorf("%d patients, want at least 12", len(first))
	}
	slices.Sort(first)
	if n := len(slices.Compact(first)); n != demo.Count() {
		t.Errorf("%d distinct names, want %d", n, demo.Count())
	}
	for range demo.Bundles() {
		break // a loop may stop early
	}
}

// loner refuses to look anything up: a bundle that needs it is not complete.
type loner struct{}

var errOutside = errors.New("the bundle refers to a resource outside itself")

func (loner) Match(string, string, map[string]bool) ([]string, error)        { return nil, errOutside }
func (loner) Holds(string, string, []*bundle.Entry) ([]*bundle.Entry, error) { return nil, errOutside }
func (loner) Next(*bundle.Entry) (string, error)                             { return "", errOutside }

func TestEveryBundleLoadsByItself(t *testing.T) {
	t.Parallel()
	reg := definition.Default()
	for name, data := range demo.Bundles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := fhir.Parse(data, fhir.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			assigned := 0
			plan, err := bundle.New(r, bundle.Options{Types: bundle.DefinedTypes(reg), NewID: func(*bundle.Entry) string {
				assigned++
				return fmt.Sprintf("id-%d", assigned)
			}})
			if err != nil {
				t.Fatal(err)
			}
			if !plan.Transaction() {
				t.Error("not a transaction")
			}
			if err := plan.Resolve(loner{}); err != nil {
				t.Fatal(err)
			}
			patients := 0
			validator := validation.New(reg)
			for _, e := range plan.Order() {
				if e.Type == "Patient" {
					patients++
				}
				if issues := validator.Validate(e.Resource); issues.HasErrors() {
					t.Errorf("entry %d: %v", e.Index, issues)
				}
			}
			if patients != 1 {
				t.Errorf("%d patients, want 1", patients)
			}
		})
	}
}
