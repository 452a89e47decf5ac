package localstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// Commit implements repository.Store. Memory of the batch may be reused by the
// caller when it returns.
func (s *Store) Commit(ctx context.Context, b repository.Batch) (seq repository.Seq, err error) {
	if err := s.enter(ctx); err != nil {
		return "", err
	}
	defer s.leave(&err)
	size, err := s.validate(b)
	if err != nil {
		return "", fmt.Errorf("committing: %w", err)
	}
	if err := s.space.reserve(size); err != nil {
		return "", fmt.Errorf("committing: %w", err)
	}
	p, err := s.commitOrdered(ctx, b, size)
	if err != nil {
		return "", fmt.Errorf("committing: %w", err)
	}
	if err := s.finish(p); err != nil {
		return "", err
	}
	return repository.Uint64Seq(p.seq), nil
}

// commitOrdered is the part of Commit that happens one at a time.
func (s *Store) commitOrdered(ctx context.Context, b repository.Batch, size int) (pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return pending{}, err
	}
	if err := s.guards.check(b.Expect); err != nil {
		return pending{}, err
	}
	tx := s.begin(size)
	for i := range b.Writes {
		if err := tx.put(&b.Writes[i]); err != nil {
			tx.batch.Close()
			return pending{}, err
		}
	}
	p, err := tx.apply()
	if err == nil {
		s.guards.bump(b.Bump)
	}
	return p, err
}

// pending is a batch that is in the log but perhaps not yet on stable storage.
type pending struct {
	batch  *pebble.Batch
	number uint64
	seq    uint64
}

// apply hands the batch to Pebble's log. The caller holds mu and has marked
// the keys with the number applied+1.
func (s *Store) apply(batch *pebble.Batch) (p pending, err error) {
	defer func() {
		// Pebble panics when its log has failed, and Fatalf halts.
		if r := recover(); r != nil {
			s.latch.set(fmt.Errorf("writing to the log: %v", r))
			err = s.latch.err()
		}
	}()
	if err := s.latch.err(); err != nil {
		return pending{}, err
	}
	p = pending{batch: batch, number: s.applied.Add(1), seq: s.seq}
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		s.latch.set(err)
		return pending{}, s.latch.err()
	}
	return p, nil
}

// finish waits until the batch is on stable storage. It runs without mu, so
// that others can join the fsync.
func (s *Store) finish(p pending) error {
	if err := p.batch.SyncWait(); err != nil {
		s.latch.set(err)
		return s.latch.err()
	}
	s.durable.advance(p.number, p.seq)
	return storeError("committing", p.batch.Close())
}

// commitRows commits a batch that needs no checks.
func (s *Store) commitRows(batch *pebble.Batch) error {
	s.mu.Lock()
	p, err := s.apply(batch)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.finish(p)
}

// validate refuses what no state of the store could accept, and returns the
// size of the batch in bytes.
func (s *Store) validate(b repository.Batch) (int, error) {
	const perWrite, perToken = 256, 32
	size := 0
	seen := make(map[repository.Key]struct{}, len(b.Writes))
	for i := range b.Writes {
		w := &b.Writes[i]
		if err := validWrite(w); err != nil {
			return 0, err
		}
		if _, dup := seen[w.Record.Key]; dup {
			return 0, errors.New("a key stands in the batch twice")
		}
		seen[w.Record.Key] = struct{}{}
		size += perWrite + len(w.Record.Body) + perToken*len(w.Record.Tokens)
	}
	if size > s.opts.MaxBatch {
		return 0, fmt.Errorf("%w of %d bytes", repository.ErrTooLarge, s.opts.MaxBatch)
	}
	return size, nil
}

const maxTypeName = 64

func validWrite(w *repository.Write) error {
	r := &w.Record
	switch {
	case r.Key.Type == "" || len(r.Key.Type) > maxTypeName:
		return errors.New("write without a valid resource type")
	case r.Version != w.Expect+1:
		return errors.New("a write's version must follow the expected one")
	case r.Deleted && len(r.Tokens) > 0:
		return errors.New("a tombstone carries tokens")
	}
	return nil
}
