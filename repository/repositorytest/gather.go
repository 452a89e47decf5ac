package repositorytest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// testGather asks for versions of every kind at once: current and past ones,
// tombstones, those of a resource whose current version was purged while others
// remain, and what never was.
func testGather(t *testing.T, o Opened) {
	g, ok := o.Store.(repository.Gatherer)
	if !ok {
		t.Skip("reading one by one is as good with this engine")
	}
	a, b := owner(1), owner(2)
	commit(t, o.Store, owned(write(key(patient, 1), 0), a), owned(write(key(patient, 2), 0), a), owned(write(key(patient, 3), 0), b))
	commit(t, o.Store, owned(write(key(patient, 1), 1), a), owned(write(key(patient, 3), 1), a))
	commit(t, o.Store, owned(tombstone(key(patient, 2), 1), b))
	var wanted []repository.Wanted
	for n := range 5 {
		for v := range repository.Version(4) {
			wanted = append(wanted, repository.Wanted{Key: key(patient, n), Version: v})
		}
	}
	compare := func(wanted []repository.Wanted) {
		t.Helper()
		got, err := g.Gather(t.Context(), wanted)
		if err != nil || len(got) != len(wanted) {
			t.Fatalf("%d records of %d, %v", len(got), len(wanted), err)
		}
		for i, w := range wanted {
			want, err := one(t, o.Store, w)
			if err != nil && !errors.Is(err, repository.ErrNotFound) {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got[i], want) {
				t.Errorf("%v version %d: %+v, want %+v", w.Key, w.Version, got[i], want)
			}
		}
	}
	compare(wanted)
	compare(append(wanted[7:], wanted[:9]...)) // in any order, and twice
	compare(nil)
	if o.Purger != nil {
		purgeAll(t, o, a, 9)
		compare(wanted)
	}
	if _, err := g.Gather(cancelled(t), wanted); err == nil {
		t.Error("a cancelled context has no effect")
	}
}

func one(t *testing.T, s repository.Store, w repository.Wanted) (repository.Record, error) {
	t.Helper()
	if w.Version == 0 {
		return s.Get(t.Context(), w.Key)
	}
	return s.GetVersion(t.Context(), w.Key, w.Version)
}
