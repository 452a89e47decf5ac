package localstore

import (
	"bytes"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// entries are the changes of a transaction to rows that are all key. They go
// to Pebble in order: what was written together shares most of its tokens, and
// a memtable takes neighbours several times faster than keys far apart.
type entries struct {
	slab []byte
	list []entry
}

type entry struct {
	from, to int // of the key in the slab
	added    bool
}

// keptSlab is the memory that a large transaction leaves to the next ones.
const keptSlab = 1 << 20

func (e *entries) reset() {
	if cap(e.slab) > keptSlab {
		*e = entries{}
	}
	e.slab, e.list = e.slab[:0], e.list[:0]
}

func (e *entries) add(key []byte, added bool) {
	from := len(e.slab)
	e.slab = append(e.slab, key...)
	e.list = append(e.list, entry{from, len(e.slab), added})
}

// write moves the entries to the batch.
func (e *entries) write(batch *pebble.Batch) error {
	slices.SortFunc(e.list, func(a, b entry) int { return bytes.Compare(e.slab[a.from:a.to], e.slab[b.from:b.to]) })
	for _, c := range e.list {
		var err error
		if key := e.slab[c.from:c.to]; c.added {
			err = batch.Set(key, nil, nil)
		} else {
			err = batch.Delete(key, nil)
		}
		if err != nil {
			return err
		}
	}
	e.reset()
	return nil
}
