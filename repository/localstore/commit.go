package localstore

import (
	"context"
	"fmt"

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
	p, err := s.committer.submit(ctx, func() (pending, error) { return s.build(b, size) })
	if err != nil {
		return "", fmt.Errorf("committing: %w", err)
	}
	return repository.Uint64Seq(p.seq), nil
}

// build is the part of Commit that happens one at a time.
func (s *Store) build(b repository.Batch, size int) (pending, error) {
	if err := s.guards.check(b.Expect); err != nil {
		return pending{}, err
	}
	if err := s.mileposts.check(b.Writes); err != nil {
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
		s.mileposts.pass(b.Writes, p.seq)
		s.guards.bump(b.Bump)
	}
	return p, err
}

// validate returns the size of a batch that some state of the store could
// accept, in bytes.
func (s *Store) validate(b repository.Batch) (int, error) {
	if err := b.Validate(); err != nil {
		return 0, err
	}
	const perWrite, perToken = 256, 32
	size := 0
	for i := range b.Writes {
		r := &b.Writes[i].Record
		size += perWrite + len(r.Body) + perToken*len(r.Tokens)
	}
	if size > s.opts.MaxBatch {
		return 0, fmt.Errorf("%w of %d bytes", repository.ErrTooLarge, s.opts.MaxBatch)
	}
	return size, nil
}
