package trail

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/fieldseal/fieldseal/audit"
)

// intents knows which write intents have no outcome yet.
type intents struct {
	mu     sync.Mutex
	open   map[uint64]struct{} // all
	before map[uint64]struct{} // those left by an earlier process
}

func (n *intents) init() {
	n.open, n.before = make(map[uint64]struct{}), make(map[uint64]struct{})
}

// note takes in a durable intent or outcome.
func (n *intents) note(seq uint64, intent bool, resolves uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if intent {
		n.open[seq] = struct{}{}
		return
	}
	delete(n.open, resolves)
	delete(n.before, resolves)
}

// lowWater is the first sequence number that start-up must look at: every
// intent before it has an outcome.
func (n *intents) lowWater(last uint64) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	low := last + 1
	for seq := range n.open {
		low = min(low, seq)
	}
	return low
}

// OpenIntents returns the write intents of earlier processes that still have no
// outcome, oldest first, so that recovery can resolve them against the store
// and Queue their outcomes. Intents of this process are not among them.
func (t *Trail) OpenIntents(ctx context.Context) ([]audit.Entry, error) {
	t.intents.mu.Lock()
	var seqs []uint64
	for seq := range t.intents.before {
		seqs = append(seqs, seq)
	}
	t.intents.mu.Unlock()
	slices.Sort(seqs)
	var out []audit.Entry
	for _, seq := range seqs {
		e, err := t.Get(ctx, t.origin.Name, seq)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// loadIntents reads every body from the low-water mark on.
func (t *Trail) loadIntents(ctx context.Context, low uint64) error {
	if err := t.eachIntent(ctx, t.origin.Name, low, t.intents.note); err != nil {
		return err
	}
	for seq := range t.intents.open {
		t.intents.before[seq] = struct{}{}
	}
	return nil
}

// eachIntent tells of every intent and outcome of a chain from a number on.
func (t *Trail) eachIntent(ctx context.Context, name string, from uint64, note func(seq uint64, intent bool, resolves uint64)) error {
	for f, err := range t.medium.read(ctx, name, from) {
		var e audit.Event
		var k block
		if err == nil {
			k, err = parseBlock(f.block)
		}
		if err == nil {
			_, err = t.sealer.openBody(ctx, &k, place{name, f.seq}, &e)
		}
		if err != nil {
			return fmt.Errorf("looking for open intents: %w", err)
		}
		if e.Outcome == audit.Intent || e.IntentSeq != 0 {
			note(f.seq, e.Outcome == audit.Intent, e.IntentSeq)
		}
	}
	return nil
}
