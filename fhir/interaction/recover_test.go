package interaction

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// broken is an engine whose commits and reads a test can make fail.
type broken struct {
	repository.Store
	commit, read error
}

func (b *broken) Commit(ctx context.Context, w repository.Batch) (repository.Seq, error) {
	if b.commit != nil {
		return "", b.commit
	}
	return b.Store.Commit(ctx, w)
}

func (b *broken) GetVersion(ctx context.Context, k repository.Key, v repository.Version) (repository.Record, error) {
	if b.read != nil {
		return repository.Record{}, b.read
	}
	return b.Store.GetVersion(ctx, k, v)
}

// lives is a shop whose trail can be opened again, as after a crash.
type lives struct {
	*shop
	engine *broken
	dir    string
	table  *keyringtest.Table
}

func newLives(t *testing.T) *lives {
	t.Helper()
	p := &lives{shop: newShop(t), dir: t.TempDir(), table: keyringtest.NewTable()}
	p.engine = &broken{Store: p.store}
	p.Store = p.engine
	p.rec.forget = true
	p.restart()
	return p
}

// restart opens the trail in a new life.
func (p *lives) restart() {
	p.t.Helper()
	p.must(p.rec.Trail.Close())
	tr, err := trail.Open(p.t.Context(), trail.Options{Dir: p.dir, Origin: "t1", Keys: trail.NewRingKeys(p.ring, p.table), MinFree: 1})
	p.must(err)
	p.t.Cleanup(func() { _ = tr.Close() })
	p.rec.Trail = tr
}

func (p *lives) recover(want ...string) {
	p.t.Helper()
	p.rec.mu.Lock()
	p.rec.events = nil
	p.rec.mu.Unlock()
	n, err := p.Recover(p.t.Context())
	if err != nil || n != len(want) {
		p.t.Fatalf("resolved %d: %v; want %v", n, err, want)
	}
	for i, e := range p.rec.events {
		if got := strings.Join([]string{e.Reason, e.Entities[0].Type}, " "); got != want[i] || e.IntentSeq == 0 {
			p.t.Errorf("intent %d: outcome %v %q, want %q", i, e.Outcome, got, want[i])
		}
	}
}

// TestRecoveryTellsWhatBecameOfInterruptedWrites (decision 33): the process
// died between intent, commit and outcome.
func TestRecoveryTellsWhatBecameOfInterruptedWrites(t *testing.T) {
	t.Parallel()
	p := newLives(t)
	update := func(text string) error {
		_, err := p.Update(t.Context(), p.as("integration"), "Patient", "p1", []byte(text))
		return err
	}
	p.must(update(patient)) // committed, outcome lost
	p.engine.commit = repository.ErrUnavailable
	if err := update(strings.Replace(patient, "Muster", "Lost", 1)); err == nil { // overtaken by the next one
		t.Fatal("a failed commit was acknowledged")
	}
	p.engine.commit = nil
	p.must(update(strings.Replace(patient, "Muster", "Other", 1)))
	p.engine.commit = repository.ErrUnavailable
	if err := update(patient); err == nil { // never committed
		t.Fatal("a failed commit was acknowledged")
	}
	p.engine.commit = nil
	p.restart()
	p.recover("recovered Patient", "superseded Patient", "recovered Patient", "not-committed Patient")
	p.recover() // an outcome resolves for good
	p.restart()
	p.recover()
}

// A store that cannot tell leaves "unknown", and the deletion of a resource is
// an intent as well.
func TestRecoveryOfADeletionAndOfWhatNobodyKnows(t *testing.T) {
	t.Parallel()
	p := newLives(t)
	p.put("Patient", "p1", patient)
	_, err := p.Delete(t.Context(), p.as("integration"), "Patient", "p1")
	p.must(err)
	p.restart()
	p.engine.read = errors.New("the disk does not answer")
	p.recover("store-unreadable Patient", "store-unreadable Patient")
	for _, e := range p.rec.events {
		if e.Outcome != audit.Unknown {
			t.Errorf("outcome %v", e.Outcome)
		}
	}
	p.engine.read = nil
	if _, err := p.Delete(t.Context(), p.as("integration"), "Patient", "p1"); err != nil {
		var f *Failure
		if !errors.As(err, &f) || f.Kind == Internal {
			t.Error(err)
		}
	}
}

// TestAnotherNodesWritesAreConcludedInItsChain: the chain of a node that is gone
// gets the outcomes, not the one of who writes them.
func TestAnotherNodesWritesAreConcludedInItsChain(t *testing.T) {
	t.Parallel()
	p := newLives(t)
	p.put("Patient", "p1", patient)
	p.engine.commit = repository.ErrUnavailable
	if _, err := p.Update(t.Context(), p.as("integration"), "Patient", "p1", []byte(patient)); err == nil {
		t.Fatal("a failed commit was acknowledged")
	}
	p.engine.commit = nil
	p.restart()
	gone := p.rec.Trail
	own, err := trail.Open(t.Context(), trail.Options{Dir: t.TempDir(), Origin: "t2", Keys: trail.NewRingKeys(p.ring, p.table), MinFree: 1})
	p.must(err)
	p.t.Cleanup(func() { _ = own.Close() })
	p.rec.Trail = own
	if n, err := p.RecoverFrom(t.Context(), gone); err != nil || n != 2 {
		t.Fatalf("resolved %d: %v", n, err)
	}
	if open, err := gone.OpenIntents(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("%d intents are open: %v", len(open), err)
	}
	got, err := gone.Search(t.Context(), trail.Query{Limit: 2})
	if err != nil || got[0].Reason != "not-committed" || got[1].Reason != "recovered" || got[0].Outcome != audit.SeriousFailure {
		t.Errorf("%+v, %v", got, err)
	}
	if s := own.Status(); s.Events != 0 {
		t.Errorf("%d events in the chain of the node that resolved", s.Events)
	}
}

// TestRecoveryNeedsTheTrail: without a durable outcome the service must not
// start.
func TestRecoveryNeedsTheTrail(t *testing.T) {
	t.Parallel()
	p := newLives(t)
	p.put("Patient", "p1", patient)
	p.restart()
	p.rec.fail(always)
	if _, err := p.Recover(t.Context()); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("recovered without a trail: %v", err)
	}
	p.rec.fail(nil)
	p.recover("recovered Patient")
}
