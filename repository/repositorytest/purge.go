package repositorytest

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func purgeAll(t *testing.T, o Opened, whose repository.Owner, limit int) (removed int) {
	t.Helper()
	for {
		n, done, err := o.Purger.PurgeOwner(t.Context(), whose, limit)
		if err != nil {
			t.Fatalf("PurgeOwner: %v", err)
		}
		if removed += n; done {
			return removed
		}
		if n == 0 {
			t.Fatal("a purge that does nothing and is not done")
		}
	}
}

func needPurger(t *testing.T, o Opened) {
	t.Helper()
	if o.Purger == nil {
		t.Skip("the engine cannot purge")
	}
}

func testPurge(t *testing.T, o Opened) {
	needPurger(t, o)
	a, b := owner(1), owner(2)
	tok := token("a", 1)
	for n := range 5 {
		commit(t, o.Store, owned(write(key(patient, n), 0, tok), a), owned(write(key(observation, n), 0, tok), b))
		commit(t, o.Store, owned(write(key(patient, n), 1, tok), a))
	}
	commit(t, o.Store, owned(tombstone(key(patient, 0), 2), a))
	end := lastSeq(changes(t, o.Store, ""))
	if removed := purgeAll(t, o, a, 2); removed != 11 {
		t.Fatalf("removed %d versions, want 11", removed)
	}
	if removed := purgeAll(t, o, a, 2); removed != 0 {
		t.Fatalf("a second purge removed %d versions", removed)
	}
	for n := range 5 {
		k := key(patient, n)
		_, err := o.Store.Get(t.Context(), k)
		wantErr(t, err, repository.ErrNotFound)
		_, err = o.Store.GetVersion(t.Context(), k, 1)
		wantErr(t, err, repository.ErrNotFound)
		wantStored(t, o.Store, owned(write(key(observation, n), 0), b))
	}
	if found := findAll(t, o.Store, repository.Query{Type: patient, Limit: 9}); len(found) != 0 {
		t.Fatal("purged resources are found")
	}
	for _, c := range changes(t, o.Store, "") {
		if c.Owner == a {
			t.Fatal("the feed still names the purged owner")
		}
	}
	again := owned(write(key(patient, 1), 0, tok), a)
	if seq := commit(t, o.Store, again); seq <= end {
		t.Fatal("a position of the feed was used twice")
	}
	wantStored(t, o.Store, again)
}

// testPurgeOthers: resource 1 went from a to b, resource 2 from b to a.
func testPurgeOthers(t *testing.T, o Opened) {
	needPurger(t, o)
	a, b := owner(1), owner(2)
	one, two := key(patient, 1), key(patient, 2)
	commit(t, o.Store, owned(write(one, 0), a), owned(write(two, 0), b))
	commit(t, o.Store, owned(write(one, 1, token("a", 1)), b), owned(write(two, 1, token("a", 1)), a))
	if removed := purgeAll(t, o, a, 10); removed != 2 {
		t.Fatalf("removed %d versions, want 2", removed)
	}
	wantStored(t, o.Store, owned(write(one, 1), b))
	_, err := o.Store.GetVersion(t.Context(), one, 1)
	wantErr(t, err, repository.ErrNotFound)
	_, err = o.Store.Get(t.Context(), two)
	wantErr(t, err, repository.ErrNotFound)
	got, err := o.Store.GetVersion(t.Context(), two, 1)
	if err != nil {
		t.Fatal(err)
	}
	wantRecord(t, got, owned(write(two, 0), b))
	_, err = o.Store.Commit(t.Context(), batch(write(two, 0)))
	wantErr(t, err, repository.ErrConflict)
	q := repository.Query{Type: patient, All: [][]repository.Token{{token("a", 1)}}, Limit: 9}
	if found := findKeys(t, o.Store, q); len(found) != 1 || found[one] != 1 {
		t.Fatalf("found %v", found)
	}
	if removed := purgeAll(t, o, b, 10); removed != 2 {
		t.Fatalf("removed %d versions, want 2", removed)
	}
	commit(t, o.Store, write(two, 0))
}
