package repositorytest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func feeder(t *testing.T, o Opened) repository.Feeder {
	t.Helper()
	f, ok := o.Store.(repository.Feeder)
	if !ok {
		t.Skip("the engine's feed cannot be entered at a time")
	}
	return f
}

func testFeedBackwards(t *testing.T, o Opened) {
	f := feeder(t, o)
	for n := range 600 { // more than an engine reads at once
		commit(t, o.Store, write(key(patient, n), 0))
	}
	all := changes(t, o.Store, "")
	for _, from := range []int{len(all), 1, 0, 300, 299, 256, 257} {
		before := repository.Seq("")
		if from < len(all) {
			before = all[from].Seq
		}
		var got []repository.Change
		for c, err := range f.ChangesBefore(t.Context(), before) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, c)
		}
		slices.Reverse(got)
		if !slices.Equal(got, all[:from]) {
			t.Fatalf("before change %d: %d changes, or others", from, len(got))
		}
	}
	for _, err := range f.ChangesBefore(t.Context(), "not a position") {
		if err == nil {
			t.Fatal("a malformed position was accepted")
		}
	}
}

// testFeedSince commits in another order than that of the times, as concurrent
// writers do, also across a restart.
func testFeedSince(t *testing.T, o Opened) {
	feeder(t, o)
	const second = 1_000_000
	writes, most := 2000, 900
	if o.Slow {
		writes, most = 800, 500
	}
	for n := range writes {
		if n == writes/2 && o.Reopen != nil {
			o = o.Reopen(t)
		}
		w := write(key(patient, n), 0)
		w.Record.Updated = repository.Stamp(n+1)*60*second - repository.Stamp(rand.IntN(10*60))*second
		if n == writes/2 { // times after a restart lie above all before it
			w.Record.Updated = repository.Stamp(writes/2+1) * 60 * second
		}
		commit(t, o.Store, w)
	}
	all := changes(t, o.Store, "")
	for range 300 {
		at := repository.Stamp(rand.IntN(writes+10)) * 60 * second
		seq, err := feeder(t, o).Since(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		needless := 0
		for _, c := range all {
			switch {
			case c.Seq <= seq && c.Updated >= at:
				t.Fatalf("since %d: a change of %d lies before the position", at, c.Updated)
			case c.Seq > seq && c.Updated < at:
				needless++
			}
		}
		if needless > most {
			t.Fatalf("since %d: %d earlier changes lie after the position", at, needless)
		}
	}
}

func testFeedLag(t *testing.T, o Opened) {
	feeder(t, o)
	const hour = 3600 * 1_000_000
	late, early := write(key(patient, 1), 0), write(key(patient, 2), 0)
	late.Record.Updated = 2 * hour
	commit(t, o.Store, late)
	_, err := o.Store.Commit(t.Context(), batch(early))
	wantErr(t, err, repository.ErrConflict)
	early.Record.Updated = 2*hour - 1
	commit(t, o.Store, early)
}
