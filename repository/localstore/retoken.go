package localstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/repository"
)

var _ repository.Indexer = (*Store)(nil)

// Retoken implements repository.Indexer. A key may stand in the list once.
func (s *Store) Retoken(ctx context.Context, rs []repository.Retoken) (changed int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave(&err)
	size, err := s.validateRetokens(rs)
	if err == nil {
		err = s.space.reserve(size)
	}
	if err != nil || len(rs) == 0 {
		return 0, wrapped("replacing tokens", err)
	}
	_, err = s.committer.submit(ctx, func() (pending, error) {
		tx := s.begin(size)
		for i := range rs {
			did, err := tx.retoken(&rs[i])
			if err != nil {
				tx.batch.Close()
				return pending{}, err
			}
			if did {
				changed++
			}
		}
		return tx.apply()
	})
	if err != nil {
		return 0, wrapped("replacing tokens", err)
	}
	return changed, nil
}

func wrapped(doing string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

func (s *Store) validateRetokens(rs []repository.Retoken) (size int, err error) {
	const perRecord, perToken = 128, 32
	seen := make(map[repository.Key]struct{}, len(rs))
	for i := range rs {
		if _, dup := seen[rs[i].Key]; dup {
			return 0, errors.New("a key stands in the list twice")
		}
		seen[rs[i].Key] = struct{}{}
		size += perRecord + perToken*len(rs[i].Tokens)
	}
	if size > s.opts.MaxBatch {
		return 0, fmt.Errorf("%w of %d bytes", repository.ErrTooLarge, s.opts.MaxBatch)
	}
	return size, nil
}

// retoken replaces the tokens of a live record that still has the version.
func (tx *transaction) retoken(r *repository.Retoken) (bool, error) {
	code, ok := tx.types.codes[r.Key.Type]
	if !ok {
		return false, nil
	}
	var now stored
	closer, err := current(tx.s.db, code, r.Key.ID, &now)
	if err != nil || closer == nil {
		return false, err
	}
	defer closer.Close()
	if now.version != r.Version || now.flags != 0 {
		return false, nil
	}
	was, err := tx.forward(code, &now)
	if err != nil {
		return false, err
	}
	next := was
	next.old, next.tokens = false, tx.encodeTokens(r.Tokens)
	tx.touched = append(tx.touched, now.id)
	if now.old {
		tx.setCurrent(code, &now, &now)
	}
	tx.index(code, now.ordinal, &was, &next)
	return true, tx.err
}
