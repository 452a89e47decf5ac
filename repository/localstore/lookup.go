package localstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// current decodes the current version of a resource. r aliases Pebble's memory
// until the closer is closed; no closer means that there is none.
func current(from pebble.Reader, code typeCode, id repository.StorageID, r *stored) (io.Closer, error) {
	key := appendIDKey(nil, code, id)
	for seen := noOrdinal; ; {
		value, closer, err := from.Get(key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, storeError("reading", err)
		}
		if len(value) != ordinalBytes {
			return closing(closer, r.decode(key, value))
		}
		o, _ := readOrdinal(value)
		closer.Close()
		found, err := at(from, code, o, r)
		switch {
		case err != nil:
			return nil, err
		case found != nil && r.id == id:
			return found, nil
		case found != nil:
			found.Close()
			return nil, fmt.Errorf("%w: a record under another id", repository.ErrCorrupt)
		case o == seen:
			return nil, fmt.Errorf("%w: an id without its record", repository.ErrCorrupt)
		}
		seen = o // purged between two reads that are on no snapshot
	}
}

// noOrdinal is no resource's: they count from one.
const noOrdinal ordinal = 0

// at decodes the current version of the resource that has the ordinal. In
// format 1 that row named the resource: 16 bytes, and one more when not live.
func at(from pebble.Reader, code typeCode, o ordinal, r *stored) (io.Closer, error) {
	key := appendRecordKey(nil, code, o)
	value, closer, err := from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError("reading", err)
	}
	if len(value) > idBytes+1 {
		return closing(closer, r.decode(key, value))
	}
	id := bytes.Clone(value[:min(idBytes, len(value))])
	closer.Close()
	key = append(appendTypePrefix(nil, kindID, code), id...)
	value, closer, err = from.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("%w: an ordinal without its record", repository.ErrCorrupt)
	}
	if err != nil {
		return nil, storeError("reading", err)
	}
	if _, err := closing(closer, r.decode(key, value)); err != nil {
		return nil, err
	}
	if r.ordinal != o {
		closer.Close()
		return nil, fmt.Errorf("%w: an ordinal of another record", repository.ErrCorrupt)
	}
	return closer, nil
}

// closing closes when decoding has failed.
func closing(c io.Closer, err error) (io.Closer, error) {
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
