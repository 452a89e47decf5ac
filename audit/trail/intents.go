package trail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		e, err := t.Get(ctx, seq)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// lowWaterMark is intents.json. A mark that is too low only costs time.
type lowWaterMark struct {
	Low uint64 `json:"low"`
}

func (t *Trail) saveLowWater(last uint64) error {
	b, err := json.Marshal(lowWaterMark{t.intents.lowWater(last)})
	if err != nil {
		return err
	}
	path := filepath.Join(t.opt.Dir, intentsName)
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// loadIntents reads every body from the low-water mark on.
func (t *Trail) loadIntents(ctx context.Context) error {
	mark := lowWaterMark{Low: 1}
	b, err := os.ReadFile(filepath.Join(t.opt.Dir, intentsName))
	if err == nil && (json.Unmarshal(b, &mark) != nil || mark.Low == 0 || mark.Low > t.last.seq+1) {
		mark.Low = 1
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading %s: %w", intentsName, err)
	}
	for seq := mark.Low; seq <= t.last.seq; seq++ {
		f, err := t.frame(seq)
		if err != nil {
			return err
		}
		var e audit.Event
		k, err := parseBlock(f.block)
		if err == nil {
			_, err = t.sealer.openBody(ctx, &k, seq, &e)
		}
		if err != nil {
			return fmt.Errorf("looking for open intents: %w", err)
		}
		if e.Outcome == audit.Intent || e.IntentSeq != 0 {
			t.intents.note(seq, e.Outcome == audit.Intent, e.IntentSeq)
		}
	}
	for seq := range t.intents.open {
		t.intents.before[seq] = struct{}{}
	}
	return nil
}
