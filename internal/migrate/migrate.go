// Package migrate moves the content of one store into another, of any engine,
// without a key and without opening a record.
//
// Start with Run. It goes on where an earlier run was killed, compares both
// sides when everything is there, and makes the target a store that opens only
// when they are equal. Verify compares two finished stores.
//
// Security notes: what passes through is sealed, keyed or bookkeeping. The
// checksum finds what was lost on the way; it is no proof against somebody who
// writes to the target.
//
// Kept compatible: the checksum (docs/format/migration.md) and the name of a
// source, so that a later release goes on with what an earlier one began.
package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"github.com/fieldseal/fieldseal/repository"
)

// ErrDiffers means that the two sides do not hold the same.
var ErrDiffers = errors.New("source and target differ")

// Content is a side that can be read out.
type Content interface {
	Marks(ctx context.Context) (repository.Marks, error)
	Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error]
}

// Target is a store that is being filled.
type Target interface {
	repository.Importer
	Content
	Close() error
}

// Bounds of one step: what comes again after a kill, and what is held in
// memory.
const (
	stepEntries = 1000
	stepBytes   = 8 << 20
)

// Progress hears how many feed positions of how many are done; rows of tables
// follow the last one.
type Progress func(step string, done, total uint64)

// Report says what a side holds.
type Report struct {
	Versions   uint64            `json:"versions"`   // all of them
	Current    uint64            `json:"current"`    // those that are current, tombstones included
	Tombstones uint64            `json:"tombstones"` // those that are current deletions
	Purged     uint64            `json:"purged"`     // keys whose current version was purged
	Tokens     uint64            `json:"tokens"`     // index entries of current versions
	Bytes      uint64            `json:"bytes"`      // sealed bodies
	Rows       map[string]uint64 `json:"rows"`       // by table
	Position   uint64            `json:"position"`   // highest of the feed
	Checksum   string            `json:"checksum"`   // SHA-256 over everything above, in hexadecimal
}

// Run copies everything from a source that nobody else uses into the target
// that open returns for the source's name. It returns the report of both
// sides, which are equal.
func Run(ctx context.Context, from Content, open func(ctx context.Context, source []byte) (Target, error), p Progress) (r Report, err error) {
	name, err := sourceName(ctx, from)
	if err != nil {
		return r, err
	}
	to, err := open(ctx, name)
	if errors.Is(err, repository.ErrNotEmpty) {
		return r, fmt.Errorf("%w, or what an earlier move of another source or of this one in another state has left; empty it first", err)
	}
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	marks, err := from.Marks(ctx)
	if err != nil {
		return r, err
	}
	if err := copyEntries(ctx, from, to, marks, p); err != nil {
		return r, err
	}
	if r, err = compare(ctx, from, to, marks, p); err != nil {
		return r, err
	}
	return r, to.Finish(ctx, marks)
}

// Verify compares two stores that nobody writes to.
func Verify(ctx context.Context, from, to Content, p Progress) (Report, error) {
	marks, err := from.Marks(ctx)
	if err != nil {
		return Report{}, err
	}
	there, err := to.Marks(ctx)
	if err != nil {
		return Report{}, err
	}
	if marks != there {
		return Report{}, fmt.Errorf("%w: the counters are not the same; one of them was used since", ErrDiffers)
	}
	return compare(ctx, from, to, marks, p)
}

// startsTable holds a row that every start of a server changes.
const startsTable = "meta"

// sourceName tells one source from another, and from itself after it was used
// again: its counters and the rows that a start changes.
func sourceName(ctx context.Context, from Content) ([]byte, error) {
	marks, err := from.Marks(ctx)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(appendMarks(nil, marks))
	for e, err := range from.Export(ctx, repository.RowPlace(startsTable, nil)) {
		if err != nil {
			return nil, err
		}
		if e.Table != startsTable {
			break
		}
		h.Write(e.AppendCanonical(nil))
	}
	return h.Sum(nil), nil
}

func appendMarks(dst []byte, m repository.Marks) []byte {
	dst = binary.BigEndian.AppendUint64(dst, m.Position)
	return binary.BigEndian.AppendUint64(dst, uint64(m.Stamp))
}

// copyEntries goes on behind the place that the target has reached.
func copyEntries(ctx context.Context, from Content, to Target, marks repository.Marks, p Progress) error {
	place, done, err := to.Reached(ctx)
	if err != nil || done {
		return err
	}
	p("moving", min(place.Position(), marks.Position), marks.Position)
	var step []repository.Entry
	size := 0
	flush := func() error {
		if len(step) == 0 {
			return nil
		}
		if err := to.Import(ctx, step); err != nil {
			return err
		}
		p("moving", min(step[len(step)-1].Place().Position(), marks.Position), marks.Position)
		step, size = step[:0], 0
		return nil
	}
	for e, err := range from.Export(ctx, place) {
		if err != nil {
			return err
		}
		if len(step) >= stepEntries || size+e.Size() > stepBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		step = append(step, e)
		size += e.Size()
	}
	return flush()
}

// compare reads both sides.
func compare(ctx context.Context, from, to Content, marks repository.Marks, p Progress) (Report, error) {
	want, err := Read(ctx, from, marks, named(p, "checking the source"))
	if err != nil {
		return want, err
	}
	got, err := Read(ctx, to, marks, named(p, "checking the target"))
	if err != nil {
		return got, err
	}
	if want.Checksum != got.Checksum {
		return got, fmt.Errorf("%w: %s there, %s here; the target was left unfinished, empty it and start again", ErrDiffers, want.counts(), got.counts())
	}
	return got, nil
}

func named(p Progress, step string) Progress {
	return func(_ string, done, total uint64) { p(step, done, total) }
}

func (r *Report) counts() string {
	rows := uint64(0)
	for _, n := range r.Rows {
		rows += n
	}
	return fmt.Sprintf("%d versions, %d purged keys, %d tokens and %d rows", r.Versions, r.Purged, r.Tokens, rows)
}

// Read counts what a store holds and makes its checksum.
func Read(ctx context.Context, c Content, marks repository.Marks, p Progress) (Report, error) {
	r := Report{Rows: map[string]uint64{}, Position: marks.Position}
	h := sha256.New()
	var buf []byte
	entries := 0
	p("", 0, marks.Position)
	for e, err := range c.Export(ctx, "") {
		if err != nil {
			return r, err
		}
		buf = e.AppendCanonical(buf[:0])
		h.Write(buf)
		r.count(&e)
		if entries++; entries%stepEntries == 0 {
			p("", min(e.Place().Position(), marks.Position), marks.Position)
		}
	}
	p("", marks.Position, marks.Position)
	h.Write(appendMarks(nil, marks))
	r.Checksum = hex.EncodeToString(h.Sum(nil))
	return r, nil
}

func (r *Report) count(e *repository.Entry) {
	switch e.Kind {
	case repository.RowEntry:
		r.Rows[e.Table]++
		return
	case repository.HollowEntry:
		r.Purged++
		return
	}
	r.Versions++
	r.Bytes += uint64(len(e.Record.Body))
	r.Tokens += uint64(len(e.Record.Tokens))
	if e.Past {
		return
	}
	if r.Current++; e.Record.Deleted {
		r.Tombstones++
	}
}
