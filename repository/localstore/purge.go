package localstore

import (
	"context"
	"fmt"

	"github.com/fieldseal/fieldseal/repository"
)

// PurgeOwner implements repository.Purger: it removes every version that has
// the owner, with its postings and feed entries, of up to limit resources.
// Versions of other owners stay. Where the current version goes while such
// versions remain, the key reads as not found and cannot be created anew.
func (s *Store) PurgeOwner(ctx context.Context, o repository.Owner, limit int) (removed int, done bool, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, false, err
	}
	defer s.leave(&err)
	if err := checkLimit(limit); err != nil {
		return 0, false, err
	}
	if err := s.space.reserveDeletion(); err != nil {
		return 0, false, fmt.Errorf("purging owner: %w", err)
	}
	pu := &purge{owner: o}
	if _, err := s.committer.submit(ctx, func() (pending, error) { return pu.build(s, limit) }); err != nil {
		return 0, false, fmt.Errorf("purging owner: %w", err)
	}
	return pu.removed, pu.done, nil
}

// purge is a transaction that removes.
type purge struct {
	*transaction
	owner   repository.Owner
	removed int
	done    bool
}

// build is the part of PurgeOwner that happens one at a time.
func (pu *purge) build(s *Store, limit int) (pending, error) {
	pu.transaction = s.begin(0)
	if err := pu.run(limit); err != nil {
		pu.batch.Close()
		return pending{}, err
	}
	// Positions must not be used again when the last entries are gone.
	pu.keep(pu.batch.Set(metaKey(metaSeq), metaValue(pu.seq), nil))
	return pu.apply()
}

func (pu *purge) run(limit int) error {
	prefix := appendOwnerPrefix(nil, pu.owner)
	it, err := prefixIter(pu.s.db, prefix)
	if err != nil {
		return storeError("reading owner index", err)
	}
	defer it.Close()
	ok := it.First()
	for ; ok && limit > 0; ok = it.Next() {
		code, rest, valid := readCode(it.Key()[len(prefix):])
		o, sized := readOrdinal(rest)
		if !valid || !sized {
			return fmt.Errorf("%w: malformed owner index", repository.ErrCorrupt)
		}
		if err := pu.resource(code, o); err != nil {
			return err
		}
		pu.keep(pu.batch.Delete(it.Key(), nil))
		limit--
	}
	pu.done = !ok
	return storeError("reading owner index", it.Error())
}

// resource removes the owner's versions of one resource.
func (pu *purge) resource(code typeCode, o ordinal) error {
	var now stored
	closer, err := at(pu.s.db, code, o, &now)
	if err != nil {
		return err
	}
	if closer == nil {
		return fmt.Errorf("%w: owner index without its record", repository.ErrCorrupt)
	}
	defer closer.Close()
	pu.touched = append(pu.touched, now.id)
	others, err := pu.past(code, now.id)
	if err != nil {
		return err
	}
	return pu.current(code, &now, others)
}

// past removes past versions and reports whether those of others remain.
func (pu *purge) past(code typeCode, id repository.StorageID) (others bool, err error) {
	it, err := prefixIter(pu.s.db, appendVersionPrefix(nil, code, id))
	if err != nil {
		return false, storeError("reading history", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return false, storeError("reading history", err)
		}
		var r stored
		if err := r.decode(it.Key(), value); err != nil {
			return false, err
		}
		if r.owner != pu.owner {
			others = true
			continue
		}
		pu.remove(it.Key(), &r)
	}
	return others, storeError("reading history", it.Error())
}

// current removes the current version if it is the owner's, or what a former
// purge left of the key once no version remains.
func (pu *purge) current(code typeCode, now *stored, others bool) error {
	if !now.hollow() {
		if now.owner != pu.owner {
			return nil
		}
		was, err := pu.forward(code, now)
		if err != nil {
			return err
		}
		pu.index(code, now.ordinal, &was, &forward{})
		pu.removed++
		pu.keep(pu.batch.Delete(appendFeedKey(nil, now.seq), nil))
	}
	if !others {
		pu.keep(pu.batch.Delete(appendIDKey(nil, code, now.id), nil))
		pu.keep(pu.batch.Delete(appendRecordKey(nil, code, now.ordinal), nil))
		return nil
	}
	hollow := stored{flags: flagHollow, version: now.version, id: now.id, ordinal: now.ordinal}
	pu.setCurrent(code, now, &hollow)
	return nil
}

// remove deletes one past version and its feed entry.
func (pu *purge) remove(key []byte, r *stored) {
	pu.removed++
	pu.keep(pu.batch.Delete(key, nil))
	pu.keep(pu.batch.Delete(appendFeedKey(nil, r.seq), nil))
}
