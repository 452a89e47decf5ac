package terminology

import (
	"errors"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// FuzzCompose evaluates hostile value sets over the animals: nothing panics or
// stalls, errors have a class, and membership agrees with the expansion.
func FuzzCompose(f *testing.F) {
	for _, s := range []string{
		filtered("concept", "is-a", "mammal"), filtered("code", "regex", "d.*"), filtered("legs", "in", "0,2"), partial,
		compose(`{"inactive":false,"include":[{"system":"urn:animals"},{"valueSet":["urn:vs:swimmers","urn:vs"]}],"exclude":[{"system":"urn:animals","concept":[{"code":"dog"}]}]}`),
		compose(`{"include":[{"system":"urn:fragment","version":"1","concept":[{"code":"a"}]},{"valueSet":["#a"]}]}`),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := fhir.Parse([]byte(text), fhir.Limits{MaxBytes: 1 << 16})
		if err != nil || r.Type() != "ValueSet" {
			return
		}
		r.Root().Set("url", fhir.NewString("urn:vs"))
		m := zoo(t)
		m.put(r)
		s := newService(t, m)
		list, err := s.Enumerate(t.Context(), "urn:vs", 0)
		checkClass(t, err)
		for _, code := range []string{"animal", "dog", "whale", "dodo", "a", "unicorn"} {
			for _, system := range []string{"urn:animals", "urn:fragment", ""} {
				in, memberErr := s.Contains(t.Context(), "urn:vs", system, code)
				checkClass(t, memberErr)
				if err != nil || system == "" {
					continue
				}
				listed := slices.ContainsFunc(list, func(c Concept) bool { return c.System == system && c.Code == code })
				if memberErr == nil && in != listed || memberErr != nil && listed {
					t.Errorf("%s|%s: member %v, %v, listed %v", system, code, in, memberErr, listed)
				}
			}
		}
	})
}

func checkClass(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, class := range []error{ErrNotFound, ErrNotSupported, ErrInvalid, ErrTooCostly, ErrTooMany} {
		if errors.Is(err, class) {
			return
		}
	}
	t.Errorf("an error without a class: %v", err)
}

// FuzzCodeSystem compiles hostile code systems and walks their hierarchies.
func FuzzCodeSystem(f *testing.F) {
	f.Add(animals)
	f.Add(fragmentSystem)
	f.Add(`{"resourceType":"CodeSystem","content":"complete","concept":[{"code":"a","property":[{"code":"child","valueCode":"A"}],"concept":[{"code":"a"}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := fhir.Parse([]byte(text), fhir.Limits{MaxBytes: 1 << 16})
		if err != nil || r.Type() != "CodeSystem" {
			return
		}
		r.Root().Set("url", fhir.NewString("urn:fuzz"))
		s := newService(t, (&memory{}).add(t, string(r.AppendJSON(nil))))
		cs, _, err := compileCodeSystem(r.Root())
		if err != nil {
			t.Fatal(err)
		}
		for i := range cs.concepts[:min(len(cs.concepts), 20)] {
			code := cs.concepts[i].code
			up, err := s.Ancestors(t.Context(), "urn:fuzz", code)
			checkClass(t, err)
			for _, a := range up {
				if is, err := s.Subsumes(t.Context(), "urn:fuzz", a.Code, code); err != nil || !is {
					t.Errorf("an ancestor does not subsume: %v, %v", is, err)
				}
			}
		}
	})
}
