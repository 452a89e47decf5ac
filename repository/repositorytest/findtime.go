package repositorytest

import (
	"context"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func stamped(w repository.Write, at repository.Stamp) repository.Write {
	w.Record.Updated = at
	return w
}

// testFindTimes: Since is inclusive, Until exclusive, of the current version.
func testFindTimes(t *testing.T, o Opened) {
	const count = 200
	for n := range count {
		commit(t, o.Store, stamped(write(key(patient, n), 0, token("odd", n%2)), repository.Stamp(10_000+n)))
	}
	commit(t, o.Store, stamped(write(key(patient, 7), 1, token("odd", 1)), 20_000), stamped(tombstone(key(patient, 8), 1), 20_001))
	odd := [][]repository.Token{{token("odd", 1)}}
	for name, c := range map[string]struct {
		since, until repository.Stamp
		all          [][]repository.Token
		want         int
	}{
		"since the first":      {10_000, 0, nil, count - 1},
		"since the last":       {10_000 + count - 1, 0, nil, 2},
		"since later":          {20_000, 0, nil, 1},
		"since the end":        {20_001, 0, nil, 0},
		"until the first":      {0, 10_000, nil, 0},
		"until the second":     {0, 10_001, nil, 1},
		"between":              {10_005, 10_010, nil, 3},
		"between and odd":      {10_005, 10_010, odd, 2},
		"much, and odd":        {10_000, 20_001, odd, count / 2},
		"an empty range":       {10_010, 10_010, nil, 0},
		"a range that is none": {10_010, 10_005, odd, 0},
	} {
		for _, limit := range []int{1, 3, 500} {
			q := repository.Query{Type: patient, All: c.all, Since: c.since, Until: c.until, Limit: limit}
			found := findKeys(t, o.Store, q)
			for k, n := range found {
				if n != 1 {
					t.Fatalf("%s, limit %d: %v found %d times", name, limit, k, n)
				}
			}
			if len(found) != c.want {
				t.Fatalf("%s, limit %d: found %d, want %d", name, limit, len(found), c.want)
			}
		}
	}
}

// testTimeCursor: records that move to later times while pages are read do not
// come twice, and the others all come.
func testTimeCursor(t *testing.T, o Opened) {
	const count = 60
	for n := range count {
		commit(t, o.Store, stamped(write(key(patient, n), 0), repository.Stamp(1000+n)))
	}
	q := repository.Query{Type: patient, Since: 1, Limit: 4}
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
		for _, n := range []int{2 * round, count - 2 - 2*round} {
			now, err := o.Store.Get(t.Context(), key(patient, n%count))
			if err != nil {
				t.Fatal(err)
			}
			commit(t, o.Store, stamped(write(now.Key, now.Version), now.Updated+5000))
		}
		if round > 2*count {
			t.Fatal("the pages do not end")
		}
	}
	for n := range count {
		got := seen[key(patient, n)]
		if got > 1 || n%2 == 1 && got != 1 {
			t.Fatalf("resource %d was found %d times", n, got)
		}
	}
}

// testFindManyTokens: an OR of hundreds of tokens, alone and with others.
func testFindManyTokens(t *testing.T, o Opened) {
	part := 1
	if o.Slow {
		part = 5
	}
	var ws []repository.Write
	for n := range 1500 / part {
		ws = append(ws, write(key(patient, n), 0, token("n", n), token("three", n%3), token("all", 1)))
	}
	commit(t, o.Store, ws...)
	var evens, rare []repository.Token
	for n := 0; n < 1200/part; n += 2 {
		evens = append(evens, token("n", n))
	}
	for n := range 300 / part {
		rare = append(rare, token("none", n))
	}
	rare = append(rare, token("n", 6), token("n", 600/part), token("n", 7))
	for name, c := range map[string]struct {
		all  [][]repository.Token
		want int
	}{
		"alone":         {[][]repository.Token{evens}, 600 / part},
		"and a third":   {[][]repository.Token{evens, {token("three", 0)}}, 200 / part},
		"and all":       {[][]repository.Token{{token("all", 1)}, evens}, 600 / part},
		"and one":       {[][]repository.Token{{token("n", 10)}, evens}, 1},
		"and none":      {[][]repository.Token{{token("n", 11)}, evens}, 0},
		"two of them":   {[][]repository.Token{evens, rare}, 2},
		"all the same":  {[][]repository.Token{evens, rare, evens, {token("all", 1)}}, 2},
		"one that lies": {[][]repository.Token{append(evens[:3:3], evens...)}, 600 / part},
	} {
		for _, limit := range []int{20, 7000} {
			found := findKeys(t, o.Store, repository.Query{Type: patient, All: c.all, Limit: limit})
			if len(found) != c.want {
				t.Fatalf("%s, limit %d: found %d, want %d", name, limit, len(found), c.want)
			}
			for k, n := range found {
				if n != 1 {
					t.Fatalf("%s, limit %d: %v found %d times", name, limit, k, n)
				}
			}
		}
	}
}

// testFindCancelled: a query without matches ends with its context too.
func testFindCancelled(t *testing.T, o Opened) {
	var ws []repository.Write
	for n := range 2000 {
		ws = append(ws, write(key(patient, n), 0, token("two", n%2)))
	}
	commit(t, o.Store, ws...)
	for name, q := range map[string]repository.Query{
		"all":    {},
		"leaps":  {All: [][]repository.Token{{token("two", 0)}, {token("two", 1)}}},
		"an or":  {All: [][]repository.Token{{token("two", 0), token("two", 1)}}},
		"a time": {Since: 1},
	} {
		q.Type, q.Limit = patient, 10
		if _, err := o.Store.Find(cancelled(t), q); err == nil {
			t.Fatalf("%s: found with a context that had ended", name)
		} else {
			wantErr(t, err, context.Canceled)
		}
		if page, err := o.Store.Find(t.Context(), q); err != nil || len(page.Records) > 0 && page.Read == 0 {
			t.Fatalf("%s: %d records from %d entries, %v", name, len(page.Records), page.Read, err)
		}
	}
}
