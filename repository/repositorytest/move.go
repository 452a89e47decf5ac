package repositorytest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// Target is a store that is being filled, as engines open it.
type Target interface {
	repository.Importer
	Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error]
	Marks(ctx context.Context) (repository.Marks, error)
	Close() error
}

// Source is a store to be read out.
type Source interface {
	repository.Exporter
	Close() error
}

// Movable is one place for a database, empty at first, which a test opens in
// one way after the other.
type Movable struct {
	Open   func(t *testing.T) (Opened, error) // as a server does
	Close  func(t *testing.T)                 // what Open has opened
	Source func(ctx context.Context) (Source, error)
	Target func(ctx context.Context, source string) (Target, error)
}

// TestMove runs the contract of repository.Exporter and repository.Importer.
func TestMove(t *testing.T, at func(t *testing.T) Movable) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, func(*testing.T) Movable)
	}{
		{"a moved store gives the same answers", testMoved},
		{"a move that is interrupted goes on", testMoveInterrupted},
		{"a target that is not filled yet does not open", testMoveUnfinished},
		{"a target with other data is refused", testMoveNotEmpty},
		{"a source in use is refused", testMoveInUse},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, at)
		})
	}
}

// Fill puts a little of everything into a store: versions of several owners,
// tombstones, other tokens, what a purge leaves, tables with odd keys.
func Fill(t *testing.T, o Opened) {
	t.Helper()
	state := uint32(1)
	draw := func(n int) int { // the same in every run
		state = state*1664525 + 1013904223
		return int(state>>16) % n
	}
	now := map[repository.Key]repository.Write{}
	for range 60 {
		k := key([]string{patient, observation}[draw(2)], draw(12))
		w := owned(write(k, now[k].Record.Version), owner(draw(4)))
		stamp, err := o.Store.Stamp(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.Record.Updated = stamp
		if w.Record.Deleted = draw(6) == 0; !w.Record.Deleted {
			for range draw(5) {
				w.Record.Tokens = append(w.Record.Tokens, token("move", draw(6)))
			}
		}
		commit(t, o.Store, w)
		now[k] = w
	}
	if x, ok := o.Store.(repository.Indexer); ok {
		k := key(patient, 1)
		if _, err := x.Retoken(t.Context(), []repository.Retoken{{Key: k, Version: now[k].Record.Version,
			Tokens: []repository.Token{token("move", 5), token("move", 0)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if o.Purger != nil {
		purgeAll(t, o, owner(3), 5)
	}
	for n := range 9 {
		for _, name := range []string{"tokens", "keys", "index"} {
			if _, err := o.Table(name).PutIf(t.Context(), []byte{byte(n), 0, 0xff}, fmt.Appendf(nil, "row %d", n), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := o.Table("keys").PutIf(t.Context(), nil, nil, 0); err != nil {
		t.Fatal(err)
	}
}

// Answers are what a filled store says, in a form to compare.
func Answers(t *testing.T, o Opened) []string {
	t.Helper()
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, c := range changes(t, o.Store, "") {
		say("change %x %v %d %d %v %x", c.Seq, c.Key, c.Version, c.Updated, c.Deleted, c.Owner)
	}
	for _, typ := range []string{patient, observation} {
		for n := range 12 {
			k := key(typ, n)
			r, err := o.Store.Get(t.Context(), k)
			say("get %v %+v %v", k, r, errors.Is(err, repository.ErrNotFound))
			page, err := o.Store.History(t.Context(), repository.HistoryRange{Key: k, Limit: 99})
			say("history %v %+v %v", k, page.Records, err)
		}
		for n := range 6 {
			found := findKeys(t, o.Store, repository.Query{Type: typ, All: [][]repository.Token{{token("move", n)}}, Limit: 9})
			say("find %s %d %v", typ, n, found)
		}
		for n := range 4 {
			whose := owner(n)
			say("owner %d %v", n, findKeys(t, o.Store, repository.Query{Type: typ, Owner: &whose, Limit: 9}))
		}
	}
	for _, name := range []string{"tokens", "keys", "index"} {
		for r, err := range o.Table(name).Scan(t.Context(), nil) {
			say("row %s %x %s %d %v", name, r.Key, r.Value, r.Revision, err)
		}
	}
	return out
}

func filled(t *testing.T, m Movable) (answers []string) {
	t.Helper()
	o := mustOpen(t, m)
	Fill(t, o)
	answers = Answers(t, o)
	m.Close(t)
	return answers
}

func mustOpen(t *testing.T, m Movable) Opened {
	t.Helper()
	o, err := m.Open(t)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return o
}

// exported reads everything behind a place, and the counters.
func exported(t *testing.T, m Movable) (es []repository.Entry, marks repository.Marks) {
	t.Helper()
	s, err := m.Source(t.Context())
	if err != nil {
		t.Fatalf("opening the source: %v", err)
	}
	defer s.Close()
	if err := s.Fence(t.Context()); err != nil {
		t.Fatalf("Fence: %v", err)
	}
	if marks, err = s.Marks(t.Context()); err != nil {
		t.Fatal(err)
	}
	es = entries(t, s, "")
	for _, n := range []int{0, len(es) / 3, len(es) / 2, len(es) - 1} {
		if rest := entries(t, s, es[n].Place()); len(rest) != len(es)-n-1 {
			t.Fatalf("%d entries behind entry %d of %d", len(rest), n, len(es))
		}
	}
	if err := s.Unfence(t.Context()); err != nil {
		t.Fatal(err)
	}
	return es, marks
}

func entries(t *testing.T, s interface {
	Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error]
}, after repository.Place) (es []repository.Entry) {
	t.Helper()
	for e, err := range s.Export(t.Context(), after) {
		if err != nil {
			t.Fatalf("Export: %v", err)
		}
		if e.Place() <= after {
			t.Fatalf("place %x does not follow %x", e.Place(), after)
		}
		after = e.Place()
		es = append(es, e)
	}
	return es
}

func canonical(es []repository.Entry) (out []string) {
	for i := range es {
		out = append(out, string(es[i].AppendCanonical(nil)))
	}
	return out
}

func target(t *testing.T, m Movable, source string) Target {
	t.Helper()
	to, err := m.Target(t.Context(), source)
	if err != nil {
		t.Fatalf("opening the target: %v", err)
	}
	return to
}

func finish(t *testing.T, to Target, marks repository.Marks) {
	t.Helper()
	for range 2 {
		if err := to.Finish(t.Context(), marks); err != nil {
			t.Fatalf("Finish: %v", err)
		}
	}
	if again, err := to.Marks(t.Context()); err != nil || again != marks {
		t.Fatalf("counters %+v, want %+v, %v", again, marks, err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}

func testMoved(t *testing.T, at func(*testing.T) Movable) {
	from, into := at(t), at(t)
	want := filled(t, from)
	es, marks := exported(t, from)
	kinds := map[repository.EntryKind]int{}
	for _, e := range es {
		kinds[e.Kind]++
	}
	if len(kinds) != 3 {
		t.Fatalf("kinds of entries: %v", kinds)
	}
	to := target(t, into, "a")
	if err := to.Import(t.Context(), es); err != nil {
		t.Fatalf("Import: %v", err)
	}
	finish(t, to, marks)
	again, _ := exported(t, into)
	if !slices.Equal(canonical(again), canonical(es)) {
		t.Fatal("what the target exports differs from what it was given")
	}
	o := mustOpen(t, into)
	defer into.Close(t)
	if got := Answers(t, o); !slices.Equal(got, want) {
		t.Fatal("answers differ")
	}
	testMovedGoesOn(t, o, es, marks)
}

// testMovedGoesOn: counters continue, and purged version numbers stay used.
func testMovedGoesOn(t *testing.T, o Opened, es []repository.Entry, marks repository.Marks) {
	stamp, err := o.Store.Stamp(t.Context())
	if err != nil || stamp <= marks.Stamp {
		t.Fatalf("stamp %d after %d, %v", stamp, marks.Stamp, err)
	}
	for _, e := range es {
		if e.Kind == repository.HollowEntry {
			_, err := o.Store.Commit(t.Context(), batch(write(e.Record.Key, 0)))
			wantErr(t, err, repository.ErrConflict)
		}
	}
	k := key(patient, 99)
	w := write(k, 0, token("move", 0))
	w.Record.Updated = stamp
	if seq := commit(t, o.Store, w); seq != repository.Uint64Seq(marks.Position+1) {
		t.Fatalf("position %x after %d", seq, marks.Position)
	}
	if found := findKeys(t, o.Store, repository.Query{Type: patient, All: [][]repository.Token{{token("move", 0)}}, Limit: 9}); found[k] != 1 {
		t.Fatal("a record written after the move is not found")
	}
}

func testMoveInterrupted(t *testing.T, at func(*testing.T) Movable) {
	from, into := at(t), at(t)
	want := filled(t, from)
	es, marks := exported(t, from)
	for n := 0; ; n++ {
		to := target(t, into, "a")
		place, done, err := to.Reached(t.Context())
		if err != nil || done {
			t.Fatal(done, err)
		}
		next := slices.IndexFunc(es, func(e repository.Entry) bool { return e.Place() > place })
		if next < 0 {
			finish(t, to, marks)
			break
		}
		if n%2 == 1 { // a crash after the entries and before the place
			next = max(0, next-2)
		}
		if err := to.Import(t.Context(), es[next:min(len(es), next+9)]); err != nil {
			t.Fatalf("Import: %v", err)
		}
		to.Close()
	}
	to := target(t, into, "a")
	if _, done, err := to.Reached(t.Context()); err != nil || !done {
		t.Fatalf("an ended import says %v, %v", done, err)
	}
	if again := entries(t, to, ""); !slices.Equal(canonical(again), canonical(es)) {
		t.Fatal("what the target exports differs from what it was given")
	}
	to.Close()
	o := mustOpen(t, into)
	defer into.Close(t)
	if got := Answers(t, o); !slices.Equal(got, want) {
		t.Fatal("answers differ")
	}
}

func testMoveUnfinished(t *testing.T, at func(*testing.T) Movable) {
	from, into := at(t), at(t)
	filled(t, from)
	es, _ := exported(t, from)
	to := target(t, into, "a")
	if err := to.Import(t.Context(), es[:5]); err != nil {
		t.Fatal(err)
	}
	to.Close()
	_, err := into.Open(t)
	wantErr(t, err, repository.ErrUnfinished)
	_, err = into.Source(t.Context())
	wantErr(t, err, repository.ErrUnfinished)
	_, err = into.Target(t.Context(), "another")
	wantErr(t, err, repository.ErrNotEmpty)
}

func testMoveNotEmpty(t *testing.T, at func(*testing.T) Movable) {
	m := at(t)
	filled(t, m)
	_, err := m.Target(t.Context(), "a")
	wantErr(t, err, repository.ErrNotEmpty)
}

func testMoveInUse(t *testing.T, at func(*testing.T) Movable) {
	m := at(t)
	commit(t, mustOpen(t, m).Store, write(key(patient, 1), 0))
	if s, err := m.Source(t.Context()); err == nil {
		defer s.Close()
		wantErr(t, s.Fence(t.Context()), repository.ErrInUse)
	}
	m.Close(t)
}
