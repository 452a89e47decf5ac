package repositorytest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// testGuards is the race of conditional creates: everyone looks for the
// identifier and inserts when it is absent.
func testGuards(t *testing.T, o Opened) {
	const requests = 64
	identifier := token("identifier", 1)
	var created, existing atomic.Int64
	var wg sync.WaitGroup
	for n := range requests {
		wg.Go(func() {
			for {
				switch done, err := createUnlessFound(t.Context(), o.Store, key(patient, n), identifier); {
				case errors.Is(err, repository.ErrConflict):
					continue
				case err != nil:
					t.Error(err)
				case done:
					created.Add(1)
				default:
					existing.Add(1)
				}
				return
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 || existing.Load() != requests-1 {
		t.Fatalf("%d created, %d found it existing", created.Load(), existing.Load())
	}
}

func createUnlessFound(ctx context.Context, s repository.Store, k repository.Key, tok repository.Token) (bool, error) {
	guards, err := s.Guards(ctx, []repository.Token{tok})
	if err != nil {
		return false, err
	}
	page, err := s.Find(ctx, repository.Query{Type: k.Type, All: [][]repository.Token{{tok}}, Limit: 1})
	if err != nil || len(page.Records) > 0 {
		return false, err
	}
	b := batch(write(k, 0, tok))
	b.Expect, b.Bump = guards, []repository.Token{tok}
	_, err = s.Commit(ctx, b)
	return err == nil, err
}

func testStaleGuard(t *testing.T, o Opened) {
	tok := token("identifier", 1)
	guards, err := o.Store.Guards(t.Context(), []repository.Token{tok, token("identifier", 2)})
	if err != nil || len(guards) != 2 || guards[0].Token != tok {
		t.Fatalf("guards %v, %v", guards, err)
	}
	b := batch(write(key(patient, 1), 0, tok))
	b.Expect, b.Bump = guards, []repository.Token{tok}
	if _, err := o.Store.Commit(t.Context(), b); err != nil {
		t.Fatalf("a fresh guard: %v", err)
	}
	b = batch(write(key(patient, 2), 0, tok))
	b.Expect, b.Bump = guards, []repository.Token{tok}
	_, err = o.Store.Commit(t.Context(), b)
	wantErr(t, err, repository.ErrConflict)
	_, err = o.Store.Get(t.Context(), key(patient, 2))
	wantErr(t, err, repository.ErrNotFound)
}

// testFeedGapless follows the feed while many write. What lies below the end
// of one read may never appear later.
func testFeedGapless(t *testing.T, o Opened) {
	const writers, each = 16, 40
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for i := range each {
				k := key(patient, n*each+i)
				if _, err := o.Store.Commit(ctx, batch(write(k, 0), write(key(observation, n*each+i), 0))); err != nil {
					t.Errorf("Commit: %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	var followed []repository.Change
	after := repository.Seq("")
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		more := changes(t, o.Store, after)
		if followed = append(followed, more...); len(followed) > 0 {
			after = lastSeq(followed)
		}
	}
	wantSameFeed(t, followed, changes(t, o.Store, ""), 2*writers*each)
}

func wantSameFeed(t *testing.T, got, want []repository.Change, count int) {
	t.Helper()
	if len(got) != count || len(want) != count {
		t.Fatalf("followed %d, read afterwards %d, committed %d", len(got), len(want), count)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("change %d: followed %v, read afterwards %v", i, got[i], want[i])
		}
	}
}

func testFeedResume(t *testing.T, o Opened) {
	k := key(patient, 1)
	first := commit(t, o.Store, owned(write(k, 0), owner(3)), write(key(patient, 2), 0))
	second := commit(t, o.Store, tombstone(k, 1))
	all := changes(t, o.Store, "")
	if len(all) != 3 || all[1].Seq != first || all[2].Seq != second {
		t.Fatalf("feed %v, commits at %x and %x", all, first, second)
	}
	if all[0].Key != k || all[0].Owner != owner(3) || all[0].Version != 1 || all[0].Updated != 1000 {
		t.Fatalf("first change %+v", all[0])
	}
	rest := changes(t, o.Store, first)
	if len(rest) != 1 || rest[0] != all[2] || !rest[0].Deleted || rest[0].Version != 2 {
		t.Fatalf("resumed with %v", rest)
	}
	if more := changes(t, o.Store, second); len(more) != 0 {
		t.Fatalf("%d changes after the end", len(more))
	}
	for _, err := range o.Store.Changes(t.Context(), "not a position") {
		if err == nil {
			t.Fatal("a malformed position was accepted")
		}
	}
}

func testStamps(t *testing.T, o Opened) {
	const callers, each = 8, 200
	seen := make([][]repository.Stamp, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			for range each {
				stamp, err := o.Store.Stamp(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				seen[n] = append(seen[n], stamp)
			}
		})
	}
	wg.Wait()
	distinct := map[repository.Stamp]bool{}
	for _, stamps := range seen {
		for i, stamp := range stamps {
			if distinct[stamp] || i > 0 && stamp <= stamps[i-1] {
				t.Fatalf("stamp %d repeats or falls", stamp)
			}
			distinct[stamp] = true
		}
	}
}
