package repositorytest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func indexer(t *testing.T, o Opened) repository.Indexer {
	t.Helper()
	x, ok := o.Store.(repository.Indexer)
	if !ok {
		t.Skip("the engine cannot rebuild its index")
	}
	return x
}

func retoken(t *testing.T, o Opened, want int, rs ...repository.Retoken) {
	t.Helper()
	if n, err := indexer(t, o).Retoken(t.Context(), rs); err != nil || n != want {
		t.Fatalf("Retoken changed %d, want %d, %v", n, want, err)
	}
}

func byToken(tokens ...repository.Token) repository.Query {
	q := repository.Query{Type: patient, Limit: 50}
	for _, t := range tokens {
		q.All = append(q.All, []repository.Token{t})
	}
	return q
}

func wantFound(t *testing.T, o Opened, tok repository.Token, want ...repository.Key) {
	t.Helper()
	found := findKeys(t, o.Store, byToken(tok))
	for _, k := range want {
		if found[k] != 1 {
			t.Fatalf("%v was found %d times", k, found[k])
		}
	}
	if len(found) != len(want) {
		t.Fatalf("found %d records, want %d", len(found), len(want))
	}
}

// testRetoken: no new version, no change in the feed, and the next write knows
// which tokens to take away.
func testRetoken(t *testing.T, o Opened) {
	old, kept, fresh := token("old", 1), token("kept", 1), token("new", 1)
	a, b := write(key(patient, 1), 0, old, kept), write(key(patient, 2), 0, old)
	commit(t, o.Store, a, b)
	ka, kb := a.Record.Key, b.Record.Key
	retoken(t, o, 1, repository.Retoken{Key: ka, Version: 1, Tokens: []repository.Token{fresh, kept, fresh}})
	wantFound(t, o, old, kb)
	wantFound(t, o, kept, ka)
	wantFound(t, o, fresh, ka)
	wantStored(t, o.Store, a)
	if n := len(changes(t, o.Store, "")); n != 2 {
		t.Fatalf("%d changes in the feed, want 2", n)
	}
	if page, err := o.Store.History(t.Context(), repository.HistoryRange{Key: ka, Limit: 5}); err != nil || len(page.Records) != 1 {
		t.Fatalf("%d versions, %v", len(page.Records), err)
	}
	retoken(t, o, 1, repository.Retoken{Key: kb, Version: 1})
	wantFound(t, o, old)
	if found := findAll(t, o.Store, repository.Query{Type: patient, Limit: 5}); len(found) != 2 {
		t.Fatalf("found %d without a clause", len(found))
	}
	commit(t, o.Store, write(ka, 1, old))
	wantFound(t, o, kept)
	wantFound(t, o, fresh)
	wantFound(t, o, old, ka)
}

// testRetokenSkips: what is not the current, live version keeps its tokens.
func testRetokenSkips(t *testing.T, o Opened) {
	tok := token("a", 1)
	moved, gone := key(patient, 1), key(patient, 2)
	commit(t, o.Store, write(moved, 0), write(gone, 0, token("b", 1)))
	commit(t, o.Store, write(moved, 1, token("c", 1)), tombstone(gone, 1))
	all := []repository.Token{tok}
	retoken(t, o, 0,
		repository.Retoken{Key: moved, Version: 1, Tokens: all},
		repository.Retoken{Key: gone, Version: 2, Tokens: all},
		repository.Retoken{Key: key(patient, 3), Version: 1, Tokens: all},
		repository.Retoken{Key: key("Unheard", 1), Version: 1, Tokens: all})
	wantFound(t, o, tok)
	wantFound(t, o, token("c", 1), moved)
	retoken(t, o, 0)
	x := indexer(t, o)
	_, err := x.Retoken(cancelled(t), []repository.Retoken{{Key: moved, Version: 2, Tokens: all}})
	wantErr(t, err, context.Canceled)
	wantFound(t, o, tok)
	twice := []repository.Retoken{{Key: moved, Version: 2, Tokens: all}, {Key: moved, Version: 2}}
	if n, err := x.Retoken(t.Context(), twice); err == nil || n != 0 {
		t.Fatalf("a key that stands in the list twice: changed %d, %v", n, err)
	}
	wantFound(t, o, tok)
}

// testRetokenRace: each version carries the token of its number; a rebuild that
// gives version v the token of v, and one more, runs against the writers. In
// the end every record is found by the tokens of its last version only.
func testRetokenRace(t *testing.T, o Opened) {
	const records, versions = 4, 40
	x := indexer(t, o)
	var group sync.WaitGroup
	for n := range records {
		group.Go(func() {
			for v := range repository.Version(versions) {
				w := write(key(patient, n), v, token("v", int(v)+1))
				if _, err := o.Store.Commit(t.Context(), batch(w)); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for last := repository.Version(0); last < versions && !t.Failed(); {
				now, err := o.Store.Get(t.Context(), key(patient, n))
				if errors.Is(err, repository.ErrNotFound) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				last = now.Version
				tokens := []repository.Token{token("v", int(last)), token("rebuilt", 1)}
				if _, err := x.Retoken(t.Context(), []repository.Retoken{{Key: now.Key, Version: last, Tokens: tokens}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for v := 1; v <= versions; v++ {
		want := 0
		if v == versions {
			want = records
		}
		if found := findAll(t, o.Store, byToken(token("v", v))); len(found) != want {
			t.Fatalf("%d found by the token of version %d, want %d", len(found), v, want)
		}
	}
	if found := findAll(t, o.Store, byToken(token("rebuilt", 1))); len(found) != records {
		t.Fatalf("%d of %d were rebuilt", len(found), records)
	}
}

func counter(t *testing.T, o Opened) repository.Counter {
	t.Helper()
	c, ok := o.Store.(repository.Counter)
	if !ok {
		t.Skip("the engine cannot count")
	}
	return c
}

// testCount counts by everything that a query may have.
func testCount(t *testing.T, o Opened) {
	const count = 90
	for n := range count {
		w := owned(write(key(patient, n), 0, token("two", n%2), token("three", n%3), token("n", n)), owner(n%4))
		w.Record.Updated = repository.Stamp(1000 + n)
		commit(t, o.Store, w)
	}
	gone := owned(tombstone(key(patient, 6), 1), owner(2)) // of every kind below
	gone.Record.Updated = 1006
	moved := owned(write(key(patient, 0), 1, token("two", 0), token("three", 0)), owner(1))
	moved.Record.Updated = 5000
	commit(t, o.Store, gone, moved)
	whose := owner(2)
	var many []repository.Token
	for n := range 40 {
		many = append(many, token("n", n))
	}
	six := [][]repository.Token{{token("two", 0)}, {token("three", 0)}}
	for name, q := range map[string]repository.Query{
		"all":              {},
		"a token":          {All: six[:1]},
		"two tokens":       {All: six},
		"many":             {All: [][]repository.Token{many}},
		"many and one":     {All: append([][]repository.Token{many}, six...)},
		"nothing":          {All: [][]repository.Token{{}}},
		"unknown":          {All: [][]repository.Token{{token("none", 1)}}},
		"owner":            {Owner: &whose},
		"owner and token":  {Owner: &whose, All: six},
		"since":            {Since: 1050},
		"until":            {Until: 1007},
		"between":          {Since: 1003, Until: 1080, All: six},
		"all of it":        {Since: 1003, Until: 1080, All: append([][]repository.Token{many}, six...), Owner: &whose},
		"after everything": {Since: 9000},
	} {
		q.Type = patient
		q.Limit = 7
		want := len(findAll(t, o.Store, q))
		q.Limit, q.After = 0, "ignored"
		for most, atMost := range map[int]int{1 << 30: want, want + 1: want, max(want, 1): want, 1: min(want, 1)} {
			n, err := counter(t, o).Count(t.Context(), q, most)
			if err != nil || n != atMost {
				t.Fatalf("%s: counted %d of %d up to %d, %v", name, n, want, most, err)
			}
		}
	}
	if n, err := counter(t, o).Count(t.Context(), repository.Query{Type: "Unheard"}, 5); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	_, err := counter(t, o).Count(cancelled(t), repository.Query{Type: patient}, 5)
	wantErr(t, err, context.Canceled)
}

// testEstimate: small numbers are exact; large ones need be no more than large.
func testEstimate(t *testing.T, o Opened) {
	const large = 150
	count := 3000
	if o.Slow {
		count = 450
	}
	var ws []repository.Write
	for n := range count {
		tokens := []repository.Token{token("all", 1), token("three", n%3)}
		if n < 20 {
			tokens = append(tokens, token("few", n), token("twenty", 1))
		}
		ws = append(ws, write(key(patient, n), 0, tokens...))
	}
	commit(t, o.Store, ws...)
	var few []repository.Token
	for n := range 20 {
		few = append(few, token("few", n))
	}
	for name, c := range map[string]struct {
		anyOf       []repository.Token
		least, most int
	}{
		"none":            {nil, 0, 0},
		"unknown":         {[]repository.Token{token("none", 1)}, 0, 0},
		"twenty":          {[]repository.Token{token("twenty", 1)}, 20, 20},
		"an or":           {few, 20, 20},
		"twice":           {append([]repository.Token{token("twenty", 1)}, few...), 20, 20},
		"unknown or so":   {[]repository.Token{token("none", 1), token("twenty", 1)}, 20, 20},
		"everything":      {[]repository.Token{token("all", 1)}, large, count},
		"a third":         {[]repository.Token{token("three", 2)}, large, count},
		"never above all": {[]repository.Token{token("all", 1), token("three", 1), token("three", 2)}, large, count},
	} {
		n, err := counter(t, o).Estimate(t.Context(), patient, c.anyOf)
		if err != nil || n < c.least || n > c.most {
			t.Errorf("%s: about %d, want %d to %d, %v", name, n, c.least, c.most, err)
		}
	}
	if n, err := counter(t, o).Estimate(t.Context(), "Unheard", few); n != 0 || err != nil {
		t.Fatal(n, err)
	}
}
