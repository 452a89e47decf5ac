package trail

import (
	"fmt"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// maxBatch bounds one write, so that a burst cannot hold every waiter back.
const maxBatch = 1024

// clockStep is how far the clock may go back before it is an event of its own.
const clockStep = 2 * time.Second

// writeLoop is the only writer: it takes whatever is ready, writes it with one
// write and one fdatasync, and releases every waiter. While it waits for the
// disk the next batch collects by itself.
func (t *Trail) writeLoop() {
	defer close(t.written)
	var batch []*record
	var frames []frame
	for {
		var finished bool
		batch, finished = t.queue.take(batch[:0])
		if finished {
			return
		}
		if len(batch) == 0 {
			<-t.queue.wake
			continue
		}
		for part := range slices.Chunk(batch, maxBatch) {
			frames = t.commit(frames[:0], part)
		}
		clear(batch)
		clear(frames)
	}
}

// commit makes a batch durable and then visible, and releases who waits for it.
func (t *Trail) commit(frames []frame, batch []*record) []frame {
	err := t.failure()
	var last lastRecord
	if err == nil {
		frames, last, err = t.layout(frames, batch)
	}
	if err == nil {
		err = t.medium.append(t.writing, frames)
	}
	if err != nil {
		t.fail(err)
		err = t.failure()
	} else {
		t.publish(frames, batch, last)
	}
	for _, r := range batch {
		if r.async {
			records.Put(r)
			continue
		}
		r.done <- err
	}
	return frames
}

// publish takes in what became durable.
func (t *Trail) publish(frames []frame, batch []*record, last lastRecord) {
	for _, r := range batch { // before any checkpoint can cover them
		if r.intent || r.resolves != 0 {
			t.intents.note(r.seq, r.intent, r.resolves)
		}
	}
	t.mu.Lock()
	for i := range frames {
		t.tree.Append(frames[i].leaf)
	}
	t.last = last
	t.mu.Unlock()
	t.met.batch(len(batch))
	t.check.notify(t)
}

// layout makes the frames of a batch: time, chain and sequence.
func (t *Trail) layout(frames []frame, batch []*record) ([]frame, lastRecord, error) {
	last, durable := t.last, t.last.seq
	now := t.tick(last.time)
	for _, r := range batch {
		if r.seq != last.seq+1 {
			return frames, last, fmt.Errorf("%w: event %d after %d", ErrCorrupt, r.seq, last.seq)
		}
		h := header{seq: r.seq, time: now, durable: durable, prev: last.hash, bodyHash: r.bodyHash}
		f := newFrame(r.frame[:0], &h, r.block)
		r.frame = f.raw
		frames = append(frames, f)
		last = lastRecord{seq: r.seq, time: now, hash: f.leaf}
	}
	return frames, last, nil
}

// tick is the time of the next records: never before that of the last one. A
// clock that went back is an event of its own.
func (t *Trail) tick(last int64) int64 {
	now := t.opt.Now().UnixMicro()
	if now >= last {
		t.stepped.Store(false)
		return now
	}
	if last-now > clockStep.Microseconds() && t.stepped.CompareAndSwap(false, true) {
		t.spool.add(audit.Event{Kind: audit.System, Subtype: "clock-step", Action: audit.Execute, Outcome: audit.Success,
			Reason: "clock-went-back"})
	}
	return last
}
