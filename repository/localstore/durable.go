package localstore

import (
	"context"
	"encoding/binary"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/repository"
)

// Batches are numbered in the order in which they go to the log. A batch is
// visible before its fsync; durable knows up to which number the log is on
// stable storage, and marks knows which number last touched a key. The log is
// written in order, so one finished fsync vouches for all numbers below.
type durable struct {
	number  atomic.Uint64
	feed    atomic.Uint64 // last durable position of the change feed
	waiters atomic.Int64
	mu      sync.Mutex
	moved   chan struct{}
	latch   *latch
}

func newDurable(l *latch) *durable {
	return &durable{moved: make(chan struct{}), latch: l}
}

// advance is called by a writer whose fsync has finished.
func (d *durable) advance(number, feed uint64) {
	raise(&d.feed, feed)
	raise(&d.number, number)
	if d.waiters.Load() == 0 {
		return
	}
	d.mu.Lock()
	close(d.moved)
	d.moved = make(chan struct{})
	d.mu.Unlock()
}

func raise(a *atomic.Uint64, to uint64) {
	for {
		old := a.Load()
		if old >= to || a.CompareAndSwap(old, to) {
			return
		}
	}
}

// wait returns when the batch is on stable storage.
func (d *durable) wait(ctx context.Context, number uint64) error {
	if d.number.Load() >= number {
		return nil
	}
	d.waiters.Add(1)
	defer d.waiters.Add(-1)
	for {
		d.mu.Lock()
		moved := d.moved
		d.mu.Unlock()
		if d.number.Load() >= number {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-d.latch.stopped:
			return d.latch.err()
		}
	}
}

// marks folds keys onto stripes; a shared stripe only makes a reader wait for
// an fsync that is under way anyway.
type marks struct {
	seed    maphash.Seed
	stripes [4096]atomic.Uint64
}

func (m *marks) record(id repository.StorageID) *atomic.Uint64 {
	return &m.stripes[binary.LittleEndian.Uint64(id[:])%uint64(len(m.stripes))]
}

func (m *marks) row(key []byte) *atomic.Uint64 {
	return &m.stripes[maphash.Bytes(m.seed, key)%uint64(len(m.stripes))]
}
