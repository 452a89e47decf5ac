package interaction

import (
	"context"
	"iter"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// The sizes of a stream's chunks. The first is small, so that the client has
// something soon; none is much larger than the last, so that little leaves
// under one receipt and little is held in memory.
const (
	firstChunk = 16 << 10
	laterChunk = 256 << 10
)

// stream writes a Bundle in chunks, each released by a receipt of its own
// (decision 33).
type stream struct {
	*Service
	call   Call
	grant  authz.Grant
	ev     audit.Event
	w      *model.BundleWriter
	links  []model.Link
	size   int // of the chunk under way
	intent audit.Receipt
	labels label.Mark // of what was added
}

// item is one entry of a stream.
type item struct {
	hit  hit
	body []byte // nil when it was not opened yet
	mode string // of Bundle.entry.search
}

// begin makes the intent durable.
func (t *stream) begin(ctx context.Context) (err error) {
	ev := t.ev
	ev.Outcome = audit.Intent
	t.intent, err = t.durable(ctx, t.call, ev)
	t.ev.Entities, t.size = nil, firstChunk
	return err
}

// chunks yields the released bytes of the Bundle. An error is the last thing
// that it yields.
func (t *stream) chunks(ctx context.Context, items iter.Seq2[item, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for it, err := range items {
			if err == nil {
				err = t.add(it)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if t.w.Len() < t.size {
				continue
			}
			t.size = laterChunk
			if !t.flush(ctx, t.w.Take(), yield) {
				return
			}
		}
		inscribe(t.w, t.labels.Labels())
		t.flush(ctx, t.w.FinishWith(t.links), yield)
	}
}

func (t *stream) add(it item) error {
	st := it.hit.stored
	body := it.body
	if body == nil {
		var err error
		if body, _, err = t.view(t.call, st, it.hit.mask); err != nil {
			return err
		}
	}
	t.w.Add(model.Entry{FullURL: t.Base + "/" + st.Record.Key.Type + "/" + st.Head.ID, Resource: body, Search: it.mode})
	t.ev.Entities = append(t.ev.Entities, entity(st.Head, st.Record.Key.Type, uint64(st.Record.Version), it.hit.mask))
	t.labels.Add(t.shownLabels(st.Head, st.Record.Key.Type, it.hit.mask))
	return nil
}

// flush records what a chunk discloses, and only then lets it go.
func (t *stream) flush(ctx context.Context, chunk []byte, yield func([]byte, error) bool) bool {
	receipt, err := t.durable(ctx, t.call, t.ev)
	if err == nil && (!receipt.Valid() || !t.grant.Allowed()) {
		err = errUnreleased
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	t.ev.Entities = nil
	return yield(chunk, nil)
}

// answer makes the first chunk, so that what fails before it is an ordinary
// failure, and hands out the rest on demand.
func (t *stream) answer(ctx context.Context, items iter.Seq2[item, error]) (*Answer, error) {
	if err := t.begin(ctx); err != nil {
		return nil, failure(err)
	}
	next, stop := iter.Pull2(t.chunks(ctx, items))
	first, err, _ := next()
	if err != nil {
		stop()
		t.conclude(t.ev, t.intent, err)
		return nil, err
	}
	a, err := t.release(t.call, t.grant, t.intent, Answer{status: http.StatusOK, body: first})
	if err != nil {
		stop()
		return nil, err
	}
	a.more = func() ([]byte, error, bool) {
		chunk, err, more := next()
		if a.names != nil {
			chunk = a.names.Append(nil, chunk)
		}
		return chunk, err, more
	}
	a.shown = t.labels.Labels
	a.stop = func(err error) {
		stop()
		t.ev.Entities = nil
		t.conclude(t.ev, t.intent, err)
	}
	return a, nil
}

// collect reads a streamed answer to its end, for an entry of a Bundle. What does
// not fit into the Bundle's answer is cut off, and recorded as such.
func (a *Answer) collect(ctx context.Context, room *allowance) (err error) {
	var all []byte
	defer func() {
		if err != nil {
			room.give(len(all))
		}
	}()
	for chunk, err := range a.Chunks(ctx) {
		if err != nil {
			return err
		}
		if !room.take(len(chunk)) {
			return answerTooLarge()
		}
		all = append(all, chunk...)
	}
	if err := ctx.Err(); err != nil { // the end was not reached
		return err
	}
	a.body, a.labels, a.more = all, a.shown(), nil
	return nil
}

// Streamed reports whether the answer comes in chunks.
func (a *Answer) Streamed() bool { return a.more != nil }

// Chunks yields the body of a streamed answer; each chunk has been recorded.
// It must be ranged over once; after an error the answer is cut off. A reader
// that breaks off is recorded as one that did not get everything.
func (a *Answer) Chunks(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		err := context.Canceled // until the end was reached
		defer func() {
			a.stop(err)
			if a.ended != nil {
				a.ended(err)
			}
		}()
		if !yield(a.body, nil) {
			return
		}
		for {
			chunk, problem, ok := a.more()
			if !ok {
				err = nil
				return
			}
			if problem != nil {
				err = problem
				yield(nil, problem)
				return
			}
			if ctx.Err() != nil || !yield(chunk, nil) {
				return
			}
		}
	}
}
