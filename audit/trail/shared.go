package trail

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/audit/merkle"
	"github.com/fieldseal/fieldseal/repository"
)

// shared is the medium of several nodes: one log of a database that holds the
// chain of each. Every node appends to its own and reads all.
type shared struct {
	log     Log
	lease   *lease
	name    string
	key     ed25519.PublicKey
	records uint64 // per segment of a new chain
	outage  func(on bool)

	mu     sync.RWMutex // guards what follows; written by load and the writer
	origin origin
	roots  []merkle.Hash // of full segments
	leaves []merkle.Hash // of the segment behind them
}

func newShared(opt Options, key ed25519.PublicKey, outage func(bool), fail func(error)) *shared {
	return &shared{log: opt.Log, name: opt.Origin, key: key, records: opt.SegmentRecords, outage: outage,
		lease: newLease(opt, fail)}
}

// load implements medium.
func (s *shared) load(ctx context.Context) (st start, err error) {
	if err := s.lease.take(ctx); err != nil {
		return st, err
	}
	if _, err := one(ctx, s.log, kindHistory+s.name); err == nil {
		return st, fmt.Errorf("chain %s: %w", s.name, ErrMoved)
	} else if !errors.Is(err, repository.ErrNotFound) {
		return st, err
	}
	if st.origin, err = s.loadOrigin(ctx); err != nil {
		return st, err
	}
	roots, leaves, last, err := loadTree(ctx, s.log, st.origin)
	if err != nil {
		return st, err
	}
	if err := s.keepRoots(ctx, st.origin, roots); err != nil {
		return st, err
	}
	s.mu.Lock()
	s.origin, s.roots, s.leaves = st.origin, roots, leaves
	s.mu.Unlock()
	st.last = last
	for _, r := range roots {
		if err := st.tree.AppendSubtree(r, st.origin.level()); err != nil {
			return st, err
		}
	}
	for _, l := range leaves {
		st.tree.Append(l)
	}
	st.low, err = loadLow(ctx, s.log, s.name, last.seq)
	return st, err
}

func (s *shared) loadOrigin(ctx context.Context) (origin, error) {
	want, err := newOrigin(s.name, s.records, s.key)
	if err != nil {
		return origin{}, err
	}
	got, err := readLogOrigin(ctx, s.log, s.name)
	if !errors.Is(err, repository.ErrNotFound) {
		if err == nil {
			err = got.continues(want)
		}
		return got, err
	}
	if _, err := s.log.Last(ctx, kindFrame+s.name+"/", entryEnd(kindFrame, s.name)); !errors.Is(err, repository.ErrNotFound) {
		return want, errors.Join(fmt.Errorf("%w: events without the entry of their chain", ErrCorrupt), err)
	}
	_, err = put(ctx, s.log, []repository.LogEntry{{ID: kindOrigin + s.name, Body: want.encode()}})
	return want, err
}

func readLogOrigin(ctx context.Context, log Log, name string) (origin, error) {
	e, err := one(ctx, log, kindOrigin+name)
	if err != nil {
		return origin{}, err
	}
	o, err := parseOrigin(e.Body)
	if err == nil && o.Name != name {
		err = fmt.Errorf("%w: the entry of chain %s names another", ErrCorrupt, name)
	}
	return o, err
}

// readLog yields the frames of a chain from a number on.
func readLog(ctx context.Context, log Log, origin string, from uint64) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		for e, err := range entriesOf(ctx, log, kindFrame, origin, from) {
			var f found
			if err == nil {
				f, err = openEntry(&e)
			}
			if err == nil && f.seq != from {
				err = fmt.Errorf("%w: event %d is missing", ErrCorrupt, from)
			}
			if !yield(f.frame, err) || err != nil {
				return
			}
			from++
		}
	}
}

// read implements medium.
func (s *shared) read(ctx context.Context, origin string, from uint64) iter.Seq2[frame, error] {
	return readLog(ctx, s.log, origin, from)
}

// Limits of one attempt to append, and the pause before the next.
const (
	appendTimeout = 5 * time.Second
	appendPause   = 100 * time.Millisecond
)

// append implements medium. Numbers are given and the frames are bound to them,
// so that a batch is tried until its fate is known: the database answers, or
// another process has the place.
func (s *shared) append(ctx context.Context, batch []frame) error {
	rest := make([]repository.LogEntry, len(batch))
	for i := range batch {
		var err error
		if rest[i], err = frameEntry(s.name, &batch[i]); err != nil {
			return err
		}
	}
	if err := s.persist(ctx, rest); err != nil {
		return err
	}
	for i := range batch {
		if err := s.grow(ctx, batch[i].leaf); err != nil {
			return err
		}
	}
	return nil
}

func (s *shared) persist(ctx context.Context, rest []repository.LogEntry) error {
	for {
		n, err := s.try(ctx, rest)
		if rest = rest[n:]; len(rest) == 0 {
			s.outage(false)
			return nil
		}
		if errors.Is(err, errForeign) || !passing(err) {
			return err
		}
		if n > 0 {
			continue
		}
		s.outage(true)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(appendPause):
		}
	}
}

func (s *shared) try(ctx context.Context, entries []repository.LogEntry) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	return put(ctx, s.log, entries)
}

// grow adds a durable leaf. The root of a segment that is full is kept beside
// the frames; one that a crash left out is computed again.
func (s *shared) grow(ctx context.Context, leaf merkle.Hash) error {
	s.mu.Lock()
	s.leaves = append(s.leaves, leaf)
	full := uint64(len(s.leaves)) == s.origin.SegmentRecords
	if !full {
		s.mu.Unlock()
		return nil
	}
	first := uint64(len(s.roots))*s.origin.SegmentRecords + 1
	root := merkle.RootOf(s.leaves)
	s.roots, s.leaves = append(s.roots, root), nil
	s.mu.Unlock()
	return s.persist(ctx, []repository.LogEntry{{ID: entryID(kindRoot, s.name, first), Body: root[:]}})
}

func (s *shared) held() bool { return s.lease.held() }

func (s *shared) segments() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.roots) + 1
}

func (s *shared) close() error { return s.lease.release() }

// putCheckpoint implements medium. Notes are durable on return in any case.
func (s *shared) putCheckpoint(ctx context.Context, n signedNote, low uint64, _ bool) error {
	if n.bytes == nil {
		return nil
	}
	if _, err := s.try(ctx, []repository.LogEntry{{ID: entryID(kindCheckpoint, s.name, n.size), Body: n.bytes}}); err != nil {
		return err
	}
	mark, err := json.Marshal(lowWaterMark{low})
	if err != nil {
		return err
	}
	_, err = s.try(ctx, []repository.LogEntry{{ID: entryID(kindMark, s.name, n.size), Body: mark}})
	if errors.Is(err, errForeign) { // that of an attempt before: an older one only costs time
		return nil
	}
	return err
}

func loadLow(ctx context.Context, log Log, name string, last uint64) (uint64, error) {
	e, err := log.Last(ctx, kindMark+name+"/", entryEnd(kindMark, name))
	if errors.Is(err, repository.ErrNotFound) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading the mark of intents: %w", err)
	}
	return parseLow(e.Body, last), nil
}

// checkpoint implements medium.
func (s *shared) checkpoint(ctx context.Context, origin string) ([]byte, error) {
	e, err := s.log.Last(ctx, kindCheckpoint+origin+"/", entryEnd(kindCheckpoint, origin))
	if errors.Is(err, repository.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the newest checkpoint: %w", err)
	}
	return e.Body, nil
}

// find implements medium: the database merges the chains.
func (s *shared) find(ctx context.Context, q find) ([]found, error) {
	lq := repository.LogQuery{From: q.from, To: q.to, Limit: q.limit}
	if q.before != (Position{}) {
		lq.BeforeTime, lq.BeforeID = q.before.Time.UnixMicro(), entryID(kindFrame, q.before.Origin, q.before.Seq)
	}
	for _, clause := range q.clauses {
		var terms []repository.Token
		for _, t := range clause {
			terms = append(terms, repository.Token(t))
		}
		lq.All = append(lq.All, terms)
	}
	got, err := s.log.Find(ctx, lq)
	if err != nil {
		return nil, fmt.Errorf("searching the audit log: %w", err)
	}
	out := make([]found, len(got))
	for i := range got {
		if out[i], err = openEntry(&got[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
