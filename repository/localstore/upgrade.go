package localstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// A store of format 1 kept current versions, with their tokens, under their
// ids; reads and writes understand both places. From Open on a goroutine moves
// what is left while requests go on. Where it stands is written with each
// chunk, so that a kill repeats nothing and the next Open goes on.

// upgradeChunk is how many records are moved in one commit, and upgradeBytes
// from how many bytes on it ends early: writers wait while it is built.
const (
	upgradeChunk = 64
	upgradeBytes = 1 << 20
)

// upgradeStart is where an upgrade begins: at the first ordinal of the first
// type. The row is absent when there is nothing to move.
const upgradeStart = 1 << (8 * ordinalBytes)

// beginUpgrade declares a store of format 1 to be one of format 2 that is not
// yet moved.
func (s *Store) beginUpgrade() error {
	batch := s.db.NewBatch()
	err := errors.Join(
		batch.Set(metaKey(metaFormat), metaValue(format), nil),
		batch.Set(metaKey(metaUpgrade), metaValue(upgradeStart), nil),
		batch.Commit(pebble.Sync), batch.Close())
	return storeError("upgrading", err)
}

// startUpgrade goes on with what a former Open has left.
func (s *Store) startUpgrade() error {
	from, err := s.meta(metaUpgrade)
	if err != nil || from == 0 {
		return err
	}
	s.upgrade.pending.Store(true)
	if s.opts.holdUpgrade {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.upgrade.cancel = cancel
	s.upgrade.running.Go(func() {
		if err := s.moveAll(ctx, from); err != nil && ctx.Err() == nil {
			s.opts.OnError(fmt.Errorf("upgrading the stored format: %w", err))
		}
	})
	return nil
}

// stopUpgrade ends the goroutine at the next chunk and waits for it.
func (s *Store) stopUpgrade() {
	if s.upgrade.cancel != nil {
		s.upgrade.cancel()
	}
	s.upgrade.running.Wait()
}

func (s *Store) moveAll(ctx context.Context, from uint64) error {
	for from != 0 {
		next, err := s.moveChunk(ctx, from)
		if err != nil {
			return err
		}
		from = next
	}
	s.upgrade.pending.Store(false)
	return nil
}

// moveChunk moves some records and returns where to go on: 0 at the end.
func (s *Store) moveChunk(ctx context.Context, from uint64) (next uint64, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave(&err)
	var old []ordinal
	code := typeCode(from >> (8 * ordinalBytes))
	if old, next, err = s.unmoved(code, ordinal(from&maxOrdinal)); err != nil {
		return 0, err
	}
	size := 0
	_, err = s.committer.submit(ctx, func() (pending, error) {
		tx := s.begin(0)
		for i, o := range old {
			n, err := tx.move(code, o)
			if err != nil {
				tx.batch.Close()
				return pending{}, err
			}
			if size += n; size > upgradeBytes && i+1 < len(old) {
				next = uint64(code)<<(8*ordinalBytes) | uint64(old[i+1])
				break
			}
		}
		if err := s.space.reserve(size); err != nil {
			tx.batch.Close()
			return pending{}, err
		}
		if next == 0 {
			tx.keep(tx.batch.Delete(metaKey(metaUpgrade), nil))
		} else {
			tx.keep(tx.batch.Set(metaKey(metaUpgrade), metaValue(next), nil))
		}
		return tx.apply()
	})
	return next, err
}

// unmoved lists ordinals whose records still lie under their ids, and tells
// where to go on behind them.
func (s *Store) unmoved(code typeCode, from ordinal) (old []ordinal, next uint64, err error) {
	prefix := appendTypePrefix(nil, kindRecord, code)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendOrdinal(prefix, from), UpperBound: successor(prefix)})
	if err != nil {
		return nil, 0, storeError("reading", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		o, _ := readOrdinal(it.Key())
		if len(old) == upgradeChunk {
			return old, uint64(code)<<(8*ordinalBytes) | uint64(o), nil
		}
		if value := it.LazyValue(); value.Len() <= idBytes+1 {
			old = append(old, o)
		}
	}
	if int(code)+1 < len(s.types.current.Load().names) {
		next = uint64(code+1) << (8 * ordinalBytes)
	}
	return old, next, storeError("reading", it.Error())
}

// move rewrites one record, if it still lies under its id, and returns its
// size.
func (tx *transaction) move(code typeCode, o ordinal) (int, error) {
	var r stored
	closer, err := at(tx.s.db, code, o, &r)
	if err != nil || closer == nil {
		return 0, err // purged meanwhile
	}
	defer closer.Close()
	if !r.old {
		return 0, nil // written meanwhile
	}
	was, err := tx.forward(code, &r)
	if err != nil {
		return 0, err
	}
	next := was
	next.old = false
	tx.setCurrent(code, &r, &r)
	tx.index(code, o, &was, &next)
	return r.size() + len(next.tokens), tx.err
}
