package localstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// enter begins every public call; leave ends it.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.latch.err(); err != nil {
		return err
	}
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return fmt.Errorf("%w: closed", repository.ErrUnavailable)
	}
	return nil
}

// leave must be deferred directly: it turns the halt of a fatal error inside
// Pebble into ErrUnavailable.
func (s *Store) leave(err *error) {
	s.life.RUnlock()
	if r := recover(); r != nil {
		if _, ok := r.(halt); !ok {
			panic(r)
		}
		*err = s.latch.err()
	}
}

// Close waits for calls under way and closes the files. Afterwards every call
// returns ErrUnavailable. A store that has latched keeps its files and its
// lock until the process exits: Pebble's state is undefined then, and nobody
// else may open the folder before the process is gone.
func (s *Store) Close() error {
	s.stopUpgrade()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.latch.err(); err != nil {
		return err
	}
	return s.detached(s.closeDB)
}

// closeDB empties the log into table files, whose blocks all carry checksums;
// of a log, Pebble cannot tell damage near its end from a torn last write.
// Where the flush fails, the log keeps everything.
func (s *Store) closeDB() error {
	s.committer.stop()
	if err := s.flush(context.Background()); errors.Is(err, errStalled) {
		return fmt.Errorf("closing: %w: %w", repository.ErrUnavailable, err)
	}
	err := s.db.Set(metaKey(metaStamp), metaValue(uint64(s.stamps.last+1)), pebble.Sync)
	return storeError("closing", errors.Join(err, s.db.Close(), s.lock.Close()))
}
