package localstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// backgroundError tells the application of trouble that Pebble retries, and
// whoever waits for a flush that may never end.
func (s *Store) backgroundError(err error) {
	if pebble.IsCorruptionError(err) {
		err = fmt.Errorf("%w: %v", repository.ErrCorrupt, err)
	}
	select {
	case s.trouble <- err:
	default:
	}
	s.opts.OnError(err)
}

// errStalled: a call into Pebble did not return, so Pebble cannot be closed.
var errStalled = errors.New("the database is stalled")

// flush writes the memtables to table files. Pebble itself would try for ever
// on a full disk or with a damaged file.
func (s *Store) flush(ctx context.Context) error {
	select {
	case <-s.trouble: // from before
	default:
	}
	flushed := make(chan (<-chan struct{}), 1)
	failed := make(chan error, 1)
	go func() {
		done, err := s.db.AsyncFlush()
		if err != nil {
			failed <- err
			return
		}
		flushed <- done
	}()
	select {
	case done := <-flushed:
		return s.awaitFlush(ctx, done)
	case err := <-failed:
		return storeError("flushing", err)
	case err := <-s.trouble:
		return errors.Join(errStalled, troubleError(err))
	case <-ctx.Done():
		return errors.Join(errStalled, ctx.Err())
	case <-s.latch.stopped:
		return s.latch.err()
	}
}

func (s *Store) awaitFlush(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case err := <-s.trouble:
		return troubleError(err)
	case <-ctx.Done():
		return ctx.Err()
	case <-s.latch.stopped:
		return s.latch.err()
	}
}

func troubleError(err error) error {
	if isFull(err) {
		return fmt.Errorf("flushing: %w: %v", repository.ErrFull, err)
	}
	return storeError("flushing", err)
}
