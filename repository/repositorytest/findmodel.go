package repositorytest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// testFindModel asks random queries of many clauses over a thousand
// records, while records are updated, deleted and given other tokens, and
// compares with a look at every record. Tokens are as uneven as real ones: some
// are everywhere, most are nearly nowhere, some lie together.
func testFindModel(t *testing.T, o Opened) {
	f := findModel{t: t, o: o, m: &model{versions: map[repository.Key][]repository.Record{}}, r: rand.New(rand.NewPCG(3, 4))}
	records, questions := 1500, 120
	if o.Slow {
		records, questions = 150, 6
	}
	for n := range records {
		f.m.keys = append(f.m.keys, key(patient, n))
	}
	for n := 0; n < records; n += 150 {
		var ws []repository.Write
		for i := n; i < n+150; i++ {
			ws = append(ws, f.write(i))
		}
		commit(t, o.Store, ws...)
	}
	for range questions {
		f.disturb()
		f.ask()
	}
}

type findModel struct {
	t *testing.T
	o Opened
	m *model
	r *rand.Rand
}

// skewed is below most, and mostly far below.
func (f *findModel) skewed(most int) int {
	return int(float64(most) * math.Pow(f.r.Float64(), 4))
}

func (f *findModel) tokens(n int) (ts []repository.Token) {
	ts = append(ts, token("together", n/40), token("all", 1))
	for range f.r.IntN(12) {
		ts = append(ts, token("skewed", f.skewed(700)))
	}
	return ts
}

// write makes the next version of record n and notes it.
func (f *findModel) write(n int) repository.Write {
	k := f.m.keys[n]
	now, _ := f.m.current(k)
	w := owned(write(k, now.Version, f.tokens(n)...), owner(n/300))
	w.Record.Updated = repository.Stamp(1_000_000 + f.r.IntN(10_000))
	if now.Version > 0 && !now.Deleted && f.r.IntN(4) == 0 {
		w.Record.Deleted, w.Record.Tokens = true, nil
	}
	f.m.versions[k] = append(f.m.versions[k], w.Record)
	return w
}

func (f *findModel) disturb() {
	n := f.r.IntN(len(f.m.keys))
	commit(f.t, f.o.Store, f.write(n))
	x, ok := f.o.Store.(repository.Indexer)
	if !ok {
		return
	}
	n = f.r.IntN(len(f.m.keys))
	now, _ := f.m.current(f.m.keys[n])
	other := f.tokens(n)
	want := 0
	if !now.Deleted {
		want = 1
		f.m.versions[now.Key][now.Version-1].Tokens = other
	}
	if did, err := x.Retoken(f.t.Context(), []repository.Retoken{{Key: now.Key, Version: now.Version, Tokens: other}}); err != nil || did != want {
		f.t.Fatalf("Retoken changed %d, want %d, %v", did, want, err)
	}
}

func (f *findModel) query() repository.Query {
	q := repository.Query{Type: patient, Limit: 1 + f.skewed(300)}
	for range f.r.IntN(5) {
		var c []repository.Token
		switch f.r.IntN(6) {
		case 0:
			c = append(c, token("all", 1))
		case 1:
			c = append(c, token("together", f.r.IntN(70)))
		case 2:
			c = append(c, token("together", f.r.IntN(70)), token("skewed", f.skewed(700)))
		case 3:
			for range f.r.IntN(400) {
				c = append(c, token("skewed", f.r.IntN(900)))
			}
		default:
			c = append(c, token("skewed", f.skewed(800)))
		}
		q.All = append(q.All, c)
	}
	if f.r.IntN(4) == 0 {
		whose := owner(f.r.IntN(10))
		q.Owner = &whose
	}
	if f.r.IntN(3) == 0 {
		q.Since = repository.Stamp(1_000_000 + f.r.IntN(11_000))
	}
	if f.r.IntN(3) == 0 {
		q.Until = repository.Stamp(1_000_000 + f.r.IntN(11_000))
	}
	return q
}

func (f *findModel) ask() {
	q := f.query()
	found := findAll(f.t, f.o.Store, q)
	want := map[repository.Key]bool{}
	for _, k := range f.m.keys {
		if now, _ := f.m.current(k); f.m.matches(now, q) {
			want[k] = true
		}
	}
	for _, r := range found {
		if now, _ := f.m.current(r.Key); !want[r.Key] || r.Version != now.Version {
			f.t.Fatalf("%v was found twice, or does not match: %d clauses, owner %v, since %d, until %d",
				r.Key, len(q.All), q.Owner != nil, q.Since, q.Until)
		}
		delete(want, r.Key)
	}
	if len(want) > 0 {
		f.t.Fatalf("%d matches were not found: %d clauses, owner %v, since %d, until %d",
			len(want), len(q.All), q.Owner != nil, q.Since, q.Until)
	}
	f.m.checkNarrower(f.t, f.o.Store, q, found)
	if c, ok := f.o.Store.(repository.Counter); ok {
		if n, err := c.Count(f.t.Context(), q, 1<<30); err != nil || n != len(found) {
			f.t.Fatalf("counted %d, found %d, %v", n, len(found), err)
		}
	}
}

// checkNarrower: a clause more finds no more, and the order of clauses and of
// their tokens does not matter.
func (m *model) checkNarrower(t *testing.T, s repository.Store, q repository.Query, found []repository.Record) {
	t.Helper()
	turned := q
	turned.All = nil
	for _, c := range slices.Backward(q.All) {
		back := slices.Clone(c)
		slices.Reverse(back)
		turned.All = append(turned.All, back)
	}
	if n := len(findAll(t, s, turned)); n != len(found) {
		t.Fatalf("found %d, and %d when the clauses are turned round", len(found), n)
	}
	turned.All = append(turned.All, []repository.Token{token("all", 1)})
	if n := len(findAll(t, s, turned)); n != len(found) {
		t.Fatalf("found %d, and %d among all", len(found), n)
	}
}
