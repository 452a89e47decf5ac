package mongostore_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// askLog uses every method of a log, each with every shape of query.
func askLog(t *testing.T, s *mongostore.Store) {
	t.Helper()
	ctx := t.Context()
	l, err := s.Log(ctx, "log")
	if err == nil {
		err = l.Append(ctx, entries(20))
	}
	for _, q := range logQueries {
		if err == nil {
			_, err = l.Find(ctx, q)
		}
	}
	if err == nil {
		_, err = l.Range(ctx, "f/a", "f/b", 5)
	}
	if err == nil {
		_, err = l.Last(ctx, "f/a", "f/b")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// entries are n entries of two chains; the last has no time.
func entries(n int) (out []repository.LogEntry) {
	for i := range n {
		out = append(out, repository.LogEntry{ID: fmt.Sprintf("f/%c/%04d", 'a'+rune(i%2), i), Time: int64(100 + i/3),
			Terms: []repository.Token{repository.Token(i % 4), -1}, Body: []byte{byte(i)}})
	}
	out = append(out, repository.LogEntry{ID: "o/a", Body: []byte("a note")})
	slices.SortFunc(out, func(a, b repository.LogEntry) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	return out
}

func terms(ts ...repository.Token) []repository.Token { return ts }

var logQueries = []repository.LogQuery{
	{To: math.MaxInt64, Limit: 50},
	{From: 102, To: 104, Limit: 50},
	{To: math.MaxInt64, Limit: 7},
	{All: [][]repository.Token{terms(1)}, To: math.MaxInt64, Limit: 50},
	{All: [][]repository.Token{terms(1, 2)}, To: math.MaxInt64, Limit: 50},
	{All: [][]repository.Token{terms(3), terms(-1, 77)}, From: 101, To: 105, Limit: 50},
	{All: [][]repository.Token{terms(99)}, To: math.MaxInt64, Limit: 50},
	{All: [][]repository.Token{{}}, To: math.MaxInt64, Limit: 50},
	{To: math.MaxInt64, BeforeTime: 103, BeforeID: "f/a/0010", Limit: 50},
	{All: [][]repository.Token{terms(1)}, To: math.MaxInt64, BeforeTime: 103, BeforeID: "f/b/0009", Limit: 2},
}

// found is what a query selects, by reading everything.
func found(all []repository.LogEntry, q repository.LogQuery) (ids []string) {
	var out []repository.LogEntry
	for _, e := range all {
		carries := func(clause []repository.Token) bool {
			return slices.ContainsFunc(clause, func(t repository.Token) bool { return slices.Contains(e.Terms, t) })
		}
		before := q.BeforeID == "" || e.Time < q.BeforeTime || e.Time == q.BeforeTime && e.ID < q.BeforeID
		if e.Time != 0 && e.Time >= q.From && e.Time <= q.To && before &&
			!slices.ContainsFunc(q.All, func(c []repository.Token) bool { return !carries(c) }) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b repository.LogEntry) int {
		if a.Time != b.Time {
			return int(b.Time - a.Time)
		}
		return slices.Compare([]byte(b.ID), []byte(a.ID))
	})
	for _, e := range out[:min(len(out), q.Limit)] {
		ids = append(ids, e.ID)
	}
	return ids
}

func TestLog(t *testing.T) {
	t.Parallel()
	s, _ := watched(t)
	ctx := t.Context()
	l, err := s.Log(ctx, "log")
	if err != nil {
		t.Fatal(err)
	}
	all := entries(20)
	if err := l.Append(ctx, all); err != nil {
		t.Fatal(err)
	}
	for i, q := range logQueries {
		got, err := l.Find(ctx, q)
		var ids []string
		for _, e := range got {
			ids = append(ids, e.ID)
		}
		if want := found(all, q); err != nil || !slices.Equal(ids, want) {
			t.Errorf("query %d: %v, want %v: %v", i, ids, want, err)
		}
	}
	got, err := l.Range(ctx, "f/a/", "f/a0", 100)
	if err != nil || len(got) != 10 || got[3].ID != "f/a/0006" || got[3].Time != 102 || got[3].Body[0] != 6 || len(got[3].Terms) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	if e, err := l.Last(ctx, "f/a/", "f/a0"); err != nil || e.ID != "f/a/0018" {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := l.Last(ctx, "f/c", "f/d"); !errors.Is(err, repository.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	// A taken place stops the batch there.
	batch := []repository.LogEntry{{ID: "x/1", Body: []byte("1")}, {ID: "o/a", Body: []byte("other")}, {ID: "x/2", Body: []byte("2")}}
	if err := l.Append(ctx, batch); !errors.Is(err, repository.ErrConflict) {
		t.Errorf("got %v", err)
	}
	if got, err := l.Range(ctx, "o/", "y", 10); err != nil || len(got) != 2 || string(got[0].Body) != "a note" || got[1].ID != "x/1" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLogOnlyInsertsAndFinds: its user needs no other privilege there, and one
// batch is one command.
func TestLogOnlyInsertsAndFinds(t *testing.T) {
	t.Parallel()
	s, sent := watched(t)
	ctx := t.Context()
	l, err := s.Log(ctx, "log")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		call func() error
	}{
		{"insert", func() error { return l.Append(ctx, entries(500)) }},
		{"find", func() error { _, err := l.Range(ctx, "f/", "g", 100); return err }},
		{"find", func() error { _, err := l.Last(ctx, "f/", "g"); return err }},
		{"find", func() error { _, err := l.Find(ctx, logQueries[0]); return err }},
		{"find", func() error { _, err := l.Find(ctx, logQueries[5]); return err }},
	} {
		if got := sent.during(func() { err = c.call() }); got != c.want || err != nil {
			t.Errorf("sent %q, want %q: %v", got, c.want, err)
		}
	}
}

// TestOpenLogReadsOnly serves an auditor who may only find.
func TestOpenLogReadsOnly(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	s := open(t, o)
	l, err := s.Log(t.Context(), "log")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), entries(3)); err != nil {
		t.Fatal(err)
	}
	read, err := mongostore.OpenLog(o, "log")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read.Range(t.Context(), "f/", "g", 10); err != nil || len(got) != 3 {
		t.Errorf("%d entries, %v", len(got), err)
	}
	if err := read.Close(); err != nil {
		t.Error(err)
	}
}
