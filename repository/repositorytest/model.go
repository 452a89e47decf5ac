package repositorytest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldseal/fieldseal/repository"
)

// model is the contract in its simplest form: every version in one list.
type model struct {
	versions map[repository.Key][]repository.Record
	keys     []repository.Key
}

func (m *model) current(k repository.Key) (repository.Record, bool) {
	vs := m.versions[k]
	if len(vs) == 0 {
		return repository.Record{}, false
	}
	return vs[len(vs)-1], true
}

func (m *model) matches(r repository.Record, q repository.Query) bool {
	if r.Deleted || r.Key.Type != q.Type || q.Owner != nil && r.Owner != *q.Owner {
		return false
	}
	if q.Since != 0 && r.Updated < q.Since || q.Until != 0 && r.Updated >= q.Until {
		return false
	}
	for _, clause := range q.All {
		if !slices.ContainsFunc(clause, func(t repository.Token) bool { return slices.Contains(r.Tokens, t) }) {
			return false
		}
	}
	return true
}

// testModel runs random commands on a handful of keys and compares every
// answer. Sequences run one after the other on the same engine with keys of
// their own.
func testModel(t *testing.T, o Opened) {
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		m := &model{versions: map[repository.Key][]repository.Record{}}
		for n := range 5 {
			m.keys = append(m.keys, key(fmt.Sprintf("Type%d", run), n))
		}
		for range rapid.IntRange(1, 12).Draw(rt, "commands") {
			if o.Reopen != nil && rapid.IntRange(0, 40).Draw(rt, "reopen") == 0 {
				o = o.Reopen(t)
			}
			m.commit(rt, o.Store)
			m.retoken(rt, o.Store)
			m.checkFind(rt, o.Store)
		}
		m.checkAll(rt, o.Store)
	})
}

func drawTokens(rt *rapid.T, label string, most int) []repository.Token {
	return rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 5), func(n int) repository.Token {
		return token("model", n)
	}), 0, most).Draw(rt, label)
}

// commit writes one to three keys, now and then with a stale precondition.
func (m *model) commit(rt *rapid.T, s repository.Store) {
	var b repository.Batch
	stale := false
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(m.keys), 1, 3, rapid.ID).Draw(rt, "keys") {
		now, _ := m.current(k)
		expect := now.Version
		if rapid.IntRange(0, 9).Draw(rt, "stale") == 0 {
			expect, stale = expect+1, true
		}
		w := owned(write(k, expect), owner(rapid.IntRange(0, 2).Draw(rt, "owner")))
		w.Record.Updated = repository.Stamp(rapid.IntRange(1, 20).Draw(rt, "updated"))
		if w.Record.Deleted = rapid.IntRange(0, 4).Draw(rt, "delete") == 0; !w.Record.Deleted {
			w.Record.Tokens = drawTokens(rt, "tokens", 4)
		}
		b.Writes = append(b.Writes, w)
	}
	_, err := s.Commit(rt.Context(), b)
	if stale != errors.Is(err, repository.ErrConflict) || !stale && err != nil {
		rt.Fatalf("stale %v: %v", stale, err)
	}
	if stale {
		return
	}
	for _, w := range b.Writes {
		m.versions[w.Record.Key] = append(m.versions[w.Record.Key], w.Record)
	}
}

// retoken gives some keys other tokens, now and then of a version that is not
// the current one.
func (m *model) retoken(rt *rapid.T, s repository.Store) {
	x, ok := s.(repository.Indexer)
	if !ok {
		return
	}
	var rs []repository.Retoken
	want := 0
	for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(m.keys), 0, 2, rapid.ID).Draw(rt, "rebuilt") {
		now, _ := m.current(k)
		r := repository.Retoken{Key: k, Version: now.Version, Tokens: drawTokens(rt, "other tokens", 4)}
		switch {
		case rapid.IntRange(0, 4).Draw(rt, "old") == 0:
			r.Version++
		case now.Version > 0 && !now.Deleted:
			m.versions[k][now.Version-1].Tokens = r.Tokens
			want++
		}
		rs = append(rs, r)
	}
	if n, err := x.Retoken(rt.Context(), rs); err != nil || n != want {
		rt.Fatalf("Retoken changed %d, want %d, %v", n, want, err)
	}
}

func (m *model) checkFind(rt *rapid.T, s repository.Store) {
	q := repository.Query{Type: m.keys[0].Type, Limit: rapid.IntRange(1, 6).Draw(rt, "limit")}
	q.Since = repository.Stamp(max(0, rapid.IntRange(-20, 20).Draw(rt, "since")))
	q.Until = repository.Stamp(max(0, rapid.IntRange(-20, 20).Draw(rt, "until")))
	for range rapid.IntRange(0, 4).Draw(rt, "clauses") {
		q.All = append(q.All, drawTokens(rt, "clause", 3))
	}
	if rapid.Bool().Draw(rt, "by owner") {
		whose := owner(rapid.IntRange(0, 2).Draw(rt, "whose"))
		q.Owner = &whose
	}
	counted := -1
	if c, ok := s.(repository.Counter); ok {
		var err error
		if counted, err = c.Count(rt.Context(), q, 1<<30); err != nil {
			rt.Fatalf("Count: %v", err)
		}
	}
	found := map[repository.Key]int{}
	for {
		page, err := s.Find(rt.Context(), q)
		if err != nil {
			rt.Fatalf("Find: %v", err)
		}
		for _, r := range page.Records {
			found[r.Key]++
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if counted >= 0 && counted != len(found) {
		rt.Fatalf("counted %d, found %d", counted, len(found))
	}
	for _, k := range m.keys {
		now, _ := m.current(k)
		if want := now.Version > 0 && m.matches(now, q); found[k] > 1 || want != (found[k] == 1) {
			rt.Fatalf("%v found %d times, matches %v", k, found[k], want)
		}
	}
}

func (m *model) checkAll(rt *rapid.T, s repository.Store) {
	for _, k := range m.keys {
		want := m.versions[k]
		page, err := s.History(rt.Context(), repository.HistoryRange{Key: k, Limit: len(want) + 1})
		if err != nil || len(page.Records) != len(want) {
			rt.Fatalf("%d versions, want %d, %v", len(page.Records), len(want), err)
		}
		for i, got := range page.Records {
			w := want[len(want)-1-i]
			if got.Version != w.Version || got.Deleted != w.Deleted || got.Owner != w.Owner || string(got.Body) != string(w.Body) {
				rt.Fatalf("version %d of %v: got %+v", w.Version, k, got)
			}
		}
	}
}
