package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/repository"
)

// Log is what the trail needs of a database: an append-only log that several
// processes use. Nothing in it is ever changed or deleted.
type Log interface {
	// Append inserts entries in order, durable on return. An ID that is taken
	// is repository.ErrConflict. After any error the entries up to some place
	// are there, or will be in a moment, and none behind it.
	Append(ctx context.Context, entries []repository.LogEntry) error
	// Range returns at most limit entries with from ≤ ID < to, in order.
	Range(ctx context.Context, from, to string, limit int) ([]repository.LogEntry, error)
	// Last returns the last entry with from ≤ ID < to, or
	// repository.ErrNotFound.
	Last(ctx context.Context, from, to string) (repository.LogEntry, error)
	// Find returns what a query selects.
	Find(ctx context.Context, q repository.LogQuery) ([]repository.LogEntry, error)
}

// An ID is a kind, the name of the chain and mostly a number in hexadecimal:
//
//	o/n1                   what origin.json says
//	f/n1/000000000000002a  frame of event 42; the only kind with time and terms
//	c/n1/0000000000000040  signed note over 64 events
//	m/n1/0000000000000040  low-water mark of intents that goes with it
//	r/n1/0000000000002001  root of the full segment that starts with event 8193
//	h/n1                   the chain was moved here and is only read
const (
	kindOrigin     = "o/"
	kindFrame      = "f/"
	kindCheckpoint = "c/"
	kindMark       = "m/"
	kindRoot       = "r/"
	kindHistory    = "h/"
)

func entryID(kind, origin string, n uint64) string {
	return fmt.Sprintf("%s%s/%016x", kind, origin, n)
}

// entryEnd is behind every entry of a kind and chain: 0 follows the slash, and
// every digit lies behind it.
func entryEnd(kind, origin string) string { return kind + origin + "0" }

// parseID reads an ID of a kind with a number.
func parseID(kind, id string) (origin string, n uint64, ok bool) {
	rest, ok := strings.CutPrefix(id, kind)
	origin, digits, found := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(digits, 16, 64)
	ok = ok && found && err == nil && validOrigin(origin) && entryID(kind, origin, n) == id
	return origin, n, ok
}

// logPage is how many entries are read at once: some MB.
const logPage = 512

// entries yields the entries of a kind and chain from a number on.
func entriesOf(ctx context.Context, log Log, kind, origin string, from uint64) iter.Seq2[repository.LogEntry, error] {
	return entriesBetween(ctx, log, entryID(kind, origin, from), entryEnd(kind, origin), 64)
}

// entriesBetween reads a small page first, since many readers want one entry.
func entriesBetween(ctx context.Context, log Log, from, to string, page int) iter.Seq2[repository.LogEntry, error] {
	return func(yield func(repository.LogEntry, error) bool) {
		for {
			got, err := log.Range(ctx, from, to, page)
			for _, e := range got {
				if !yield(e, nil) {
					return
				}
			}
			if err != nil {
				yield(repository.LogEntry{}, fmt.Errorf("reading the audit log: %w", err))
				return
			}
			if len(got) < page {
				return
			}
			from, page = got[len(got)-1].ID+"\x00", logPage
		}
	}
}

// one reads a single entry, or repository.ErrNotFound.
func one(ctx context.Context, log Log, id string) (repository.LogEntry, error) {
	got, err := log.Range(ctx, id, id+"\x00", 1)
	if err == nil && len(got) == 0 {
		err = repository.ErrNotFound
	}
	if err != nil {
		return repository.LogEntry{}, fmt.Errorf("reading the audit log: %w", err)
	}
	return got[0], nil
}

// put inserts entries in the order of their IDs, or finds that they are there:
// an answer may have been lost. It returns how many are there for certain.
// errForeign: somebody wrote something else in one of the places.
func put(ctx context.Context, log Log, entries []repository.LogEntry) (int, error) {
	err := log.Append(ctx, entries)
	if err == nil {
		return len(entries), nil
	}
	if !errors.Is(err, repository.ErrConflict) && !passing(err) {
		return 0, err
	}
	unknown := err
	if errors.Is(err, repository.ErrConflict) { // an answer was lost, and they are there already
		unknown = repository.ErrUnavailable
	}
	there, rerr := log.Range(ctx, entries[0].ID, entries[len(entries)-1].ID+"\x00", len(entries))
	if rerr != nil {
		return 0, fmt.Errorf("appending to the audit log: %w", unknown)
	}
	n := 0
	for ; n < len(there) && there[n].ID == entries[n].ID; n++ {
		if !bytes.Equal(there[n].Body, entries[n].Body) {
			return n, errForeign
		}
	}
	if n == len(entries) {
		return n, nil
	}
	return n, fmt.Errorf("appending to the audit log: %w", unknown) // or not on a majority yet
}

// frameEntry is a frame with what search needs of it in the clear: time and
// terms, as in a sidecar.
func frameEntry(origin string, f *frame) (repository.LogEntry, error) {
	k, err := parseBlock(f.block)
	if err != nil {
		return repository.LogEntry{}, err
	}
	e := repository.LogEntry{ID: entryID(kindFrame, origin, f.seq), Time: f.time, Body: f.raw}
	k.eachTerm(func(term uint64) { e.Terms = append(e.Terms, repository.Token(term)) })
	return e, nil
}

// openEntry reads the frame of an entry and checks its place.
func openEntry(e *repository.LogEntry) (found, error) {
	origin, seq, ok := parseID(kindFrame, e.ID)
	if !ok {
		return found{}, fmt.Errorf("%w: an entry of the log has the wrong name", ErrCorrupt)
	}
	f, whole := parseFrame(e.Body)
	if !whole || len(f.raw) != len(e.Body) || f.seq != seq {
		return found{}, fmt.Errorf("%w: event %d", ErrCorrupt, seq)
	}
	return found{origin, f}, f.intact()
}
