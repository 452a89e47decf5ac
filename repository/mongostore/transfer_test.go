package mongostore_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// TestTransactionsOfManyNodesAreWholeOrNot: every node writes two of a few
// shared resources and a new one in one batch, from the versions that it read.
// A batch that lost a race leaves nothing; the versions of the shared resources
// are those of the batches that won, and the feed holds each once, with the
// versions of a batch side by side.
func TestTransactionsOfManyNodesAreWholeOrNot(t *testing.T) {
	t.Parallel()
	const shared, writers, each = 4, 2, 12
	ns := nodes(t)
	for n := range shared {
		if _, err := ns[0].Commit(t.Context(), batch(write(n, 0))); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	won, lost := map[int][2]int{}, []int{} // number of the new resource
	var wg sync.WaitGroup
	for i, s := range ns {
		for w := range writers {
			wg.Go(func() {
				for n := range each {
					number := 100 + (i*writers+w)*each + n
					a := rand.IntN(shared)
					b := (a + 1 + rand.IntN(shared-1)) % shared
					var versions [2]repository.Version
					for j, k := range []int{a, b} {
						now, err := s.Get(t.Context(), key(k))
						if err != nil {
							t.Error(err)
							return
						}
						versions[j] = now.Version
					}
					_, err := s.Commit(t.Context(), batch(write(a, versions[0]), write(number, 0), write(b, versions[1])))
					mu.Lock()
					switch {
					case err == nil:
						won[number] = [2]int{a, b}
					case errors.Is(err, repository.ErrConflict):
						lost = append(lost, number)
					default:
						t.Error(err)
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d batches won, %d lost", len(won), len(lost))
	want := map[repository.Key]repository.Version{}
	for n := range shared {
		want[key(n)] = 1
	}
	for number, pair := range won {
		want[key(number)] = 1
		want[key(pair[0])]++
		want[key(pair[1])]++
	}
	for _, number := range lost {
		if _, err := ns[0].Get(t.Context(), key(number)); !errors.Is(err, repository.ErrNotFound) {
			t.Errorf("a batch that lost left a resource: %v", err)
		}
	}
	for _, s := range ns {
		wantTransfers(t, s, won, want)
	}
}

// wantTransfers: a node's feed ends at the wanted versions, and holds those of
// each batch side by side.
func wantTransfers(t *testing.T, s *mongostore.Store, won map[int][2]int, want map[repository.Key]repository.Version) {
	t.Helper()
	var all []repository.Change
	last := map[repository.Key]repository.Version{}
	for c, err := range s.Changes(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if c.Version != last[c.Key]+1 {
			t.Fatalf("version %d of %v follows %d", c.Version, c.Key, last[c.Key])
		}
		last[c.Key] = c.Version
		all = append(all, c)
	}
	if !maps.Equal(last, want) {
		t.Errorf("the feed ends at %v, want %v", last, want)
	}
	numbers := map[repository.Key]int{}
	for number := range won {
		numbers[key(number)] = number
	}
	for at, c := range all {
		number, isNew := numbers[c.Key]
		if pair := won[number]; isNew && (all[at-1].Key != key(pair[0]) || all[at+1].Key != key(pair[1])) {
			t.Error("the versions of a batch are apart")
		}
	}
}
