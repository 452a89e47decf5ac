package search_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
)

const ownBase = "https://own.example/fhir"

var r4 = sync.OnceValues(func() (*search.Catalog, error) {
	table, err := field.DefaultTable(definition.Default())
	if err != nil {
		return nil, err
	}
	c, err := search.NewCatalog(definition.Default(), table)
	if err != nil {
		return nil, err
	}
	return c.WithBases(ownBase), nil
})

// failing is what helpers need of a test, one of rapid's among it.
type failing interface {
	Helper()
	Fatal(args ...any)
}

func r4Catalog(t failing) *search.Catalog {
	t.Helper()
	c, err := r4()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parsed(t failing, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fakeTerminology knows one value set and one hierarchy: animal > dog > poodle
// in urn:animals.
type fakeTerminology struct{}

var errUnknownSet = errors.New("unknown value set")

func (fakeTerminology) Contains(_ context.Context, valueSet, system, code string) (bool, error) {
	if valueSet != "urn:vs:dogs" {
		return false, errUnknownSet
	}
	return system == "urn:animals" && (code == "dog" || code == "poodle"), nil
}

func (fakeTerminology) Subsumes(_ context.Context, system, ancestor, descendant string) (bool, error) {
	order := []string{"animal", "dog", "poodle"}
	a, d := slices.Index(order, ancestor), slices.Index(order, descendant)
	return system == "urn:animals" && a >= 0 && d >= a, nil
}

// fakeLinks resolves every Link to the same sets of Type/id.
type fakeLinks struct{ linked, referring []string }

func (f fakeLinks) Linked(_ *search.Link, typ, id string) bool {
	return slices.Contains(f.linked, typ+"/"+id)
}

func (f fakeLinks) Referring(_ *search.Link, typ, id string) bool {
	return slices.Contains(f.referring, typ+"/"+id)
}

// noon is the clock of the tests.
var noon = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)

// row is one query over a corpus and the ids that it must find.
type row struct {
	clause, query string
	want          string // ids in the order of the corpus, separated by blanks
}

// runRows evaluates every row over the resources.
func runRows(t *testing.T, typ string, corpus []string, rows []row) {
	t.Helper()
	c := r4Catalog(t)
	m := search.Matcher{Catalog: c, Terminology: fakeTerminology{}, Links: fakeLinks{}, Now: noon}
	resources := make([]*fhir.Resource, len(corpus))
	for i, s := range corpus {
		resources[i] = parsed(t, `{"resourceType":"`+typ+`",`+s+`}`)
	}
	for _, tt := range rows {
		t.Run(tt.clause+"/"+tt.query, func(t *testing.T) {
			t.Parallel()
			s, err := c.ParseSearch([]string{typ}, tt.query, search.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range resources {
				ok, err := m.Match(t.Context(), s.Expressions[0], r)
				if err != nil {
					t.Fatal(err)
				}
				if ok {
					got = append(got, r.ID())
				}
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("found %q, want %q", got, tt.want)
			}
		})
	}
}
