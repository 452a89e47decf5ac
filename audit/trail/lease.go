package trail

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// leasePrefix starts the keys of leases, one row for each node's name.
const leasePrefix = "audit/lease/"

// leaseLooks is how often a term's row is looked at or tried again by who waits.
const leaseLooks = 15

// lease says that a process is alive and has a name. It is a row that its holder
// writes anew every third of the term; whoever wants the name watches the row
// for a whole term by its own clock, so that no two clocks are compared. The
// lease makes a second process with the name fail clearly. What keeps two
// processes from writing one chain is the chain: a number can be taken once.
type lease struct {
	table repository.Table
	key   []byte
	term  time.Duration
	alone bool // nobody else can be alive
	fail  func(error)

	holder [16]byte
	taken  bool // take has succeeded; for its caller and release
	stop   chan struct{}
	done   chan struct{}

	mu       sync.Mutex
	revision uint64 // 0: not held
	count    uint64
	renewed  time.Time // when the newest renewal was sent
}

func newLease(opt Options, fail func(error)) *lease {
	l := &lease{table: opt.Leases, key: []byte(leasePrefix + opt.Origin), term: opt.Lease, alone: opt.Alone, fail: fail,
		stop: make(chan struct{}), done: make(chan struct{})}
	rand.Read(l.holder[:])
	return l
}

// take waits until nobody has the name and takes it. ErrLocked: its holder is
// alive.
func (l *lease) take(ctx context.Context) error {
	if l.taken {
		return nil
	}
	revision, err := l.wait(ctx)
	if err == nil {
		err = l.renew(ctx, revision)
	}
	if err != nil {
		return err
	}
	l.taken = true
	go l.keep() // #nosec G118 -- the lease outlives the start that took it; close ends it
	return nil
}

// wait returns the revision of a row that nobody renews, 0 when there is none.
func (l *lease) wait(ctx context.Context) (uint64, error) {
	row, err := l.table.Get(ctx, l.key)
	for seen := time.Now(); err == nil && !l.alone && time.Since(seen) < l.term; {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(l.term / leaseLooks):
		}
		var now repository.Row
		if now, err = l.table.Get(ctx, l.key); err == nil && now.Revision != row.Revision {
			return 0, fmt.Errorf("%w: the name %s belongs to a node that runs; give each node a name of its own", ErrLocked, l.name())
		}
	}
	if errors.Is(err, repository.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the lease of %s: %w", l.name(), err)
	}
	return row.Revision, nil
}

func (l *lease) name() string { return string(l.key[len(leasePrefix):]) }

// renew writes the row anew. When the answer was lost, the row tells.
func (l *lease) renew(ctx context.Context, revision uint64) error {
	sent := time.Now()
	value := binary.BigEndian.AppendUint64(bytes.Clone(l.holder[:]), l.count+1)
	next, err := l.table.PutIf(ctx, l.key, value, revision)
	if errors.Is(err, repository.ErrConflict) {
		row, rerr := l.table.Get(ctx, l.key)
		switch {
		case rerr != nil && !errors.Is(rerr, repository.ErrNotFound):
			err = rerr
		case rerr == nil && bytes.HasPrefix(row.Value, l.holder[:]): // ours, its answer was lost
			next, err = row.Revision, nil
		default:
			err = fmt.Errorf("%w: the name %s was taken by another node", ErrLocked, l.name())
		}
	}
	if err != nil {
		return fmt.Errorf("renewing the lease of %s: %w", l.name(), err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.count, l.renewed = next, l.count+1, sent
	return nil
}

// held reports whether no other process can have taken the name: the newest
// renewal is younger than a term.
func (l *lease) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision != 0 && time.Since(l.renewed) < l.term
}

// keep renews the lease until release. It ends when the name is lost.
func (l *lease) keep() {
	defer close(l.done)
	tick := time.NewTicker(l.term / 3)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), l.term)
		err := l.renew(ctx, l.revision)
		cancel()
		switch {
		case errors.Is(err, ErrLocked):
			l.fail(fmt.Errorf("%w: %w", errForeign, err))
			return
		case err != nil: // soon, so that an outage ends when the database is back
			tick.Reset(l.term / leaseLooks)
		default:
			tick.Reset(l.term / 3)
		}
	}
}

// release gives the name back. Without a database it ends by itself.
func (l *lease) release() error {
	if !l.taken {
		return nil
	}
	close(l.stop)
	<-l.done
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	_ = l.table.DeleteIf(ctx, l.key, l.revision) // taken over, or out of reach: it ends by itself
	return nil
}
