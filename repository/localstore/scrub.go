package localstore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// scrubPoll is how often Scrub looks whether Pebble has removed its files.
const scrubPoll = 5 * time.Millisecond

// Scrub rewrites the folder's tables so that the bytes of deleted and replaced
// rows are gone from every file in the folder when it returns: memtables are
// flushed, each table that holds Table rows is compacted to the bottom, every
// log file that existed before, those kept for reuse included, is removed.
// Rows and records that are live stay.
//
// It cannot reach what the file system or the drive keeps of removed files,
// nor backups; that is why keys in the keystore are wrapped as well.
// Keys of deleted rows, not their values, may remain in the manifest.
func (s *Store) Scrub(ctx context.Context) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	if err := s.space.reserveDeletion(); err != nil {
		return fmt.Errorf("scrubbing: %w", err)
	}
	s.fs.scrubbing.Store(true)
	defer s.fs.scrubbing.Store(false)
	if err := s.rotateLogs(ctx); err != nil {
		return fmt.Errorf("scrubbing: %w", err)
	}
	return s.compact(ctx, []byte{kindTable}, []byte{kindTable + 1})
}

// rotateLogs flushes until every log that Pebble holds was made while
// scrubbing: the current one, and as many as it keeps for reuse.
func (s *Store) rotateLogs(ctx context.Context) error {
	for range memTables + 3 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitRemoval waits until replaced files have been removed. Iterators that
// are open delay that; ours live for one call.
func (s *Store) awaitRemoval(ctx context.Context) error {
	tick := time.NewTicker(scrubPoll)
	defer tick.Stop()
	for {
		m := s.db.Metrics()
		if m.Table.ObsoleteCount == 0 && m.Table.ZombieCount == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("scrubbing: %w", ctx.Err())
		case <-s.latch.stopped:
			return s.latch.err()
		}
	}
}

// Compact rewrites all data into its smallest form. Measurements of size call
// it first; nothing else needs to.
func (s *Store) Compact(ctx context.Context) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	return s.compact(ctx, []byte{0}, []byte{0xFF})
}

func (s *Store) compact(ctx context.Context, from, to []byte) error {
	err := s.detached(func() error { return s.db.Compact(ctx, from, to, false) })
	if err != nil {
		return errors.Join(ctx.Err(), storeError("compacting", err))
	}
	return s.awaitRemoval(ctx)
}
