package repositorytest

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// testFindClauses compares every small query with arithmetic: resource n
// carries n mod 2, n mod 3 and n mod 5.
func testFindClauses(t *testing.T, o Opened) {
	const count = 60
	residues := func(n int) []repository.Token {
		return []repository.Token{token("two", n%2), token("three", n%3), token("five", n%5)}
	}
	for n := range count {
		commit(t, o.Store, write(key(patient, n), 0, residues(n)...))
	}
	type clause = []repository.Token
	for name, c := range map[string]struct {
		all   []clause
		match func(n int) bool
	}{
		"all":     {nil, func(int) bool { return true }},
		"one":     {[]clause{{token("two", 1)}}, func(n int) bool { return n%2 == 1 }},
		"or":      {[]clause{{token("five", 1), token("five", 4)}}, func(n int) bool { return n%5 == 1 || n%5 == 4 }},
		"overlap": {[]clause{{token("two", 0), token("three", 0)}}, func(n int) bool { return n%2 == 0 || n%3 == 0 }},
		"and": {[]clause{{token("two", 0)}, {token("three", 1), token("three", 2)}, {token("five", 3)}},
			func(n int) bool { return n%2 == 0 && n%3 != 0 && n%5 == 3 }},
		"same twice": {[]clause{{token("two", 0)}, {token("two", 0)}}, func(n int) bool { return n%2 == 0 }},
		"unknown":    {[]clause{{token("two", 0)}, {token("none", 0)}}, func(int) bool { return false }},
		"empty or":   {[]clause{{token("two", 0)}, {}}, func(int) bool { return false }},
	} {
		for _, limit := range []int{1, 7, count, 2 * count} {
			found := findKeys(t, o.Store, repository.Query{Type: patient, All: c.all, Limit: limit})
			for n := range count {
				want := 0
				if c.match(n) {
					want = 1
				}
				if found[key(patient, n)] != want {
					t.Fatalf("%s, limit %d: resource %d found %d times", name, limit, n, found[key(patient, n)])
				}
			}
		}
	}
}

func testFindTypes(t *testing.T, o Opened) {
	shared := token("a", 1)
	commit(t, o.Store, write(key(patient, 1), 0, shared), write(key(observation, 1), 0, shared))
	for _, typ := range []string{patient, observation} {
		for _, all := range [][][]repository.Token{nil, {{shared}}} {
			found := findAll(t, o.Store, repository.Query{Type: typ, All: all, Limit: 5})
			if len(found) != 1 || found[0].Key != key(typ, 1) {
				t.Fatalf("%s: found %v", typ, found)
			}
		}
	}
	if found := findAll(t, o.Store, repository.Query{Type: "Unheard", Limit: 5}); len(found) != 0 {
		t.Fatal("found resources of an unknown type")
	}
}

func testFindOwner(t *testing.T, o Opened) {
	for n := range 12 {
		commit(t, o.Store, owned(write(key(patient, n), 0, token("odd", n%2)), owner(n%3)))
	}
	moved := owned(write(key(patient, 0), 1, token("odd", 0)), owner(1))
	commit(t, o.Store, moved)
	whose := owner(0)
	found := findKeys(t, o.Store, repository.Query{Type: patient, Owner: &whose, Limit: 2})
	if len(found) != 3 || found[key(patient, 0)] != 0 {
		t.Fatalf("found %v", found)
	}
	even := [][]repository.Token{{token("odd", 0)}}
	found = findKeys(t, o.Store, repository.Query{Type: patient, Owner: &whose, All: even, Limit: 2})
	if len(found) != 1 || found[key(patient, 6)] != 1 {
		t.Fatalf("found %v", found)
	}
}

func testFindLimit(t *testing.T, o Opened) {
	for n := range 4 {
		commit(t, o.Store, write(key(patient, n), 0, token("a", 1)))
	}
	commit(t, o.Store, tombstone(key(patient, 3), 1))
	for _, all := range [][][]repository.Token{nil, {{token("a", 1)}}} {
		page, err := o.Store.Find(t.Context(), repository.Query{Type: patient, All: all, Limit: 3})
		if err != nil || len(page.Records) != 3 || page.Next != "" {
			t.Fatalf("%d records, next %x, %v", len(page.Records), page.Next, err)
		}
	}
	if _, err := o.Store.Find(t.Context(), repository.Query{Type: patient}); err == nil {
		t.Fatal("a limit of zero was accepted")
	}
	for _, after := range []repository.Cursor{"x", "a cursor of no engine at all"} {
		if _, err := o.Store.Find(t.Context(), repository.Query{Type: patient, Limit: 1, After: after}); err == nil {
			t.Fatal("a malformed cursor was accepted")
		}
	}
}

func testOldTokens(t *testing.T, o Opened) {
	k := key(patient, 1)
	keep, drop, add := token("keep", 1), token("drop", 1), token("add", 1)
	commit(t, o.Store, write(k, 0, keep, drop, keep))
	commit(t, o.Store, write(k, 1, add, keep))
	for tok, want := range map[repository.Token]int{keep: 1, drop: 0, add: 1} {
		q := repository.Query{Type: patient, All: [][]repository.Token{{tok}}, Limit: 5}
		if found := findAll(t, o.Store, q); len(found) != want {
			t.Fatalf("found %d, want %d", len(found), want)
		}
	}
}

// testFindCursor updates, deletes and inserts between two pages.
func testFindCursor(t *testing.T, o Opened) {
	const count = 40
	tok := token("a", 1)
	for n := range count {
		commit(t, o.Store, write(key(patient, n), 0, tok))
	}
	for _, all := range [][][]repository.Token{nil, {{tok}}} {
		q := repository.Query{Type: patient, All: all, Limit: 3}
		seen := map[repository.Key]int{}
		for round := 0; ; round++ {
			page, err := o.Store.Find(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.Records {
				seen[r.Key]++
			}
			if q.After = page.Next; q.After == "" {
				break
			}
			disturb(t, o.Store, count, round, tok)
		}
		for n := count / 2; n < count; n++ {
			if seen[key(patient, n)] != 1 {
				t.Fatalf("resource %d, never written, was found %d times", n, seen[key(patient, n)])
			}
		}
	}
}

// disturb writes one old resource of the lower half and one new one.
func disturb(t *testing.T, s repository.Store, count, round int, tok repository.Token) {
	t.Helper()
	k := key(patient, round*7%(count/2))
	now, err := s.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	w := write(k, now.Version, tok)
	if round%3 == 0 && !now.Deleted {
		w = tombstone(k, now.Version)
	}
	fresh, err := s.Stamp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, s, w, write(key(patient, int(fresh)), 0, tok))
}
