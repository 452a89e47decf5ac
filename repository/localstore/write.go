package localstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// transaction builds one batch in the committer. Counters are taken over
// by the store only when the batch has been applied.
type transaction struct {
	s        *Store
	batch    *pebble.Batch
	seq      uint64
	types    *dictionary
	ordinals map[typeCode]ordinal // those that moved
	touched  []repository.StorageID
	err      error
}

// scratch is memory that transactions reuse, one at a time.
type scratch struct {
	other, value, was, row []byte
	tokens                 []repository.Token
	entries                entries
}

func (s *Store) begin(size int) *transaction {
	s.scratch.entries.reset()
	return &transaction{
		s:     s,
		batch: s.db.NewBatchWithSize(size + 64),
		seq:   s.seq,
		types: s.types.current.Load(),
	}
}

// apply commits what was built. An empty transaction writes nothing.
func (tx *transaction) apply() (pending, error) {
	s := tx.s
	tx.keep(s.scratch.entries.write(tx.batch))
	if tx.err != nil {
		tx.batch.Close()
		return pending{}, storeError("building batch", tx.err)
	}
	for _, id := range tx.touched {
		s.marks.record(id).Store(s.applied.Load() + 1)
	}
	before := s.seq
	s.seq = tx.seq
	p, err := s.apply(tx.batch)
	if err != nil {
		s.seq = before
		return pending{}, err
	}
	for c, o := range tx.ordinals {
		s.ordinals.set(c, o)
	}
	s.types.current.Store(tx.types)
	return p, nil
}

// put adds one write: checks its precondition, moves the current version to
// history and replaces it, its index entries and its feed entry.
func (tx *transaction) put(w *repository.Write) error {
	code, err := tx.code(w.Record.Key.Type)
	if err != nil {
		return err
	}
	var old stored
	closer, err := current(tx.s.db, code, w.Record.Key.ID, &old)
	if err != nil {
		return err
	}
	if closer != nil {
		defer closer.Close()
	}
	if old.version != w.Expect || old.hollow() {
		return fmt.Errorf("%w: %v", repository.ErrConflict, w.Record.Key)
	}
	was, err := tx.forward(code, &old)
	if err != nil {
		return err
	}
	next := tx.successor(code, w, &old)
	tx.touched = append(tx.touched, next.id)
	if old.version > 0 {
		tx.archive(code, &old)
	}
	tx.setCurrent(code, &old, &next)
	tx.index(code, next.ordinal, &was, &forward{
		live: next.flags == 0, version: next.version, updated: next.updated, owner: next.owner,
		tokens: tx.encodeTokens(w.Record.Tokens),
	})
	if old.version == 0 || old.owner != next.owner {
		sc := &tx.s.scratch
		sc.other = appendOwnerKey(sc.other[:0], next.owner, code, next.ordinal)
		tx.entry(true)
	}
	tx.feed(code, &next)
	return tx.err
}

// successor is the new current version.
func (tx *transaction) successor(code typeCode, w *repository.Write, old *stored) stored {
	tx.seq++
	next := stored{
		version: w.Record.Version,
		updated: w.Record.Updated,
		seq:     tx.seq,
		id:      w.Record.Key.ID,
		ordinal: old.ordinal,
		owner:   w.Record.Owner,
		body:    w.Record.Body,
	}
	if w.Record.Deleted {
		next.flags = flagDeleted
	}
	if old.version == 0 {
		next.ordinal = tx.nextOrdinal(code)
	}
	return next
}

func (tx *transaction) code(name string) (typeCode, error) {
	if c, ok := tx.types.codes[name]; ok {
		return c, nil
	}
	next, c, err := tx.types.with(name)
	if err != nil {
		return 0, err
	}
	tx.types = next
	tx.keep(tx.batch.Set(typeKey(name), binary.BigEndian.AppendUint16(nil, uint16(c)), nil))
	return c, nil
}

func (tx *transaction) nextOrdinal(c typeCode) ordinal {
	if tx.ordinals == nil {
		tx.ordinals = map[typeCode]ordinal{}
	}
	last, ok := tx.ordinals[c]
	if !ok {
		last = tx.s.ordinals.last(c)
	}
	if last == maxOrdinal {
		tx.keep(repository.ErrTooLarge)
	}
	tx.ordinals[c] = last + 1
	return last + 1
}

// archive writes the old current version as history; its tokens end.
func (tx *transaction) archive(code typeCode, old *stored) {
	sc := &tx.s.scratch
	sc.other = appendVersionKey(sc.other[:0], code, old.id, old.version)
	op := tx.batch.SetDeferred(len(sc.other), old.sizePast())
	copy(op.Key, sc.other)
	old.appendPast(op.Value[:0], sc.other)
	tx.keep(op.Finish())
}

// setCurrent encodes the current version straight into the batch. The id leads
// to it when it is new, or when it lay under the id so far.
func (tx *transaction) setCurrent(code typeCode, old, next *stored) {
	sc := &tx.s.scratch
	sc.other = appendRecordKey(sc.other[:0], code, next.ordinal)
	op := tx.batch.SetDeferred(len(sc.other), next.size())
	copy(op.Key, sc.other)
	next.append(op.Value[:0], sc.other)
	tx.keep(op.Finish())
	if old.version == 0 || old.old {
		sc.other = appendIDKey(sc.other[:0], code, next.id)
		var buf [ordinalBytes]byte
		tx.keep(tx.batch.Set(sc.other, appendOrdinal(buf[:0], next.ordinal), nil))
	}
}

func (tx *transaction) keep(err error) {
	if err != nil {
		tx.err = errors.Join(tx.err, err)
	}
}
