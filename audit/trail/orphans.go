package trail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// DefaultOrphanGrace is how long a lease must have ended before another node concludes
// the intents of its chain: longer than any commit of the dead process may still
// be on its way.
const DefaultOrphanGrace = time.Minute

// watch remembers since when the lease of each chain has not changed, by this
// process's own clock.
type watch struct {
	mu    sync.Mutex
	since map[string]sighting
}

type sighting struct {
	revision uint64 // 0: no lease
	at       time.Time
}

// still returns how long a lease has been seen unchanged.
func (w *watch) still(name string, revision uint64) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since == nil {
		w.since = map[string]sighting{}
	}
	s, ok := w.since[name]
	if !ok || s.revision != revision {
		s = sighting{revision, time.Now()}
		w.since[name] = s
	}
	return time.Since(s.at)
}

// Orphans names the chains of other nodes that hold write intents without an
// outcome and whose process is gone: its lease has ended a minute ago, as far as
// this process saw. Call it now and then; a folder has none.
func (t *Trail) Orphans(ctx context.Context) ([]string, error) {
	if t.opt.Log == nil {
		return nil, nil
	}
	names, err := Origins(ctx, t.opt.Log)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		orphan, err := t.orphan(ctx, name)
		if err != nil {
			return out, fmt.Errorf("looking for interrupted writes of node %s: %w", name, err)
		}
		if orphan {
			out = append(out, name)
		}
	}
	return out, nil
}

func (t *Trail) orphan(ctx context.Context, name string) (bool, error) {
	if name == t.origin.Name {
		return false, nil
	}
	row, err := t.opt.Leases.Get(ctx, []byte(leasePrefix+name))
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return false, err
	}
	if t.watch.still(name, row.Revision) < t.opt.Lease+t.opt.OrphanGrace {
		return false, nil
	}
	if _, err := one(ctx, t.opt.Log, kindHistory+name); !errors.Is(err, repository.ErrNotFound) {
		return false, err // moved here: its intents were for another database
	}
	return t.hasOpenIntents(ctx, name)
}

// hasOpenIntents reads a chain from its mark on, as its own start does.
func (t *Trail) hasOpenIntents(ctx context.Context, name string) (bool, error) {
	low, err := loadLow(ctx, t.opt.Log, name, ^uint64(0)-1)
	if err != nil {
		return false, err
	}
	var n intents
	n.init()
	err = t.eachIntent(ctx, name, low, n.note)
	return len(n.open) > 0, err
}

// Adopt opens the chain of a node that is gone, to conclude its intents
// (OpenIntents, Record) and to close it again; from then on the process that
// wrote it before can append nothing. ErrLocked: it is back.
func (t *Trail) Adopt(ctx context.Context, name string) (*Trail, error) {
	if t.opt.Log == nil {
		return nil, ErrNotFound
	}
	opt := t.opt
	opt.Origin, opt.Witness, opt.OnFailure, opt.Alone, opt.adopted = name, "", nil, false, true
	return Open(ctx, opt)
}
