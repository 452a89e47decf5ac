package localstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

var _ repository.Exporter = (*Store)(nil)

// Fence implements repository.Exporter: the folder's lock is one.
func (s *Store) Fence(ctx context.Context) error { return ctx.Err() }

// Unfence implements repository.Exporter.
func (s *Store) Unfence(ctx context.Context) error { return ctx.Err() }

// Marks implements repository.Exporter.
func (s *Store) Marks(ctx context.Context) (m repository.Marks, err error) {
	if err := s.enter(ctx); err != nil {
		return m, err
	}
	defer s.leave(&err)
	s.stamps.mu.Lock()
	defer s.stamps.mu.Unlock()
	return repository.Marks{Position: s.durable.feed.Load(), Stamp: max(0, s.stamps.last)}, nil
}

// Export implements repository.Exporter. Versions are read along the feed, so
// that what was written together is read together.
func (s *Store) Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error] {
	return func(yield func(repository.Entry, error) bool) {
		err := s.upgraded(ctx)
		for _, part := range []func(context.Context, repository.Place, func(repository.Entry) bool) (bool, error){
			s.exportVersions, s.exportHollow, s.exportRows,
		} {
			more := false
			if err == nil {
				more, err = part(ctx, after, func(e repository.Entry) bool { return yield(e, nil) })
			}
			if err != nil {
				yield(repository.Entry{}, fmt.Errorf("exporting: %w", err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// upgraded waits until no record of format 1 is left.
func (s *Store) upgraded(ctx context.Context) error {
	done := make(chan struct{})
	go func() { s.upgrade.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.upgrade.pending.Load() {
		return fmt.Errorf("%w: the stored format is not upgraded yet", repository.ErrUnavailable)
	}
	return nil
}

func (s *Store) exportVersions(ctx context.Context, after repository.Place, yield func(repository.Entry) bool) (bool, error) {
	for c, err := range s.Changes(ctx, repository.Uint64Seq(after.Position())) {
		if err != nil {
			return false, err
		}
		e, err := s.exported(ctx, c)
		if err != nil {
			return false, fmt.Errorf("%v: %w", c.Key, err)
		}
		if !yield(e) {
			return false, nil
		}
	}
	return true, nil
}

// exported reads the version that a change made.
func (s *Store) exported(ctx context.Context, c repository.Change) (e repository.Entry, err error) {
	if err := s.enter(ctx); err != nil {
		return e, err
	}
	defer s.leave(&err)
	code, _ := s.types.code(c.Key.Type)
	e = repository.Entry{Kind: repository.VersionEntry}
	if e.Position, err = parseSeq(c.Seq); err != nil {
		return e, err
	}
	var r stored
	closer, err := current(s.db, code, c.Key.ID, &r)
	if err == nil && closer != nil && (r.hollow() || r.version != c.Version) {
		err = closer.Close()
		closer, e.Past = nil, true
	}
	if err == nil && e.Past {
		closer, err = s.past(code, c.Key.ID, c.Version, &r)
	}
	if err != nil {
		return e, err
	}
	if closer == nil || r.seq != e.Position {
		return e, fmt.Errorf("%w: an entry of the feed without its version", repository.ErrCorrupt)
	}
	defer closer.Close()
	if e.Record = r.record(c.Key); !e.Past && r.flags == 0 {
		e.Record.Tokens, err = s.tokensOf(code, r.ordinal)
	}
	return e, err
}

// tokensOf are the tokens of a live resource.
func (s *Store) tokensOf(code typeCode, o ordinal) ([]repository.Token, error) {
	key := appendForwardKey(nil, code, o)
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, fmt.Errorf("%w: a record without its forward row", repository.ErrCorrupt)
	}
	if err != nil {
		return nil, storeError("reading", err)
	}
	defer closer.Close()
	var w forward
	if err := w.decode(key, value); err != nil {
		return nil, err
	}
	var ts []repository.Token
	for b := w.tokens; len(b) > 0; b = b[tokenBytes:] {
		ts = append(ts, repository.Token(token(b)))
	}
	return repository.SortTokens(ts), nil
}

// exportHollow looks at every record for the few that are hollow.
func (s *Store) exportHollow(ctx context.Context, after repository.Place, yield func(repository.Entry) bool) (bool, error) {
	if after != "" && repository.EntryKind(after[0]) > repository.HollowEntry {
		return true, nil
	}
	var found []repository.Entry
	for name, code := range s.types.current.Load().codes {
		es, err := s.hollow(ctx, name, code)
		if err != nil {
			return false, err
		}
		found = append(found, es...)
	}
	slices.SortFunc(found, func(a, b repository.Entry) int {
		return bytes.Compare([]byte(a.Place()), []byte(b.Place()))
	})
	for _, e := range found {
		if e.Place() > after && !yield(e) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Store) hollow(ctx context.Context, name string, code typeCode) (found []repository.Entry, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	it, err := prefixIter(s.db, appendTypePrefix(nil, kindRecord, code))
	if err != nil {
		return nil, storeError("reading", err)
	}
	defer func() { err = errors.Join(err, storeError("reading", it.Close())) }()
	m := meter{ctx: ctx}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err = errors.Join(storeError("reading", err), m.step()); err != nil {
			return nil, err
		}
		if len(value) == 0 || value[0]&flagHollow == 0 {
			continue
		}
		var r stored
		if err := r.decode(it.Key(), value); err != nil {
			return nil, err
		}
		found = append(found, repository.Entry{Kind: repository.HollowEntry,
			Record: repository.Record{Key: repository.Key{Type: name, ID: r.id}, Version: r.version}})
	}
	return found, nil
}

// exportRows yields the rows of all tables.
func (s *Store) exportRows(ctx context.Context, after repository.Place, yield func(repository.Entry) bool) (bool, error) {
	names, err := s.tableNames(ctx)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		t := Table{s: s, prefix: append([]byte{kindTable, byte(len(name))}, name...)}
		for row, err := range t.Scan(ctx, nil) {
			if err != nil {
				return false, err
			}
			e := repository.Entry{Kind: repository.RowEntry, Table: name, Row: row}
			if e.Place() > after && !yield(e) {
				return false, nil
			}
		}
	}
	return true, nil
}

// tableNames are the tables that have rows, in order of their names.
func (s *Store) tableNames(ctx context.Context) (names []string, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	it, err := prefixIter(s.db, []byte{kindTable})
	if err != nil {
		return nil, storeError("reading", err)
	}
	defer func() { err = errors.Join(err, storeError("reading", it.Close())) }()
	for ok := it.First(); ok; {
		k := it.Key()
		if len(k) < 2 || len(k) < 2+int(k[1]) {
			return nil, fmt.Errorf("%w: a malformed key of a table", repository.ErrCorrupt)
		}
		prefix := bytes.Clone(k[:2+int(k[1])])
		names = append(names, string(prefix[2:]))
		next := successor(prefix)
		ok = next != nil && it.SeekGE(next)
	}
	slices.Sort(names)
	return names, storeError("reading", it.Error())
}
