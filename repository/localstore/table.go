package localstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// Table is a repository.Table. Revisions come from the store's stamps, so no
// revision is ever used twice, not even for a row that was deleted and made
// again. Callers own what methods return.
type Table struct {
	s      *Store
	prefix []byte // k|len(name)|name
}

const maxTableName = 255

// Table opens the table with the name; tables need no creation. It panics on
// an empty name or one over 255 bytes.
func (s *Store) Table(name string) repository.Table {
	if name == "" || len(name) > maxTableName {
		panic("localstore: invalid table name")
	}
	return &Table{s: s, prefix: append([]byte{kindTable, byte(len(name))}, name...)}
}

func (t *Table) rowKey(key []byte) []byte {
	return append(append(make([]byte, 0, len(t.prefix)+len(key)), t.prefix...), key...)
}

// Get implements repository.Table.
func (t *Table) Get(ctx context.Context, key []byte) (row repository.Row, err error) {
	if err := t.s.enter(ctx); err != nil {
		return row, err
	}
	defer t.s.leave(&err)
	k := t.rowKey(key)
	row, err = t.s.row(k, len(t.prefix))
	if waiting := t.s.durable.wait(ctx, t.s.marks.row(k).Load()); waiting != nil {
		return repository.Row{}, waiting
	}
	return row, err
}

// PutIf implements repository.Table.
func (t *Table) PutIf(ctx context.Context, key, value []byte, revision uint64) (next uint64, err error) {
	s := t.s
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave(&err)
	if len(key)+len(value) > s.opts.MaxBatch {
		return 0, fmt.Errorf("putting row: %w of %d bytes", repository.ErrTooLarge, s.opts.MaxBatch)
	}
	if err := s.space.reserve(len(key) + len(value)); err != nil {
		return 0, fmt.Errorf("putting row: %w", err)
	}
	stamp, err := s.nextStamp(ctx)
	if err != nil {
		return 0, err
	}
	next = uint64(stamp)
	err = t.change(ctx, key, revision, func(b *pebble.Batch, k []byte) error {
		return b.Set(k, appendRow(nil, k, next, value), nil)
	})
	if err != nil {
		return 0, fmt.Errorf("putting row: %w", err)
	}
	return next, nil
}

// DeleteIf implements repository.Table. The row is gone for every reader when
// it returns; the bytes of its value lie in the log and in table files until
// Store.Scrub returns.
func (t *Table) DeleteIf(ctx context.Context, key []byte, revision uint64) (err error) {
	s := t.s
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	if err := s.space.reserveDeletion(); err != nil {
		return fmt.Errorf("deleting row: %w", err)
	}
	if revision == 0 {
		return fmt.Errorf("deleting row: %w", repository.ErrConflict)
	}
	err = t.change(ctx, key, revision, func(b *pebble.Batch, k []byte) error {
		return b.Delete(k, nil)
	})
	if err != nil {
		return fmt.Errorf("deleting row: %w", err)
	}
	return nil
}

// change compares the revision and edits, one at a time, and waits for the
// fsync. A missing row has revision zero; to expect another one of it is both
// ErrConflict and ErrNotFound.
func (t *Table) change(
	ctx context.Context, key []byte, revision uint64, edit func(*pebble.Batch, []byte) error,
) error {
	k := t.rowKey(key)
	_, err := t.s.committer.submit(ctx, func() (pending, error) { return t.build(k, revision, edit) })
	return err
}

func (t *Table) build(k []byte, revision uint64, edit func(*pebble.Batch, []byte) error) (pending, error) {
	s := t.s
	row, err := s.row(k, len(t.prefix))
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return pending{}, err
	}
	if row.Revision != revision {
		return pending{}, errors.Join(repository.ErrConflict, err)
	}
	batch := s.db.NewBatch()
	if err := edit(batch, k); err != nil {
		return pending{}, storeError("building batch", err)
	}
	s.marks.row(k).Store(s.applied.Load() + 1)
	return s.apply(batch)
}

// Scan implements repository.Table. It reads in chunks: rows written during
// the scan may or may not appear.
func (t *Table) Scan(ctx context.Context, prefix []byte) iter.Seq2[repository.Row, error] {
	return func(yield func(repository.Row, error) bool) {
		from, end := t.rowKey(prefix), successor(t.rowKey(prefix))
		for {
			rows, err := t.scanChunk(ctx, from, end)
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if err != nil {
				yield(repository.Row{}, fmt.Errorf("scanning rows: %w", err))
				return
			}
			if len(rows) < chunk {
				return
			}
			from = append(t.rowKey(rows[len(rows)-1].Key), 0)
		}
	}
}

func (t *Table) scanChunk(ctx context.Context, from, end []byte) (rows []repository.Row, err error) {
	s := t.s
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return nil, storeError("reading", err)
	}
	defer it.Close()
	seen := s.applied.Load()
	for ok := it.First(); ok && len(rows) < chunk; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, storeError("reading", err)
		}
		row, err := decodeRow(it.Key(), value, len(t.prefix))
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	if err := it.Error(); err != nil {
		return nil, storeError("reading", err)
	}
	return rows, s.durable.wait(ctx, seen)
}

// row reads one row, its fsync perhaps pending.
func (s *Store) row(k []byte, prefix int) (repository.Row, error) {
	value, closer, err := s.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return repository.Row{}, repository.ErrNotFound
	}
	if err != nil {
		return repository.Row{}, storeError("reading row", err)
	}
	defer closer.Close()
	return decodeRow(k, value, prefix)
}

func appendRow(dst, k []byte, revision uint64, value []byte) []byte {
	dst = binary.AppendUvarint(append(dst, valueFormat1), revision)
	return appendChecksum(append(dst, value...), k)
}

func decodeRow(k, value []byte, prefix int) (repository.Row, error) {
	b, err := checkedRow(k, value)
	if err != nil {
		return repository.Row{}, err
	}
	p := parser{b: b[1:]}
	row := repository.Row{Key: bytes.Clone(k[prefix:]), Revision: p.uvarint()}
	if p.bad {
		return repository.Row{}, fmt.Errorf("%w: malformed row", repository.ErrCorrupt)
	}
	row.Value = append([]byte{}, p.b...)
	return row, nil
}
