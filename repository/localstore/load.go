package localstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// load reads the counters that writers continue.
func (s *Store) load() error {
	if err := s.types.load(s.db); err != nil {
		return storeError("reading resource types", err)
	}
	stamp, err := s.meta(metaStamp)
	if err != nil {
		return err
	}
	s.stamps.reserved = repository.Stamp(stamp)
	s.stamps.last = s.stamps.reserved - 1
	if err := s.loadSeq(); err != nil {
		return err
	}
	return s.loadOrdinals()
}

// checkFormat refuses what this release does not read, and makes a new folder
// its own. It closes the database on an error.
func (s *Store) checkFormat() error {
	fresh, err := s.readFormat()
	if err != nil {
		return errors.Join(err, s.db.Close())
	}
	if !fresh {
		return nil
	}
	// Pebble begins a new folder with a log in its oldest format, of which it
	// cannot tell damage from the end; opening again begins a second log.
	err = errors.Join(s.claim(), s.db.Close())
	if err != nil {
		return storeError("writing stored format", err)
	}
	return s.openDB()
}

// readFormat reports whether the folder is new.
func (s *Store) readFormat() (fresh bool, err error) {
	found, err := s.meta(metaFormat)
	if err == nil && (s.opts.source != nil || found == formatImporting) {
		return s.readImport(found)
	}
	if err != nil || found == format {
		return false, err
	}
	if found == 1 {
		return false, s.beginUpgrade()
	}
	if found != 0 {
		return false, fmt.Errorf("opening %s: %w %d, this release reads up to %d", s.opts.Dir, ErrFormat, found, format)
	}
	empty, err := s.empty()
	if err == nil && !empty {
		err = fmt.Errorf("opening %s: %w: no format row in a folder with data", s.opts.Dir, ErrFormat)
	}
	return err == nil, err
}

// empty reports whether there is no row at all.
func (s *Store) empty() (bool, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return false, storeError("reading stored format", err)
	}
	empty := !it.First()
	return empty, storeError("reading stored format", errors.Join(it.Error(), it.Close()))
}

func (s *Store) loadSeq() error {
	purged, err := s.meta(metaSeq)
	if err != nil {
		return err
	}
	it, err := prefixIter(s.db, []byte{kindFeed})
	if err != nil {
		return storeError("reading feed", err)
	}
	defer it.Close()
	if it.Last() {
		s.seq = binary.BigEndian.Uint64(it.Key()[1:])
	}
	s.seq = max(s.seq, purged)
	s.durable.feed.Store(s.seq)
	return storeError("reading feed", it.Error())
}

func (s *Store) loadOrdinals() error {
	for _, c := range s.types.current.Load().codes {
		it, err := prefixIter(s.db, appendTypePrefix(nil, kindRecord, c))
		if err != nil {
			return storeError("reading ordinals", err)
		}
		if it.Last() {
			o, _ := readOrdinal(it.Key())
			s.ordinals.set(c, o)
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return storeError("reading ordinals", err)
		}
	}
	return nil
}

// meta reads a counter; an absent one is zero.
func (s *Store) meta(name string) (uint64, error) {
	value, closer, err := s.db.Get(metaKey(name))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, storeError("reading "+name, err)
	}
	defer closer.Close()
	if len(value) != 8 {
		return 0, fmt.Errorf("reading %s: %w", name, repository.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(value), nil
}

func metaValue(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
