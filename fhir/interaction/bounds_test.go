package interaction

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/search"
)

// TestBoundedSearchesSayWhatToNarrow: past a bound a search is refused, never
// answered in part (decision 25).
func TestBoundedSearchesSayWhatToNarrow(t *testing.T) {
	t.Parallel()
	p := library(t)
	for name, target := range map[string]string{
		"a scan": "Observation?status:not=final", "a sort": "Observation?_sort=date", "a total": "Observation?code:text=x&_summary=count",
		"a chain": "Observation?subject:Patient.gender:not=male",
	} {
		typ, query, _ := strings.Cut(target, "?")
		q, err := p.Catalog.ParseSearch([]string{typ}, query, search.ParseOptions{Bases: []string{base}})
		p.must(err)
		x := p.newFinder(p.as("clinician"), within{path: typ, types: []string{typ}})
		x.call.room = newAllowance()
		x.checked = maxCandidates // as after so many others
		if err = x.resolve(t.Context(), q.Expressions); err == nil {
			_, err = x.page(t.Context(), q, position{})
		}
		f := failure(err)
		if f == nil || f.Kind != Unprocessable || f.Issues[0].Code != "too-costly" || !strings.Contains(f.Error(), "50000") || !strings.Contains(f.Error(), "add a parameter") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSearchesEndAtTheirDeadline in every form, and say so.
func TestSearchesEndAtTheirDeadline(t *testing.T) {
	t.Parallel()
	p := library(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, query := range []string{"code=c1", "_sort=date", "subject:Patient.family=m", "_id=b1&_include=*", "_summary=count", "code:text=x"} {
		a, err := p.Search(ctx, p.as("clinician"), "Observation", query)
		if f := failure(err); a != nil || f == nil || f.Kind != Unavailable {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestHierarchiesAreBounded: a tree of more than maxParts is refused by name.
func TestHierarchiesAreBounded(t *testing.T) {
	t.Parallel()
	r := recursion{c: &search.Condition{Name: "location:below"}, seen: map[string]bool{}}
	for i := range maxParts {
		if fresh, err := r.add("Location", string(rune('a'+i%26))+strings.Repeat("x", i/26)); !fresh || err != nil {
			t.Fatal(i, err)
		}
	}
	_, err := r.add("Location", "one-more")
	if f := failure(err); f == nil || f.Issues[0].Code != "too-costly" || !strings.Contains(f.Error(), "location:below") {
		t.Errorf("got %v", err)
	}
}
