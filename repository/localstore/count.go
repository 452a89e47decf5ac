package localstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

var _ repository.Counter = (*Store)(nil)

// Count implements repository.Counter. It reads index entries, and forward
// rows where the entries alone do not tell; never a record.
func (s *Store) Count(ctx context.Context, q repository.Query, most int) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave(&err)
	q.After = ""
	f := finder{s: s, q: &q, counting: true}
	if err := checkLimit(most); err != nil {
		return 0, err
	}
	err = f.run(ctx, func(position) (bool, error) {
		n++
		return n == most, nil
	})
	if err != nil {
		return 0, fmt.Errorf("counting %s: %w", q.Type, err)
	}
	// What was counted may be in the log but not yet on stable storage.
	return n, s.durable.wait(ctx, s.applied.Load())
}

// exactEntries is up to how many entries of all its lists together an estimate
// is exact.
const exactEntries = 512

// Estimate implements repository.Counter.
func (s *Store) Estimate(ctx context.Context, resourceType string, anyOf []repository.Token) (n int, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave(&err)
	f := finder{s: s, q: &repository.Query{Type: resourceType}}
	c := clause(sortTokens(slices.Clone(anyOf)))
	var ok bool
	if f.code, ok = s.types.code(resourceType); !ok || len(c) == 0 {
		return 0, nil
	}
	f.ctx = ctx
	f.view = s.db.NewSnapshot()
	defer f.close()
	few, all, err := f.countFew(c)
	if err == nil && !all {
		few, err = f.estimateOr(c, math.MaxInt32)
		few = min(few, int(f.ordinalsEnd())-1)
	}
	if err != nil {
		return 0, fmt.Errorf("estimating %s: %w", resourceType, err)
	}
	return few, nil
}

// countFew counts the union exactly; all: it did not give up.
func (f *finder) countFew(c clause) (n int, all bool, err error) {
	if len(c) > exactEntries {
		return 0, false, nil
	}
	it, err := f.view.NewIter(&pebble.IterOptions{})
	if err != nil {
		return 0, false, storeError("reading index", err)
	}
	defer func() { err = errors.Join(err, storeError("reading index", it.Close())) }()
	seen := map[ordinal]struct{}{}
	budget := exactEntries
	var key []byte
	for _, t := range c {
		key = appendTokenPrefix(key[:0], f.code, t)
		for ok := it.SeekPrefixGE(key); ok; ok = it.Next() {
			if budget--; budget < 0 {
				return 0, false, nil
			}
			if err := f.step(); err != nil {
				return 0, false, err
			}
			o, _ := readOrdinal(it.Key())
			seen[o] = struct{}{}
		}
	}
	return len(seen), true, nil
}
