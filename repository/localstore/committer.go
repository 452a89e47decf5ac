package localstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// committer is the one writer of a store. Its first goroutine builds batches
// and hands them to Pebble's log in the order of the feed; its second waits
// for their fsyncs and tells the callers. Callers never wait inside Pebble: on
// a failed log Pebble cannot unwind (it panics with its mutex unlocked, which
// would end the process), so both goroutines are then parked for ever while
// the callers get ErrUnavailable.
//
// Start by newCommitter, end by stop. What the builds touch (counters, type
// dictionary, scratch memory) belongs to the first goroutine.
type committer struct {
	s      *Store
	queue  chan *request
	syncs  chan *request
	ending sync.WaitGroup
}

// syncsUnderWay bounds the batches that wait for an fsync; Pebble's own bound
// is 4096.
const syncsUnderWay = 1024

// request is one call that writes.
type request struct {
	build  func() (pending, error)
	state  atomic.Int32
	result pending
	done   chan error // one value
}

const (
	requestQueued int32 = iota
	requestTaken
	requestAbandoned
)

// pending is a batch that is in the log but perhaps not yet on stable storage.
type pending struct {
	batch  *pebble.Batch
	number uint64
	seq    uint64
}

func newCommitter(s *Store) *committer {
	c := &committer{s: s, queue: make(chan *request, 64), syncs: make(chan *request, syncsUnderWay)}
	c.ending.Go(c.commit)
	c.ending.Go(c.sync)
	return c
}

// stop ends both goroutines once all requests are done. No request may follow.
func (c *committer) stop() {
	close(c.queue)
	c.ending.Wait()
}

// submit runs build in order with all others, and returns when what it built
// is on stable storage. A cancelled context takes the request back as long as
// build has not begun.
func (c *committer) submit(ctx context.Context, build func() (pending, error)) (pending, error) {
	r := &request{build: build, done: make(chan error, 1)}
	select {
	case c.queue <- r:
	case <-ctx.Done():
		return pending{}, ctx.Err()
	case <-c.s.latch.stopped:
		return pending{}, c.s.latch.err()
	}
	select {
	case err := <-r.done:
		return r.result, err
	case <-ctx.Done():
		if r.state.CompareAndSwap(requestQueued, requestAbandoned) {
			return pending{}, ctx.Err()
		}
	case <-c.s.latch.stopped:
	}
	select {
	case err := <-r.done:
		return r.result, err
	case <-c.s.latch.stopped:
		return pending{}, c.s.latch.err()
	}
}

func (c *committer) commit() {
	for r := range c.queue {
		if !r.state.CompareAndSwap(requestQueued, requestTaken) {
			continue
		}
		p, err := r.build()
		if err != nil {
			r.done <- err
			continue
		}
		r.result = p
		c.syncs <- r
	}
	close(c.syncs)
}

// sync acknowledges. The log is synced in order, so waiting in order delays
// nobody, and one fsync serves a whole group.
func (c *committer) sync() {
	for r := range c.syncs {
		if err := r.result.batch.SyncWait(); err != nil {
			c.s.latch.set(err)
			r.done <- c.s.latch.err()
			continue
		}
		c.s.durable.advance(r.result.number, r.result.seq)
		r.done <- storeError("committing", r.result.batch.Close())
	}
}

// apply hands the batch to Pebble's log. It runs in the committer; keys that
// the batch changes have been marked with the number applied+1.
func (s *Store) apply(batch *pebble.Batch) (p pending, err error) {
	defer func() {
		// Pebble panics when its log has failed.
		if r := recover(); r != nil {
			s.latch.set(fmt.Errorf("writing to the log: %v", r))
			err = s.latch.err()
		}
	}()
	if err := s.latch.err(); err != nil {
		return pending{}, err
	}
	p = pending{batch: batch, number: s.applied.Add(1), seq: s.seq}
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		s.latch.set(err)
		return pending{}, s.latch.err()
	}
	return p, nil
}

// detached runs what may wait inside Pebble, and gives up on it when the store
// latches.
func (s *Store) detached(call func() error) error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-s.latch.stopped:
		return s.latch.err()
	}
}
