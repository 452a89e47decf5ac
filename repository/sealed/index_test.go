package sealed

import (
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// find runs a query as interactions do: tokens, then the exact recheck.
func (r *room) find(rawQuery string, visible field.ClassSet) int {
	r.t.Helper()
	e, err := r.catalog.ParseConditions("Patient", rawQuery)
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := r.Plan(r.t.Context(), e, Scope{})
	if err != nil {
		r.t.Fatal(err)
	}
	p.Query.Limit = 10
	page, err := r.engine.Find(r.t.Context(), p.Query)
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, rec := range page.Records {
		st, err := r.Adopt(r.t.Context(), rec)
		if err != nil {
			r.t.Fatal(err)
		}
		tree, err := r.Open(st, visible)
		if err != nil {
			r.t.Fatal(err)
		}
		if ok, err := (search.Matcher{Catalog: r.catalog}).Match(r.t.Context(), e, tree); err != nil {
			r.t.Fatal(err)
		} else if ok {
			n++
		}
	}
	return n
}

func TestIdentifiersAreFoundByEveryForm(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.put(r.draft(patientJSON, nil))
	r.put(r.draft(`{"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:other","value":"other"}]}`, nil))
	for query, want := range map[string]int{
		"identifier=urn:mrn|4711":          1, // R4 search.html#token
		"identifier=4711":                  1,
		"identifier=urn:mrn|":              1,
		"identifier=|bare":                 1,
		"identifier=urn:only|":             1,
		"identifier=|4711":                 0,
		"identifier=urn:other|4711":        0,
		"identifier=urn:mrn|4712":          0,
		"identifier=4711,other":            2,
		"identifier=4711&identifier=bare":  1,
		"identifier=4711&identifier=other": 0,
	} {
		if got := r.find(query, field.AllClasses); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

func TestHiddenIdentifierMatchesNothing(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.put(r.draft(patientJSON, nil))
	masked := field.AllClasses &^ field.Set(field.Identifier)
	for _, query := range []string{"identifier=urn:mrn|4711", "identifier=4711", "identifier=urn:mrn|"} {
		if r.find(query, masked) != 0 {
			t.Errorf("%s matches under a mask that hides identifiers", query)
		}
	}
}

func TestIDsOfAPlanIntersect(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	plan := func(query string) Plan {
		e, err := r.catalog.ParseConditions("Patient", query)
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Plan(t.Context(), e, Scope{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := plan("_id=a,b,b&_id=b,c"); len(p.Keys) != 1 || p.Keys[0] != r.Key("Patient", "b") {
		t.Errorf("keys %v, want b's", p.Keys)
	}
	if p := plan("_id=a&_id=c"); p.Keys == nil || len(p.Keys) != 0 {
		t.Error("contradicting ids must select nothing, not everything")
	}
}

func BenchmarkSealPatient(b *testing.B) {
	r := newRoom(b)
	res := parse(b, patientJSON)
	for b.Loop() {
		if _, err := r.Seal(b.Context(), res, nil, 1, false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadAndOpen(b *testing.B) {
	r := newRoom(b)
	key := r.put(r.draft(patientJSON, nil)).Record.Key
	var buf []byte
	for b.Loop() {
		st, err := r.Load(b.Context(), key)
		if err != nil {
			b.Fatal(err)
		}
		if buf, err = r.AppendOpen(buf[:0], st); err != nil {
			b.Fatal(err)
		}
	}
}
