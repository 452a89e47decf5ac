package repositorytest

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func testRestart(t *testing.T, o Opened) {
	if o.Reopen == nil {
		t.Skip("the engine has no restart of its own")
	}
	k, tok := key(patient, 1), token("a", 1)
	commit(t, o.Store, write(k, 0, tok), write(key(observation, 1), 0))
	commit(t, o.Store, write(k, 1, tok))
	feed := changes(t, o.Store, "")
	guards, err := o.Store.Guards(t.Context(), []repository.Token{tok})
	if err != nil {
		t.Fatal(err)
	}
	b := batch(write(key(patient, 5), 0))
	b.Bump = []repository.Token{tok}
	if _, err := o.Store.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	stamp, err := o.Store.Stamp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o = o.Reopen(t)
	wantStored(t, o.Store, write(k, 1))
	if again := changes(t, o.Store, ""); len(again) != len(feed)+1 || again[0] != feed[0] {
		t.Fatalf("feed of %d changes, had %d", len(again), len(feed)+1)
	}
	if next, err := o.Store.Stamp(t.Context()); err != nil || next <= stamp {
		t.Fatalf("stamp %d after %d, %v", next, stamp, err)
	}
	b = batch(write(key(patient, 2), 0))
	b.Expect = guards
	_, err = o.Store.Commit(t.Context(), b)
	wantErr(t, err, repository.ErrConflict)
	end := lastSeq(changes(t, o.Store, ""))
	if seq := commit(t, o.Store, write(key(patient, 3), 0, tok)); seq <= end {
		t.Fatal("a position of the feed was used twice")
	}
	q := repository.Query{Type: patient, All: [][]repository.Token{{tok}}, Limit: 9}
	if found := findKeys(t, o.Store, q); len(found) != 2 {
		t.Fatalf("found %v", found)
	}
}
