package localstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// stampBlock is how far ahead of the last stamp the high-water mark on disk
// stands: one more fsync every two seconds of writing, and at most two seconds
// by which stamps run ahead of the clock after a crash.
const stampBlock = repository.Stamp(2 * time.Second / time.Microsecond)

// stamps hands out lastUpdated. Every stamp given out is below reserved, and
// reserved is durable.
type stamps struct {
	mu       sync.Mutex
	last     repository.Stamp
	reserved repository.Stamp
}

// Stamp implements repository.Store.
func (s *Store) Stamp(ctx context.Context) (stamp repository.Stamp, err error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave(&err)
	return s.nextStamp(ctx)
}

func (s *Store) nextStamp(ctx context.Context) (repository.Stamp, error) {
	s.stamps.mu.Lock()
	defer s.stamps.mu.Unlock()
	next := max(repository.Stamp(s.opts.Now().UnixMicro()), s.stamps.last+1)
	if next >= s.stamps.reserved {
		if err := s.reserveStamps(ctx, next+stampBlock); err != nil {
			return 0, err
		}
	}
	s.stamps.last = next
	return next, nil
}

// reserveStamps moves the high-water mark. The caller holds stamps.mu.
func (s *Store) reserveStamps(ctx context.Context, mark repository.Stamp) error {
	batch := s.db.NewBatch()
	if err := batch.Set(metaKey(metaStamp), metaValue(uint64(mark)), nil); err != nil {
		return storeError("reserving stamps", err)
	}
	if _, err := s.committer.submit(ctx, func() (pending, error) { return s.apply(batch) }); err != nil {
		return fmt.Errorf("reserving stamps: %w", err)
	}
	s.stamps.reserved = mark
	return nil
}
