package trail

import (
	"fmt"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/merkle"
)

// maxBatch bounds one write, so that a burst cannot hold every waiter back.
const maxBatch = 1024

// clockStep is how far the clock may go back before it is an event of its own.
const clockStep = 2 * time.Second

// pending is a batch that is laid out in the write buffer.
type pending struct {
	buf    []byte
	frames []placed
}

type placed struct {
	off  int64
	leaf merkle.Hash
	time int64
}

// writeLoop is the only writer: it takes whatever is ready, writes it with one
// write and one fdatasync, and releases every waiter. While it waits for the
// disk the next batch collects by itself.
func (t *Trail) writeLoop() {
	defer close(t.written)
	var batch []*record
	var p pending
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
			t.commit(&p, part)
		}
		clear(batch)
	}
}

// commit appends a batch, which may cross into new segments.
func (t *Trail) commit(p *pending, batch []*record) {
	for len(batch) > 0 {
		err := t.failure()
		if err == nil {
			err = t.rollover()
		}
		n := min(len(batch), int(t.origin.SegmentRecords)-len(t.active.offsets))
		if err == nil {
			err = t.append(p, batch[:n])
		}
		if err != nil {
			t.fail(err)
			err, n = t.failure(), len(batch)
		}
		t.release(batch[:n], err)
		batch = batch[n:]
	}
}

// append makes records durable and then visible.
func (t *Trail) append(p *pending, batch []*record) error {
	last, err := t.layout(p, batch)
	if err != nil {
		return err
	}
	a := t.active
	if err := t.reserve(a, a.off+int64(len(p.buf))); err != nil {
		return fmt.Errorf("reserving audit space: %w", err)
	}
	if err := t.opt.disk.write(a.file, p.buf, a.off); err != nil {
		return fmt.Errorf("writing audit records: %w", err)
	}
	if err := t.opt.disk.sync(a.file); err != nil {
		return fmt.Errorf("syncing audit records: %w", err)
	}
	for _, r := range batch { // before any checkpoint can cover them
		if r.intent || r.resolves != 0 {
			t.intents.note(r.seq, r.intent, r.resolves)
		}
	}
	t.mu.Lock()
	for i, r := range batch {
		f := frame{header: header{time: p.frames[i].time}, leaf: p.frames[i].leaf, block: r.block}
		if err := a.add(&f, p.frames[i].off); err != nil {
			t.mu.Unlock()
			return err
		}
		t.tree.Append(p.frames[i].leaf)
	}
	a.off += int64(len(p.buf))
	t.last = last
	t.mu.Unlock()
	t.met.batch(len(batch))
	t.check.notify(t)
	return nil
}

// layout encodes the frames of a batch: time, chain and sequence.
func (t *Trail) layout(p *pending, batch []*record) (lastRecord, error) {
	p.buf, p.frames = p.buf[:0], p.frames[:0]
	last, durable := t.last, t.last.seq
	now := t.opt.Now().UnixMicro()
	if now < last.time {
		if last.time-now > clockStep.Microseconds() && t.space.stepped.CompareAndSwap(false, true) {
			t.spool.add(audit.Event{Kind: audit.System, Subtype: "clock-step", Action: audit.Execute, Outcome: audit.Success,
				Reason: "clock-went-back"})
		}
		now = last.time
	} else {
		t.space.stepped.Store(false)
	}
	for _, r := range batch {
		if r.seq != last.seq+1 {
			return last, fmt.Errorf("%w: event %d after %d", ErrCorrupt, r.seq, last.seq)
		}
		h := header{seq: r.seq, time: now, durable: durable, prev: last.hash, bodyHash: r.bodyHash}
		off := t.active.off + int64(len(p.buf))
		p.buf, last.hash = appendFrame(p.buf, &h, r.block)
		p.frames = append(p.frames, placed{off, last.hash, now})
		last.seq, last.time = r.seq, now
	}
	return last, nil
}

// rollover replaces a full active segment by a new one.
func (t *Trail) rollover() error {
	if uint64(len(t.active.offsets)) < t.origin.SegmentRecords {
		return nil
	}
	s, err := t.seal()
	if err != nil {
		return err
	}
	next, err := t.createActive(t.last.seq + 1)
	if err != nil {
		return err
	}
	t.mu.Lock()
	old := t.active
	t.closed = append(t.closed, s)
	t.active = next
	t.mu.Unlock()
	old.file.Close()
	t.wg.Add(1)
	go func() {
		defer t.wg.Done()
		t.writeSidecar(s)
	}()
	return nil
}

// release tells every waiter how its record fared.
func (t *Trail) release(batch []*record, err error) {
	for _, r := range batch {
		if r.async {
			records.Put(r)
			continue
		}
		r.done <- err
	}
}
