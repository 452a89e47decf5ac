package localstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// test hands a candidate to visit unless its forward row says that it does not
// match.
func (f *finder) test(p position, visit func(position) (bool, error)) (enough bool, err error) {
	if f.plan.row {
		var w forward
		closer, err := f.forward(p.ordinal, &w)
		if err != nil {
			return false, err
		}
		matches := f.matches(&w)
		closer()
		if !matches {
			return false, nil
		}
	}
	return visit(p)
}

// matches tests what the sources do not promise.
func (f *finder) matches(w *forward) bool {
	if !w.live || f.q.Owner != nil && w.owner != *f.q.Owner ||
		f.q.Since != 0 && w.updated < f.q.Since || f.q.Until != 0 && w.updated >= f.q.Until {
		return false
	}
	for _, c := range f.plan.tests {
		if !c.meets(w.tokens) {
			return false
		}
	}
	return true
}

// meets reports whether the row has one of the clause's tokens. The shorter
// of the two is looked up in the longer.
func (c clause) meets(row []byte) bool {
	n := len(row) / tokenBytes
	if len(c) < n {
		return slices.ContainsFunc(c, func(t repository.Token) bool { return hasToken(row, uint64(t)) })
	}
	for ; len(row) > 0; row = row[tokenBytes:] {
		if _, ok := slices.BinarySearchFunc(c, token(row), compareToken); ok {
			return true
		}
	}
	return false
}

func compareToken(t repository.Token, to uint64) int {
	switch {
	case uint64(t) < to:
		return -1
	case uint64(t) > to:
		return 1
	}
	return 0
}

func hasToken(row []byte, t uint64) bool {
	low, high := 0, len(row)/tokenBytes
	for low < high {
		mid := int(uint(low+high) >> 1)
		switch at := binary.BigEndian.Uint64(row[mid*tokenBytes:]); {
		case at < t:
			low = mid + 1
		case at > t:
			high = mid
		default:
			return true
		}
	}
	return false
}

// forward reads the forward row of a candidate. What is not live, or of
// format 1, has none. The row is valid until done is called.
func (f *finder) forward(o ordinal, w *forward) (done func(), err error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	if f.rows == nil {
		if f.rows, err = f.view.NewIter(&pebble.IterOptions{}); err != nil {
			return nil, storeError("reading index", err)
		}
	}
	f.key = appendForwardKey(f.key[:0], f.code, o)
	if f.rows.SeekPrefixGE(f.key) && bytes.Equal(f.rows.Key(), f.key) {
		value, err := f.rows.ValueAndErr()
		if err != nil {
			return nil, storeError("reading index", err)
		}
		return func() {}, w.decode(f.key, value)
	}
	if err := f.rows.Error(); err != nil {
		return nil, storeError("reading index", err)
	}
	var r stored
	closer, err := at(f.view, f.code, o, &r)
	switch {
	case err != nil:
		return nil, err
	case closer == nil:
		return nil, fmt.Errorf("%w: an index entry without its record", repository.ErrCorrupt)
	case r.flags == 0 && !r.old:
		closer.Close()
		return nil, fmt.Errorf("%w: a record without its forward row", repository.ErrCorrupt)
	}
	*w = forward{live: r.flags == 0, owner: r.owner, updated: r.updated, tokens: r.tokens}
	return func() { closer.Close() }, nil
}
