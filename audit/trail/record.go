package trail

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

var _ audit.Recorder = (*Trail)(nil)

// Record seals the event, waits until it is on stable storage and returns its
// receipt. audit.ErrUnavailable: the trail is full, failed, closed, or a key is
// out of reach; nothing may be disclosed. When ctx ends or the database fails
// while the event waits, it may become durable all the same; a waiting intent is
// then concluded here by an outcome of its own.
func (t *Trail) Record(ctx context.Context, e audit.Event) (audit.Receipt, error) {
	start := time.Now()
	r, err := t.submit(ctx, &e, false)
	if err != nil {
		t.met.refuse(ctx, err)
		return audit.Receipt{}, err
	}
	seq, intent := r.seq, r.intent
	select {
	case err = <-r.done:
		records.Put(r)
		if err == nil && intent && !t.medium.held() { // whoever took the chain has concluded it
			err = errOutage
			t.cancelled(e, seq)
		}
	case <-t.outage.begins():
		go t.abandon(r, e)
		err = errOutage
	case <-ctx.Done():
		go t.abandon(r, e)
		return audit.Receipt{}, fmt.Errorf("waiting for the audit trail: %w", ctx.Err())
	}
	if err != nil {
		t.met.refuse(ctx, err)
		return audit.Receipt{}, err
	}
	t.met.recorded(ctx, time.Since(start))
	return audit.NewReceipt(seq), nil
}

// abandon waits for a record whose caller has gone and concludes an intent that
// nobody will carry out any more. It ends with the writer, which answers every
// record.
func (t *Trail) abandon(r *record, e audit.Event) {
	seq, intent := r.seq, r.intent
	err := <-r.done
	records.Put(r)
	if err != nil || !intent {
		return
	}
	t.cancelled(e, seq)
}

// cancelled concludes an intent that nobody will carry out.
func (t *Trail) cancelled(e audit.Event, intent uint64) {
	e.Outcome, e.IntentSeq, e.Reason = audit.SeriousFailure, intent, "cancelled"
	t.Queue(e)
}

// Queue hands over an event that no answer waits for. It is sealed at once when
// the trail can take it; else it waits in memory and is tried again until it is
// taken or the process ends.
func (t *Trail) Queue(e audit.Event) {
	if _, err := t.submit(context.Background(), &e, true); err != nil && !errors.Is(err, ErrTooLarge) {
		t.spool.add(e)
	}
}

// submit prepares the event, takes a ticket, seals and hands the record to the
// writer. Only what comes before the ticket can fail.
func (t *Trail) submit(ctx context.Context, e *audit.Event, async bool) (*record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := t.failure(); err != nil {
		return nil, err
	}
	if t.outage.down() || !t.medium.held() {
		return nil, errOutage
	}
	if err := t.space.admit(e); err != nil {
		return nil, err
	}
	r := records.Get().(*record)
	if err := t.prepare(ctx, &r.draft, e); err != nil {
		records.Put(r)
		if errors.Is(err, ErrTooLarge) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", audit.ErrUnavailable, err)
	}
	seq, err := t.queue.ticket()
	if err != nil {
		records.Put(r)
		return nil, err
	}
	r.seq, r.async = seq, async
	r.intent, r.resolves = e.Outcome == audit.Intent, e.IntentSeq
	r.seal(t.origin.Name)
	t.queue.put(r)
	return r, nil
}

// seal makes the block of a record whose place is known. It cannot fail.
func (r *record) seal(origin string) {
	r.block = r.draft.appendBlock(r.block[:0], origin, r.seq)
	r.bodyHash = sha256.Sum256(r.block)
}

// spool holds queued events that could not be taken: the disk is full or a key
// is out of reach. Its length is bounded by the writes that had an intent, and
// the trail takes no new intents in that state.
type spool struct {
	mu     sync.Mutex
	events []audit.Event
}

func (s *spool) add(e audit.Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
}

func (s *spool) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

// drain tries every spooled event once.
func (s *spool) drain(t *Trail) {
	s.mu.Lock()
	events := s.events
	s.events = nil
	s.mu.Unlock()
	for i := range events {
		t.Queue(events[i])
	}
}

// spoolInterval is how often spooled events are tried again.
const spoolInterval = 100 * time.Millisecond

func (t *Trail) spoolLoop() {
	tick := time.NewTicker(spoolInterval)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			if t.failure() == nil && !t.outage.down() && t.medium.held() {
				t.spool.drain(t)
				t.flushPreAuth(false)
			}
		}
	}
}
