package localstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// feed records one change. The entry stands by itself, so that a damaged
// record does not stop the feed.
func (tx *transaction) feed(code typeCode, r *stored) {
	sc := &tx.s.scratch
	sc.other = appendFeedKey(sc.other[:0], r.seq)
	var buf [96]byte
	value := append(buf[:0], valueFormat1|r.flags)
	value = appendCode(value, code)
	value = append(value, r.id[:]...)
	value = append(value, r.owner[:]...)
	value = binary.AppendUvarint(value, uint64(r.version))
	value = binary.AppendUvarint(value, uint64(r.updated))
	tx.keep(tx.batch.Set(sc.other, appendChecksum(value, sc.other), nil))
}

func (s *Store) decodeChange(key, value []byte) (repository.Change, error) {
	b, err := checkedRow(key, value)
	if err != nil {
		return repository.Change{}, err
	}
	code, rest, ok := readCode(b[1:])
	name := s.types.name(code)
	p := parser{b: rest, bad: !ok || name == ""}
	c := repository.Change{Seq: repository.Seq(key[1:]), Deleted: b[0]&flagDeleted != 0}
	c.Key.Type = name
	copy(c.Key.ID[:], p.take(idBytes))
	copy(c.Owner[:], p.take(idBytes))
	c.Version = repository.Version(p.uvarint())
	c.Updated = repository.Stamp(p.uvarint())
	if p.bad {
		return c, fmt.Errorf("%w: malformed feed entry", repository.ErrCorrupt)
	}
	return c, nil
}

// chunk is how many entries an iteration reads at once. Between chunks no
// Pebble iterator is open, so a slow consumer pins no files.
const chunk = 256

// Changes implements repository.Store. Entries of purged versions are gone;
// no others are ever missing.
func (s *Store) Changes(ctx context.Context, after repository.Seq) iter.Seq2[repository.Change, error] {
	return func(yield func(repository.Change, error) bool) {
		from, err := parseSeq(after)
		if err != nil {
			yield(repository.Change{}, err)
			return
		}
		for {
			changes, err := s.changesChunk(ctx, from)
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
			if err != nil {
				yield(repository.Change{}, fmt.Errorf("reading changes: %w", err))
				return
			}
			if len(changes) < chunk {
				return
			}
			from, _ = parseSeq(changes[len(changes)-1].Seq)
		}
	}
}

func (s *Store) changesChunk(ctx context.Context, after uint64) (changes []repository.Change, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	// Everything up to this position is durable and visible; entries above it
	// may not be durable yet.
	end := s.durable.feed.Load()
	if after >= end {
		return nil, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: appendFeedKey(nil, after+1),
		UpperBound: appendFeedKey(nil, end+1),
	})
	if err != nil {
		return nil, storeError("reading", err)
	}
	defer it.Close()
	for ok := it.First(); ok && len(changes) < chunk; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return changes, storeError("reading", err)
		}
		c, err := s.decodeChange(it.Key(), value)
		if err != nil {
			return changes, err
		}
		changes = append(changes, c)
	}
	return changes, storeError("reading", it.Error())
}

func parseSeq(s repository.Seq) (uint64, error) {
	switch len(s) {
	case 0:
		return 0, nil
	case 8:
		return binary.BigEndian.Uint64([]byte(s)), nil
	}
	return 0, repository.ErrPosition
}
