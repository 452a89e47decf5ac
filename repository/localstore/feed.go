package localstore

import (
	"context"
	"fmt"
	"iter"
	"sort"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// maxLag is how far a version's time may lie behind the latest one committed
// before it: far above the time that a request may take from its stamp to its
// commit. Commit refuses what lags more, so that a position in the feed tells
// which times may follow it.
const maxLag = repository.Stamp(15 * time.Minute / time.Microsecond)

// mileposts remember the latest time committed up to a position, once in
// milepostEvery positions since the store was opened.
type mileposts struct {
	newest repository.Stamp // belongs to the committer

	mu    sync.Mutex
	posts []milepost // ascending in both
}

type milepost struct {
	seq    uint64
	newest repository.Stamp
}

const milepostEvery = 256

// check refuses writes whose time lags. It runs in the committer.
func (m *mileposts) check(ws []repository.Write) error {
	for i := range ws {
		if ws[i].Record.Updated < m.newest-maxLag {
			return fmt.Errorf("checking the time of a write: %w", repository.ErrConflict)
		}
	}
	return nil
}

// pass notes that the writes were applied up to a position. It runs in the
// committer.
func (m *mileposts) pass(ws []repository.Write, seq uint64) {
	for i := range ws {
		m.newest = max(m.newest, ws[i].Record.Updated)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.posts); n == 0 || seq >= m.posts[n-1].seq+milepostEvery {
		m.posts = append(m.posts, milepost{seq, m.newest})
	}
}

// before is the last milepost up to which every time is below the given one.
func (m *mileposts) before(at repository.Stamp) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := sort.Search(len(m.posts), func(i int) bool { return m.posts[i].newest >= at })
	if n == 0 {
		return 0, false
	}
	return m.posts[n-1].seq, true
}

// Since implements repository.Feeder.
func (s *Store) Since(ctx context.Context, at repository.Stamp) (seq repository.Seq, err error) {
	if err := s.enter(ctx); err != nil {
		return "", err
	}
	defer s.leave(&err)
	if post, ok := s.mileposts.before(at); ok {
		return repository.Uint64Seq(post), nil
	}
	it, err := s.feedIter(1, s.durable.feed.Load()+1)
	if err != nil {
		return "", err
	}
	defer it.Close()
	// Every time up to low is below at; what lies beyond high is not looked at.
	low, high := uint64(0), s.durable.feed.Load()+1
	for high-low > chunk {
		middle := low + (high-low)/2
		if !it.SeekGE(appendFeedKey(nil, middle)) {
			high = middle
			continue
		}
		c, err := s.changeAt(it)
		if err != nil {
			return "", err
		}
		if n, _ := parseSeq(c.Seq); n < high && c.Updated < at-maxLag {
			low = n
		} else {
			high = middle
		}
	}
	if err := it.Error(); err != nil {
		return "", storeError("reading", err)
	}
	return repository.Uint64Seq(low), nil
}

func (s *Store) feedIter(from, to uint64) (*pebble.Iterator, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendFeedKey(nil, from), UpperBound: appendFeedKey(nil, to)})
	return it, storeError("reading", err)
}

func (s *Store) changeAt(it *pebble.Iterator) (repository.Change, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return repository.Change{}, storeError("reading", err)
	}
	return s.decodeChange(it.Key(), value)
}

// ChangesBefore implements repository.Feeder. Chunks are read as by Changes.
func (s *Store) ChangesBefore(ctx context.Context, before repository.Seq) iter.Seq2[repository.Change, error] {
	return func(yield func(repository.Change, error) bool) {
		to, err := parseSeq(before)
		if before == "" {
			to = ^uint64(0)
		}
		for err == nil {
			var changes []repository.Change
			changes, err = s.changesDown(ctx, to)
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
			if len(changes) < chunk {
				break
			}
			to, _ = parseSeq(changes[len(changes)-1].Seq)
		}
		if err != nil {
			yield(repository.Change{}, fmt.Errorf("reading changes: %w", err))
		}
	}
}

// changesDown reads the chunk below a position, the latest first.
func (s *Store) changesDown(ctx context.Context, to uint64) (changes []repository.Change, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	it, err := s.feedIter(1, min(to, s.durable.feed.Load()+1))
	if err != nil {
		return nil, err
	}
	defer it.Close()
	for ok := it.Last(); ok && len(changes) < chunk; ok = it.Prev() {
		c, err := s.changeAt(it)
		if err != nil {
			return changes, err
		}
		changes = append(changes, c)
	}
	return changes, storeError("reading", it.Error())
}

var _ repository.Feeder = (*Store)(nil)
