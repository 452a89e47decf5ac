package trail

import (
	"sync"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/merkle"
)

// record is a sealed event on its way to the writer.
type record struct {
	seq      uint64
	block    []byte
	bodyHash merkle.Hash
	frame    []byte // scratch of the writer
	intent   bool   // a write that is about to commit
	resolves uint64 // the intent that this outcome concludes
	async    bool   // nobody waits
	done     chan error
	draft    draft
}

var records = sync.Pool{New: func() any { return &record{done: make(chan error, 1)} }}

// queue hands out sequence numbers and passes sealed records to the writer in
// that order. A ticket that was taken is always put: between the two nothing
// can fail.
type queue struct {
	mu     sync.Mutex
	next   uint64    // next ticket
	base   uint64    // sequence number of slots[0]
	slots  []*record // by ticket; nil: not sealed yet
	wake   chan struct{}
	closed bool
}

func (q *queue) init(last uint64) {
	q.next, q.base = last+1, last+1
	q.wake = make(chan struct{}, 1)
}

// ticket reserves the next sequence number, or fails when the queue is closed.
func (q *queue) ticket() (uint64, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return 0, audit.ErrUnavailable
	}
	q.next++
	q.slots = append(q.slots, nil)
	return q.next - 1, nil
}

func (q *queue) put(r *record) {
	q.mu.Lock()
	q.slots[r.seq-q.base] = r
	front := r.seq == q.base
	q.mu.Unlock()
	if front {
		q.signal()
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves the sealed records without a gap into batch. finished is true
// when the queue is closed and empty.
func (q *queue) take(batch []*record) (_ []*record, finished bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.slots) && q.slots[n] != nil {
		n++
	}
	batch = append(batch, q.slots[:n]...)
	rest := copy(q.slots, q.slots[n:])
	clear(q.slots[rest:])
	q.slots = q.slots[:rest]
	q.base += uint64(n)
	return batch, q.closed && n == 0 && rest == 0
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// depth is the number of records that are not durable yet.
func (q *queue) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.slots)
}
