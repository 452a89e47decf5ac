package localstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// Find implements repository.Store. Records come in order of creation; a
// cursor is the ordinal of the last one. The caller owns the bodies.
func (s *Store) Find(ctx context.Context, q repository.Query) (page repository.Page, err error) {
	if err := s.enter(ctx); err != nil {
		return page, err
	}
	defer s.leave(&err)
	after, err := parseOrdinalCursor(q.After)
	if err != nil || q.Limit <= 0 {
		return page, errors.Join(err, checkLimit(q.Limit))
	}
	code, ok := s.types.code(q.Type)
	if !ok {
		return page, nil
	}
	f := finder{s: s, code: code, q: &q}
	page, err = f.run(ctx, after)
	if err != nil {
		return repository.Page{}, fmt.Errorf("finding %s: %w", q.Type, err)
	}
	return page, nil
}

func parseOrdinalCursor(c repository.Cursor) (ordinal, error) {
	if c == "" {
		return 0, nil
	}
	o, ok := readOrdinal([]byte(c))
	if !ok || len(c) != ordinalBytes {
		return 0, errors.New("malformed find cursor")
	}
	return o, nil
}

// finder evaluates one query on one snapshot.
type finder struct {
	s       *Store
	code    typeCode
	q       *repository.Query
	view    *pebble.Snapshot
	clauses []clause
	page    repository.Page
	last    ordinal // of the last record in page
	newest  uint64  // highest batch number among the records
	full    bool
}

func (f *finder) run(ctx context.Context, after ordinal) (repository.Page, error) {
	f.view = f.s.db.NewSnapshot()
	defer f.view.Close()
	defer f.closeClauses()
	if err := f.openClauses(); err != nil {
		return repository.Page{}, err
	}
	if err := f.scan(ctx, after); err != nil {
		return repository.Page{}, err
	}
	if f.full {
		f.page.Next = repository.Cursor(appendOrdinal(nil, f.last))
	}
	return f.page, f.s.durable.wait(ctx, f.newest)
}

// openClauses turns the query into ascending lists of ordinals. Without any
// the type's own list is scanned.
func (f *finder) openClauses() error {
	for _, tokens := range f.q.All {
		c := make(clause, 0, len(tokens))
		for _, t := range tokens {
			c = append(c, &ordinals{prefix: appendTokenPrefix(nil, f.code, t), exact: true})
		}
		f.clauses = append(f.clauses, c)
	}
	if f.q.Owner != nil {
		prefix := appendCode(appendOwnerPrefix(nil, *f.q.Owner), f.code)
		f.clauses = append(f.clauses, clause{{prefix: prefix}})
	}
	if len(f.clauses) == 0 {
		f.clauses = append(f.clauses, clause{{prefix: appendOrdinalPrefix(nil, f.code)}})
	}
	for _, c := range f.clauses {
		for _, list := range c {
			if err := list.open(f.view); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *finder) closeClauses() {
	for _, c := range f.clauses {
		for _, list := range c {
			list.close()
		}
	}
}

// cancelEvery is how many candidates pass between two looks at the context.
const cancelEvery = 64

func (f *finder) scan(ctx context.Context, after ordinal) error {
	for n := 0; after < maxOrdinal; n++ {
		if n%cancelEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		o, ok, err := intersect(f.clauses, after+1)
		if err != nil || !ok {
			return err
		}
		if err := f.visit(o); err != nil || f.full {
			return err
		}
		after = o
	}
	return nil
}

// visit adds the record to the page if it is live and of the wanted owner. The
// first match beyond the limit only shows that there is a next page.
func (f *finder) visit(o ordinal) error {
	key, id, live, err := f.resolve(o)
	if err != nil || !live {
		return err
	}
	var r stored
	closer, err := decodeFrom(f.view, key, &r)
	if err != nil {
		return err
	}
	if closer == nil {
		return fmt.Errorf("%w: an index entry without its record", repository.ErrCorrupt)
	}
	defer closer.Close()
	if r.ordinal != o {
		return fmt.Errorf("%w: an index entry of another record", repository.ErrCorrupt)
	}
	if r.flags != 0 || f.q.Owner != nil && r.owner != *f.q.Owner {
		return nil
	}
	if len(f.page.Records) == f.q.Limit {
		f.full = true
		return nil
	}
	f.last = o
	f.newest = max(f.newest, f.s.marks.record(id).Load())
	rec := r.record(repository.Key{Type: f.q.Type, ID: id})
	rec.Position = repository.Cursor(appendOrdinal(nil, o))
	f.page.Records = append(f.page.Records, rec)
	return nil
}

// resolve maps an ordinal to the key of its record; tombstones are not live.
func (f *finder) resolve(o ordinal) (key []byte, id repository.StorageID, live bool, err error) {
	var buf [32]byte
	value, closer, err := f.view.Get(appendOrdinalKey(buf[:0], f.code, o))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, id, false, fmt.Errorf("%w: an index entry without its ordinal", repository.ErrCorrupt)
	}
	if err != nil {
		return nil, id, false, storeError("reading", err)
	}
	defer closer.Close()
	if n := copy(id[:], value); n != idBytes {
		return nil, id, false, fmt.Errorf("%w: malformed ordinal", repository.ErrCorrupt)
	}
	return appendRecordKey(nil, f.code, id), id, len(value) == idBytes, nil
}
