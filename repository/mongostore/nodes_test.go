package mongostore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

const nodeCount = 4

// nodes opens one database several times, as several processes would.
func nodes(t *testing.T) []*mongostore.Store {
	o := newOptions(t)
	ns := make([]*mongostore.Store, nodeCount)
	for i := range ns {
		ns[i] = open(t, o)
	}
	return ns
}

func key(n int) repository.Key {
	k := repository.Key{Type: "Patient"}
	binary.BigEndian.PutUint64(k.ID[8:], uint64(n))
	return k
}

func write(n int, expect repository.Version, tokens ...repository.Token) repository.Write {
	return repository.Write{Expect: expect, Record: repository.Record{
		Key: key(n), Version: expect + 1, Updated: repository.Stamp(expect+1) * 1000,
		Owner: repository.Owner{1}, Body: fmt.Appendf(nil, "%d/%d", n, expect+1), Tokens: tokens,
	}}
}

func batch(ws ...repository.Write) repository.Batch { return repository.Batch{Writes: ws} }

// TestFeedOfSeveralNodesHasNoGap follows the feed on every node while all of
// them write: what one read passed may never appear later.
func TestFeedOfSeveralNodesHasNoGap(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 15
	ns := nodes(t)
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	followed := make([][]repository.Change, len(ns))
	for i, s := range ns {
		for w := range writers {
			writing.Go(func() {
				for n := range each {
					if _, err := s.Commit(t.Context(), batch(write((i*writers+w)*each+n, 0))); err != nil {
						t.Errorf("Commit: %v", err)
						return
					}
				}
			})
		}
		reading.Go(func() { followed[i] = follow(t, s, done) })
	}
	writing.Wait()
	close(done)
	reading.Wait()
	for i := range ns {
		if got, want := len(followed[i]), nodeCount*writers*each; got != want {
			t.Fatalf("node %d saw %d of %d changes", i, got, want)
		}
		for j, c := range followed[i] {
			if c != followed[0][j] {
				t.Fatalf("node %d saw another change at %d", i, j)
			}
		}
	}
}

// follow reads the feed until done, and once more to its end.
func follow(t *testing.T, s *mongostore.Store, done <-chan struct{}) (all []repository.Change) {
	after := repository.Seq("")
	for last := false; ; {
		for c, err := range s.Changes(t.Context(), after) {
			if err != nil {
				t.Errorf("Changes: %v", err)
				return all
			}
			if c.Seq <= after {
				t.Error("the feed went back")
			}
			after, all = c.Seq, append(all, c)
		}
		if last {
			return all
		}
		select {
		case <-done:
			last = true
		default:
		}
	}
}

// TestOneNodeOfManyWinsAVersion is the lost update between nodes.
func TestOneNodeOfManyWinsAVersion(t *testing.T) {
	t.Parallel()
	const rounds = 10
	ns := nodes(t)
	var won atomic.Int64
	for round := range repository.Version(rounds) {
		var wg sync.WaitGroup
		for _, s := range ns {
			wg.Go(func() {
				_, err := s.Commit(t.Context(), batch(write(1, round)))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, repository.ErrConflict) {
					t.Errorf("Commit: %v", err)
				}
			})
		}
		wg.Wait()
	}
	if won.Load() != rounds {
		t.Fatalf("%d nodes won %d rounds", won.Load(), rounds)
	}
}

// TestConditionalCreatesOfManyNodesMakeOneResource: everyone finds nothing and
// inserts.
func TestConditionalCreatesOfManyNodesMakeOneResource(t *testing.T) {
	t.Parallel()
	ns := nodes(t)
	identifier := repository.Token(-77)
	var created atomic.Int64
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			for {
				ok, err := createUnlessFound(t.Context(), ns[n%nodeCount], n, identifier)
				if errors.Is(err, repository.ErrConflict) {
					continue
				}
				if err != nil {
					t.Error(err)
				} else if ok {
					created.Add(1)
				}
				return
			}
		})
	}
	wg.Wait()
	if created.Load() != 1 {
		t.Fatalf("%d resources with one identifier", created.Load())
	}
}

func createUnlessFound(ctx context.Context, s *mongostore.Store, n int, tok repository.Token) (bool, error) {
	guards, err := s.Guards(ctx, []repository.Token{tok})
	if err != nil {
		return false, err
	}
	page, err := s.Find(ctx, repository.Query{Type: "Patient", All: [][]repository.Token{{tok}}, Limit: 1})
	if err != nil || len(page.Records) > 0 {
		return false, err
	}
	b := batch(write(n, 0, tok))
	b.Expect, b.Bump = guards, []repository.Token{tok}
	_, err = s.Commit(ctx, b)
	return err == nil, err
}

// TestGuardThatIsOnlyExpectedConflictsAcrossNodes: a batch that relies on a
// guard without raising it must not pass beside one that raises it.
func TestGuardThatIsOnlyExpectedConflictsAcrossNodes(t *testing.T) {
	t.Parallel()
	ns := nodes(t)
	tok := repository.Token(5)
	for round := range 10 {
		guards, err := ns[0].Guards(t.Context(), []repository.Token{tok})
		if err != nil {
			t.Fatal(err)
		}
		relies, raises := batch(write(1000+round, 0)), batch(write(2000+round, 0))
		relies.Expect = guards
		raises.Expect, raises.Bump = guards, []repository.Token{tok}
		var wins atomic.Int64
		var wg sync.WaitGroup
		for i, b := range []repository.Batch{relies, raises} {
			wg.Go(func() {
				_, err := ns[i].Commit(t.Context(), b)
				if err == nil {
					wins.Add(1)
				} else if !errors.Is(err, repository.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d of two that exclude each other were committed", round, wins.Load())
		}
	}
}

// TestStampsOfANewNodeLieAboveThoseOfOthers: a node that starts while another
// runs, and one that commits over another's version.
func TestStampsOfANewNodeLieAboveThoseOfOthers(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	first := open(t, o)
	before, err := first.Stamp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, o)
	after, err := second.Stamp(t.Context())
	if err != nil || after <= before {
		t.Fatalf("stamp %d after %d, %v", after, before, err)
	}
	w := write(1, 0)
	w.Record.Updated = after + 3_600_000_000 // a clock that runs an hour ahead
	if _, err := second.Commit(t.Context(), batch(w)); err != nil {
		t.Fatal(err)
	}
	late := write(2, 0)
	late.Record.Updated = before
	if _, err := first.Commit(t.Context(), batch(late)); !errors.Is(err, repository.ErrConflict) {
		t.Fatalf("a write that lags an hour behind another node's: %v", err)
	}
	if late.Record.Updated, err = first.Stamp(t.Context()); err != nil || late.Record.Updated <= w.Record.Updated {
		t.Fatalf("stamp %d of a node that met a version of %d, %v", late.Record.Updated, w.Record.Updated, err)
	}
	if _, err := first.Commit(t.Context(), batch(late)); err != nil {
		t.Fatalf("with a new stamp: %v", err)
	}
}

// TestBusyNodeDoesNotHoldUpAnother: a node that always has something to commit
// leaves the counter free for moments only. Whose turn it is depends on the
// machine too; TestPauseWhileOthersWait says exactly when a node steps back.
func TestBusyNodeDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	const commits, fair = 20, 100
	ns := nodes(t)
	var busy atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := ns[0].Commit(t.Context(), batch(write(n, 0))); err != nil {
				t.Errorf("Commit: %v", err)
				return
			}
			busy.Add(1)
		}
	})
	for busy.Load() == 0 && !t.Failed() {
		time.Sleep(time.Millisecond)
	}
	before := busy.Load()
	for n := range commits {
		if _, err := ns[1].Commit(t.Context(), batch(write(1_000_000+n, 0))); err != nil {
			t.Errorf("Commit: %v", err)
		}
	}
	made := busy.Load() - before
	close(stop)
	wg.Wait()
	if t.Logf("the busy node made %d commits while the other made %d", made, commits); made > commits*fair {
		t.Errorf("the busy node made %d commits while the other made %d", made, commits)
	}
}
