package localstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// forward is what the index holds of one live resource. A write finds here
// what to remove, and a query tests here what it does not want to look up list
// by list. Neighbours share most of their tokens, so compression halves these
// rows; in a record, between ciphertext, it could not.
type forward struct {
	live    bool
	old     bool // read from a record of format 1: there is no row yet
	version repository.Version
	updated repository.Stamp
	owner   repository.Owner
	tokens  []byte // 8 bytes each, ascending
}

// append encodes the row as the value of key.
func (w *forward) append(dst, key []byte) []byte {
	dst = append(dst, valueFormat2)
	dst = append(dst, w.owner[:]...)
	dst = binary.AppendUvarint(dst, uint64(w.version))
	dst = binary.AppendUvarint(dst, uint64(w.updated))
	return appendChecksum(append(dst, w.tokens...), key)
}

// decode reads a row; tokens alias it.
func (w *forward) decode(key, value []byte) error {
	b, err := checked(key, value)
	if err != nil {
		return err
	}
	p := parser{b: b[1:], bad: b[0] != valueFormat2}
	copy(w.owner[:], p.take(idBytes))
	w.version = repository.Version(p.uvarint())
	w.updated = repository.Stamp(p.uvarint())
	if w.tokens = p.b; p.bad || len(p.b)%tokenBytes != 0 {
		return fmt.Errorf("%w: malformed forward row", repository.ErrCorrupt)
	}
	w.live = true
	return nil
}

// forward returns the row of a current version, in the scratch memory. What
// has no version, or no live one, has nothing in the index.
func (tx *transaction) forward(code typeCode, r *stored) (w forward, err error) {
	sc := &tx.s.scratch
	switch {
	case r.version == 0 || r.flags != 0:
		return w, nil
	case r.old:
		sc.was = append(sc.was[:0], r.tokens...)
		return forward{live: true, old: true, version: r.version, updated: r.updated, owner: r.owner, tokens: sc.was}, nil
	}
	sc.other = appendForwardKey(sc.other[:0], code, r.ordinal)
	value, closer, err := tx.s.db.Get(sc.other)
	if errors.Is(err, pebble.ErrNotFound) {
		return w, fmt.Errorf("%w: a record without its forward row", repository.ErrCorrupt)
	}
	if err != nil {
		return w, storeError("reading", err)
	}
	defer closer.Close()
	sc.was = append(sc.was[:0], value...)
	return w, w.decode(sc.other, sc.was)
}

// index moves what the index holds of a resource from one row to the next.
func (tx *transaction) index(code typeCode, o ordinal, was, next *forward) {
	sc := &tx.s.scratch
	diffTokens(was.tokens, next.tokens, func(t repository.Token, added bool) {
		sc.other = appendOrdinal(appendTokenPrefix(sc.other[:0], code, t), o)
		tx.entry(added)
	})
	kept := was.live && !was.old
	moved := !next.live || was.updated != next.updated
	if kept && moved {
		sc.other = appendUpdatedKey(sc.other[:0], code, was.updated, o)
		tx.entry(false)
	}
	if next.live && (!kept || moved) {
		sc.other = appendUpdatedKey(sc.other[:0], code, next.updated, o)
		tx.entry(true)
	}
	sc.other = appendForwardKey(sc.other[:0], code, o)
	switch {
	case next.live:
		sc.row = next.append(sc.row[:0], sc.other)
		tx.keep(tx.batch.Set(sc.other, sc.row, nil))
	case kept:
		tx.entry(false)
	}
}

// entry adds or removes the key in scratch.other, which has no value.
func (tx *transaction) entry(added bool) {
	tx.s.scratch.entries.add(tx.s.scratch.other, added)
}

// encodeTokens sorts and dedupes; sorted postings are cheaper to insert and
// two sorted lists are cheap to compare.
func (tx *transaction) encodeTokens(tokens []repository.Token) []byte {
	sc := &tx.s.scratch
	sc.tokens = sortTokens(append(sc.tokens[:0], tokens...))
	sc.value = sc.value[:0]
	for _, t := range sc.tokens {
		sc.value = binary.BigEndian.AppendUint64(sc.value, uint64(t))
	}
	return sc.value
}

// sortTokens sorts in the order of keys, in place, and drops what stands twice.
func sortTokens(tokens []repository.Token) []repository.Token {
	slices.SortFunc(tokens, func(a, b repository.Token) int {
		switch {
		case uint64(a) < uint64(b):
			return -1
		case uint64(a) > uint64(b):
			return 1
		}
		return 0
	})
	return slices.Compact(tokens)
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
