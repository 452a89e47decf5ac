package localstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// types is the dictionary of resource types. Readers load a snapshot; only
// the committer replaces it.
type types struct{ current atomic.Pointer[dictionary] }

type dictionary struct {
	codes map[string]typeCode
	names []string // by code; code 0 is unused
}

func (t *types) code(name string) (typeCode, bool) {
	c, ok := t.current.Load().codes[name]
	return c, ok
}

// name is empty for an unknown code.
func (t *types) name(c typeCode) string {
	names := t.current.Load().names
	if int(c) >= len(names) {
		return ""
	}
	return names[c]
}

// with returns a dictionary that also has the name.
func (d *dictionary) with(name string) (*dictionary, typeCode, error) {
	if len(d.names) > maxCode {
		return nil, 0, fmt.Errorf("adding a resource type: %w", repository.ErrTooLarge)
	}
	c := typeCode(len(d.names))
	next := &dictionary{codes: maps.Clone(d.codes), names: append(d.names[:c:c], name)}
	next.codes[name] = c
	return next, c, nil
}

// ordinals are the last of each type. Only the committer moves them.
type ordinals struct{ byType sync.Map }

func (o *ordinals) last(c typeCode) ordinal {
	last, ok := o.byType.Load(c)
	if !ok {
		return noOrdinal
	}
	return last.(ordinal)
}

func (o *ordinals) set(c typeCode, last ordinal) { o.byType.Store(c, last) }

// load reads the dictionary at Open.
func (t *types) load(db *pebble.DB) error {
	d := &dictionary{codes: map[string]typeCode{}, names: []string{""}}
	it, err := prefixIter(db, []byte{kindType})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value := it.Value()
		if len(value) != 2 {
			return fmt.Errorf("%w: type dictionary", repository.ErrCorrupt)
		}
		c, name := typeCode(binary.BigEndian.Uint16(value)), string(it.Key()[1:])
		d.codes[name] = c
		for len(d.names) <= int(c) {
			d.names = append(d.names, "")
		}
		d.names[c] = name
	}
	t.current.Store(d)
	return it.Error()
}

// prefixIter iterates over the keys with the prefix.
func prefixIter(r pebble.Reader, prefix []byte) (*pebble.Iterator, error) {
	return r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
}
