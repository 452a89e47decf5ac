package localstore_test

import (
	"encoding/binary"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

// The tokens of plain records say which arithmetic they pass: class, number.
const (
	everyone = iota
	modulo50
	together // 2000 to 3000
	single
	halves
)

func plainToken(class, n int) repository.Token {
	return repository.Token(uint64(class)<<32|uint64(n)+1) * 0x6A09E667F3BCC909
}

// plainStore holds records 0 to count-1 with the tokens above, changed at the
// microseconds from 1,000,000 on.
func plainStore(t testing.TB, count int) *localstore.Store {
	t.Helper()
	s := open(t, localstore.Options{Dir: t.TempDir(), Ballast: -1})
	for n := 0; n < count; {
		var b repository.Batch
		for ; n < count && len(b.Writes) < 2000; n++ {
			r := repository.Record{Key: repository.Key{Type: "Observation"}, Version: 1, Updated: repository.Stamp(1_000_000 + n), Body: []byte("sealed")}
			binary.BigEndian.PutUint64(r.Key.ID[:], uint64(n)*0x9E3779B97F4A7C15)
			r.Tokens = []repository.Token{plainToken(everyone, 0), plainToken(modulo50, n%50), plainToken(single, n), plainToken(halves, 2*n/count)}
			if n >= 2000 && n < 3000 {
				r.Tokens = append(r.Tokens, plainToken(together, 0))
			}
			b.Writes = append(b.Writes, repository.Write{Record: r})
		}
		if _, err := s.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestEstimateTellsMagnitudes, however the entries lie.
func TestEstimateTellsMagnitudes(t *testing.T) {
	t.Parallel()
	const count = 20_000
	s := plainStore(t, count)
	var singles []repository.Token
	for n := range 480 {
		singles = append(singles, plainToken(single, n*40))
	}
	for name, c := range map[string]struct {
		anyOf       []repository.Token
		least, most int
	}{
		"everyone":    {[]repository.Token{plainToken(everyone, 0)}, count / 2, count},
		"spread":      {[]repository.Token{plainToken(modulo50, 3)}, count / 100, count / 25},
		"close by":    {[]repository.Token{plainToken(together, 0)}, 300, 4000},
		"first half":  {[]repository.Token{plainToken(halves, 0)}, count / 4, count},
		"second half": {[]repository.Token{plainToken(halves, 1)}, count / 4, count},
		"a large or":  {singles, 480, 480},
	} {
		n, err := s.Estimate(t.Context(), "Observation", c.anyOf)
		if err != nil || n < c.least || n > c.most {
			t.Errorf("%s: about %d, want %d to %d, %v", name, n, c.least, c.most, err)
		}
	}
}

// TestPlansReadLittle: a list of many entries is not read where another clause
// has few. Page.Read counts entries, samples and rows.
func TestPlansReadLittle(t *testing.T) {
	t.Parallel()
	const count = 20_000
	s := plainStore(t, count)
	all, ten := []repository.Token{plainToken(everyone, 0)}, []repository.Token{}
	var singles []repository.Token
	for n := range 10 {
		ten = append(ten, plainToken(single, n*1999))
	}
	for n := range 400 {
		singles = append(singles, plainToken(single, n*50))
	}
	half, mod := []repository.Token{plainToken(halves, 0), plainToken(halves, 1)}, []repository.Token{plainToken(modulo50, 7)}
	type clauses = [][]repository.Token
	owner := repository.Owner{}
	for name, c := range map[string]struct {
		q          repository.Query
		want, most int
	}{
		"one and all":           {repository.Query{All: clauses{all, {plainToken(single, 77)}}}, 1, 10},
		"ten or, and all":       {repository.Query{All: clauses{all, ten}}, 10, 400},
		"ten or, and half":      {repository.Query{All: clauses{half, ten}}, 10, 600},
		"ten or, of an owner":   {repository.Query{All: clauses{ten}, Owner: &owner}, 10, 400},
		"one and 400 or":        {repository.Query{All: clauses{singles, {plainToken(single, 50)}}}, 1, 10},
		"400 or, and 400":       {repository.Query{All: clauses{singles, mod}}, 0, 2000},
		"nobody":                {repository.Query{All: clauses{all, {12345}}}, 0, 10},
		"a short time":          {repository.Query{All: clauses{all}, Since: 1_005_000, Until: 1_005_010}, 10, 200},
		"a short time alone":    {repository.Query{Since: 1_005_000, Until: 1_005_010}, 10, 100},
		"one in a long time":    {repository.Query{All: clauses{{plainToken(single, 50)}}, Since: 1}, 1, 10},
		"together, of everyone": {repository.Query{All: clauses{all, half, {plainToken(together, 0)}}}, 1000, 3500},
	} {
		q := c.q
		q.Type, q.Limit = "Observation", 5000
		page, err := s.Find(t.Context(), q)
		if err != nil || len(page.Records) != c.want || page.Read > c.most {
			t.Errorf("%s: %d records, want %d, from %d entries, want at most %d, %v", name, len(page.Records), c.want, page.Read, c.most, err)
		}
		if n, err := s.Count(t.Context(), q, 5000); err != nil || n != c.want {
			t.Errorf("%s: counted %d, want %d, %v", name, n, c.want, err)
		}
	}
}

// TestRetokenRefusesADuplicate: the second of two would not see the first.
func TestRetokenRefusesADuplicate(t *testing.T) {
	t.Parallel()
	s := plainStore(t, 1)
	twice := repository.Retoken{Key: repository.Key{Type: "Observation"}, Version: 1}
	if n, err := s.Retoken(t.Context(), []repository.Retoken{twice, twice}); err == nil || n != 0 {
		t.Fatal("a key may stand in the list twice")
	}
}
