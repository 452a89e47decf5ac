package localstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

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
	key, other, value []byte
	tokens            []repository.Token
}

func (s *Store) begin(size int) *transaction {
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
		s.ordinals[c] = o
	}
	s.types.current.Store(tx.types)
	return p, nil
}

// put adds one write: checks its precondition, moves the current version to
// history and replaces it, its postings and its feed entry.
func (tx *transaction) put(w *repository.Write) error {
	code, err := tx.code(w.Record.Key.Type)
	if err != nil {
		return err
	}
	sc := &tx.s.scratch
	sc.key = appendRecordKey(sc.key[:0], code, w.Record.Key.ID)
	var old stored
	closer, err := tx.s.current(sc.key, &old)
	if err != nil {
		return err
	}
	if closer != nil {
		defer closer.Close()
	}
	if old.version != w.Expect || old.hollow() {
		return fmt.Errorf("%w: %v", repository.ErrConflict, w.Record.Key)
	}
	next := tx.successor(code, w, &old)
	tx.touched = append(tx.touched, w.Record.Key.ID)
	if old.version > 0 {
		tx.archive(code, w.Record.Key.ID, &old)
	}
	tx.set(sc.key, &next)
	tx.index(code, w.Record.Key.ID, &old, &next)
	tx.feed(code, w.Record.Key.ID, &next)
	return tx.err
}

// successor is the new current version.
func (tx *transaction) successor(code typeCode, w *repository.Write, old *stored) stored {
	tx.seq++
	next := stored{
		version: w.Record.Version,
		updated: w.Record.Updated,
		seq:     tx.seq,
		ordinal: old.ordinal,
		owner:   w.Record.Owner,
		tokens:  tx.encodeTokens(w.Record.Tokens),
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

// encodeTokens sorts and dedupes; sorted postings are cheaper to insert and
// two sorted lists are cheap to compare.
func (tx *transaction) encodeTokens(tokens []repository.Token) []byte {
	if len(tokens) == 0 {
		return nil
	}
	sc := &tx.s.scratch
	sc.tokens = append(sc.tokens[:0], tokens...)
	slices.SortFunc(sc.tokens, func(a, b repository.Token) int {
		switch {
		case uint64(a) < uint64(b):
			return -1
		case uint64(a) > uint64(b):
			return 1
		}
		return 0
	})
	sc.value = sc.value[:0]
	for _, t := range slices.Compact(sc.tokens) {
		sc.value = binary.BigEndian.AppendUint64(sc.value, uint64(t))
	}
	return sc.value
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
		last = tx.s.ordinals[c]
	}
	if last == maxOrdinal {
		tx.keep(repository.ErrTooLarge)
	}
	tx.ordinals[c] = last + 1
	return last + 1
}

// archive writes the old current version as history; its tokens end.
func (tx *transaction) archive(code typeCode, id repository.StorageID, old *stored) {
	sc := &tx.s.scratch
	past := *old
	past.tokens = nil
	sc.other = appendVersionKey(sc.other[:0], code, id, old.version)
	tx.set(sc.other, &past)
}

// set encodes the value straight into the batch.
func (tx *transaction) set(key []byte, r *stored) {
	op := tx.batch.SetDeferred(len(key), r.size())
	copy(op.Key, key)
	r.append(op.Value[:0], key)
	tx.keep(op.Finish())
}

// index moves the postings from old to next and keeps the ordinal's and the
// owner's row.
func (tx *transaction) index(code typeCode, id repository.StorageID, old, next *stored) {
	sc := &tx.s.scratch
	diffTokens(old.tokens, next.tokens, func(t repository.Token, added bool) {
		sc.other = appendOrdinal(appendTokenPrefix(sc.other[:0], code, t), next.ordinal)
		if added {
			tx.keep(tx.batch.Set(sc.other, nil, nil))
		} else {
			tx.keep(tx.batch.Delete(sc.other, nil))
		}
	})
	if old.version == 0 || old.deleted() != next.deleted() {
		tx.setOrdinal(code, id, next)
	}
	if old.version == 0 || old.owner != next.owner {
		sc.other = appendOwnerKey(sc.other[:0], next.owner, code, next.ordinal)
		tx.keep(tx.batch.Set(sc.other, nil, nil))
	}
}

// setOrdinal maps the ordinal to its resource; a last byte marks what a scan
// of the type passes over.
func (tx *transaction) setOrdinal(code typeCode, id repository.StorageID, r *stored) {
	sc := &tx.s.scratch
	sc.other = appendOrdinalKey(sc.other[:0], code, r.ordinal)
	var buf [idBytes + 1]byte
	value := append(buf[:0], id[:]...)
	if r.flags != 0 {
		value = append(value, r.flags)
	}
	tx.keep(tx.batch.Set(sc.other, value, nil))
}

func (tx *transaction) keep(err error) {
	if err != nil {
		tx.err = errors.Join(tx.err, err)
	}
}

// diffTokens walks two ascending lists.
func diffTokens(old, next []byte, change func(t repository.Token, added bool)) {
	for len(old) > 0 || len(next) > 0 {
		switch {
		case len(next) == 0 || len(old) > 0 && token(old) < token(next):
			change(repository.Token(token(old)), false)
			old = old[tokenBytes:]
		case len(old) == 0 || token(next) < token(old):
			change(repository.Token(token(next)), true)
			next = next[tokenBytes:]
		default:
			old, next = old[tokenBytes:], next[tokenBytes:]
		}
	}
}

func token(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
