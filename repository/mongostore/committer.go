package mongostore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/fieldseal/fieldseal/repository"
)

// Bounds of what one transaction takes together. A batch of its own may be
// larger.
const (
	groupBatches = 128
	groupBytes   = 4 << 20
)

// job is one batch on its way through a transaction.
type job struct {
	batch repository.Batch
	size  int
	seq   int64
	span  trace.Span
	done  chan error // buffered: nobody has to wait
}

// committer owns one goroutine, which commits what has queued up while the last
// transaction was under way.
type committer struct {
	s       *Store
	mu      sync.Mutex
	queue   []*job
	wake    chan struct{}
	closed  bool
	stopped chan struct{}
}

func newCommitter(s *Store) *committer {
	c := &committer{s: s, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	go c.run()
	return c
}

// close refuses new batches and waits for those that were accepted.
func (c *committer) close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.wake)
	}
	c.mu.Unlock()
	<-c.stopped
}

// Commit implements repository.Store. Memory of the batch may be reused by the
// caller when it returns without error; after a cancelled context it may still
// be read for the length of Options.Timeout.
func (s *Store) Commit(ctx context.Context, b repository.Batch) (repository.Seq, error) {
	if err := s.gate.pass(ctx); err != nil {
		return "", err
	}
	size, err := s.validate(b)
	if err != nil {
		return "", fmt.Errorf("committing: %w", err)
	}
	j := &job{batch: b, size: size, span: trace.SpanFromContext(ctx), done: make(chan error, 1)}
	if err := s.committer.submit(j); err != nil {
		return "", err
	}
	select {
	case err := <-j.done:
		if err != nil {
			return "", fmt.Errorf("committing: %w", err)
		}
		return repository.Uint64Seq(uint64(j.seq)), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (c *committer) submit(j *job) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("committing: %w: the store is closed", repository.ErrUnavailable)
	}
	c.queue = append(c.queue, j)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

func (c *committer) run() {
	defer close(c.stopped)
	for range c.wake {
		for jobs := c.take(); len(jobs) > 0; jobs = c.take() {
			c.commit(jobs)
		}
	}
	for jobs := c.take(); len(jobs) > 0; jobs = c.take() {
		c.commit(jobs)
	}
}

// take removes the next group from the queue.
func (c *committer) take() []*job {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.queue) && n < groupBatches && (n == 0 || bytes+c.queue[n].size <= groupBytes) {
		bytes += c.queue[n].size
		n++
	}
	jobs := c.queue[:n:n]
	c.queue = c.queue[n:]
	return jobs
}

// reached is told by the gate. Those who wait behind the transaction that is
// under way need not: nothing of theirs was sent.
func (c *committer) reached(reachable bool) {
	if reachable {
		return
	}
	c.mu.Lock()
	jobs := c.queue
	c.queue = nil
	c.mu.Unlock()
	for _, j := range jobs {
		j.done <- fmt.Errorf("committing: %w", errUnreachable)
	}
}

// commit decides a group. A job whose precondition does not hold is told so and
// the others go on without it. The commands stand in the trace of the first.
func (c *committer) commit(jobs []*job) {
	ctx, cancel := context.WithTimeout(trace.ContextWithSpan(context.Background(), jobs[0].span), c.s.opts.Timeout)
	defer cancel()
	g := group{s: c.s, jobs: jobs, refused: make([]error, len(jobs))}
	began := time.Now()
	err := g.commit(ctx)
	defer func() { time.Sleep(c.s.manners.pause(time.Since(began))) }()
	for i, j := range jobs {
		switch {
		case g.refused[i] != nil:
			j.done <- g.refused[i]
		case err != nil:
			j.done <- unavailable(err)
		default:
			j.done <- nil
		}
	}
}

// unavailable: the deadline of a commit is not one that the caller set.
func unavailable(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: no decision in time", repository.ErrUnavailable)
	}
	return err
}

// validate returns the size of a batch that some state of the store could
// accept, in bytes.
func (s *Store) validate(b repository.Batch) (int, error) {
	if err := b.Validate(); err != nil {
		return 0, err
	}
	size := 0
	for i := range b.Writes {
		r := &b.Writes[i].Record
		document := perWrite + len(r.Body) + perToken*len(r.Tokens)
		if document > maxDocument {
			return 0, fmt.Errorf("%w: a document holds 16 MiB", repository.ErrTooLarge)
		}
		size += document
	}
	if size > s.opts.MaxBatch {
		return 0, fmt.Errorf("%w of %d bytes", repository.ErrTooLarge, s.opts.MaxBatch)
	}
	return size, nil
}

// What a document holds beside its body, in bytes, and what a token costs there
// and in its index.
const (
	perWrite = 256
	perToken = 48
)

// maxDocument is MongoDB's limit, less our other fields.
const maxDocument = 16<<20 - 64<<10
