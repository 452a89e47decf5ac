package sealed

import (
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// find runs a query as interactions do: tokens, then the exact recheck.
func (r *room) find(rawQuery string, visible field.ClassSet) int {
	r.t.Helper()
	q, err := r.params.ParseCriteria("Patient", rawQuery)
	if err != nil {
		r.t.Fatal(err)
	}
	p := r.Plan(q)
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
		ok, err := r.Matches(q, st, visible)
		if err != nil {
			r.t.Fatal(err)
		}
		if ok {
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
	id := func(values ...string) search.Criterion {
		c := search.Criterion{Parameter: search.ID}
		for _, v := range values {
			c.Tokens = append(c.Tokens, search.Token{Value: v})
		}
		return c
	}
	p := r.Plan(search.Query{Type: "Patient", Criteria: []search.Criterion{id("a", "b", "b"), id("b", "c")}})
	if len(p.IDs) != 1 || p.IDs[0] != "b" {
		t.Errorf("ids %v, want b", p.IDs)
	}
	if p = r.Plan(search.Query{Type: "Patient", Criteria: []search.Criterion{id("a"), id("c")}}); p.IDs == nil || len(p.IDs) != 0 {
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
