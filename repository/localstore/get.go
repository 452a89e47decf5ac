package localstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// Get implements repository.Store. The caller owns the record's body.
func (s *Store) Get(ctx context.Context, k repository.Key) (r repository.Record, err error) {
	return s.version(ctx, k, func(*stored) bool { return true }, 0)
}

// GetVersion implements repository.Store. The caller owns the record's body.
func (s *Store) GetVersion(ctx context.Context, k repository.Key, v repository.Version) (repository.Record, error) {
	return s.version(ctx, k, func(r *stored) bool { return r.version == v }, v)
}

// version reads the current version if it is wanted, else the past one. The
// current is read first: a write in between can only have moved it to history.
func (s *Store) version(
	ctx context.Context, k repository.Key, wanted func(*stored) bool, past repository.Version,
) (r repository.Record, err error) {
	if err := s.enter(ctx); err != nil {
		return r, err
	}
	defer s.leave(&err)
	code, ok := s.types.code(k.Type)
	if !ok {
		return r, notFound(k)
	}
	r, err = read(k, wanted, func(r *stored) (io.Closer, error) { return current(s.db, code, k.ID, r) })
	if past > 0 && errors.Is(err, repository.ErrNotFound) {
		r, err = read(k, wanted, func(r *stored) (io.Closer, error) { return s.past(code, k.ID, past, r) })
	}
	if waiting := s.durable.wait(ctx, s.marks.record(k.ID).Load()); waiting != nil {
		return repository.Record{}, waiting
	}
	return r, err
}

// read returns the record that load finds, or ErrNotFound when it is not wanted.
func read(k repository.Key, wanted func(*stored) bool, load func(*stored) (io.Closer, error)) (repository.Record, error) {
	var found stored
	closer, err := load(&found)
	if err != nil {
		return repository.Record{}, fmt.Errorf("reading %v: %w", k, err)
	}
	if closer == nil {
		return repository.Record{}, notFound(k)
	}
	defer closer.Close()
	if found.hollow() || !wanted(&found) {
		return repository.Record{}, notFound(k)
	}
	return found.record(k), nil
}

func notFound(k repository.Key) error {
	return fmt.Errorf("reading %v: %w", k, repository.ErrNotFound)
}

// past decodes one past version; no closer means that there is none.
func (s *Store) past(code typeCode, id repository.StorageID, v repository.Version, r *stored) (io.Closer, error) {
	key := appendVersionKey(nil, code, id, v)
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, storeError("reading", err)
	}
	return closing(closer, r.decode(key, value))
}

// History implements repository.Store. An unknown resource has no versions. A
// cursor is the lowest version already returned.
func (s *Store) History(ctx context.Context, q repository.HistoryRange) (page repository.Page, err error) {
	if err := s.enter(ctx); err != nil {
		return page, err
	}
	defer s.leave(&err)
	below, err := parseVersionCursor(q.After)
	if err != nil || q.Limit <= 0 {
		return page, errors.Join(err, checkLimit(q.Limit))
	}
	code, ok := s.types.code(q.Key.Type)
	if !ok {
		return page, nil
	}
	page, err = s.history(code, q, below)
	if err != nil {
		return repository.Page{}, fmt.Errorf("reading history of %v: %w", q.Key, err)
	}
	if err := s.durable.wait(ctx, s.marks.record(q.Key.ID).Load()); err != nil {
		return repository.Page{}, err
	}
	return page, nil
}

func (s *Store) history(code typeCode, q repository.HistoryRange, below repository.Version) (repository.Page, error) {
	h := historyPage{key: q.Key, limit: q.Limit}
	view := s.db.NewSnapshot()
	defer view.Close()
	var now stored
	closer, err := current(view, code, q.Key.ID, &now)
	if err != nil {
		return h.page, err
	}
	if closer != nil {
		defer closer.Close()
		if !now.hollow() && now.version < below {
			h.add(&now)
		}
	}
	it, err := prefixIter(view, appendVersionPrefix(nil, code, q.Key.ID))
	if err != nil {
		return h.page, storeError("reading", err)
	}
	defer it.Close()
	for ok := it.SeekGE(appendVersionKey(nil, code, q.Key.ID, below-1)); ok && !h.full; ok = it.Next() {
		var past stored
		value, err := it.ValueAndErr()
		if err != nil {
			return h.page, storeError("reading", err)
		}
		if err := past.decode(it.Key(), value); err != nil {
			return h.page, err
		}
		h.add(&past)
	}
	return h.page, storeError("reading", it.Error())
}

// historyPage collects versions and notices when one more would follow.
type historyPage struct {
	key   repository.Key
	limit int
	page  repository.Page
	full  bool
}

func (h *historyPage) add(r *stored) {
	if n := len(h.page.Records); n == h.limit {
		last := uint64(h.page.Records[n-1].Version)
		h.page.Next = repository.Cursor(binary.BigEndian.AppendUint64(nil, last))
		h.full = true
		return
	}
	h.page.Records = append(h.page.Records, r.record(h.key))
}

func parseVersionCursor(c repository.Cursor) (repository.Version, error) {
	switch len(c) {
	case 0:
		return ^repository.Version(0), nil
	case 8:
		if v := binary.BigEndian.Uint64([]byte(c)); v > 0 {
			return repository.Version(v), nil
		}
	}
	return 0, repository.ErrPosition
}

func checkLimit(limit int) error {
	if limit <= 0 {
		return errors.New("limit must be positive")
	}
	return nil
}
