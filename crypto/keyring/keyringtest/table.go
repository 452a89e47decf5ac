// Package keyringtest has what tests of keys need: an in-memory Table with
// fault injection and a ring over a real in-memory KMS. Start with NewRing.
// Nothing here is durable; the product must not import it.
package keyringtest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"sort"
	"sync"

	"github.com/fieldseal/fieldseal/repository"
)

// Table is an in-memory repository.Table.
type Table struct {
	mu       sync.Mutex
	rows     map[string]repository.Row
	revision uint64
	fault    func(op Op, key []byte) error
}

// Op names a Table method to a fault function.
type Op string

// The operations that a fault function sees. AfterPut comes when the row is
// written and makes PutIf fail nevertheless, as a process that was killed
// before it heard of its success.
const (
	Get       Op = "get"
	BeforePut Op = "before put"
	AfterPut  Op = "after put"
	Delete    Op = "delete"
	Scan      Op = "scan"
)

// NewTable returns an empty table.
func NewTable() *Table { return &Table{rows: make(map[string]repository.Row)} }

// Clone copies the table: a backup, without the faults.
func (t *Table) Clone() *Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := NewTable()
	c.revision = t.revision
	for k, row := range t.rows {
		c.rows[k] = copyRow(row)
	}
	return c
}

// SetFault makes operations fail with the error that f returns; nil ends it.
func (t *Table) SetFault(f func(op Op, key []byte) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = f
}

// Put stores a value whatever the revision: what an attacker does who writes
// the database. An empty value removes the row.
func (t *Table) Put(key, value []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(value) == 0 {
		delete(t.rows, string(key))
		return
	}
	t.putLocked(key, value)
}

func (t *Table) putLocked(key, value []byte) uint64 {
	t.revision++
	t.rows[string(key)] = copyRow(repository.Row{Key: key, Value: value, Revision: t.revision})
	return t.revision
}

func copyRow(r repository.Row) repository.Row {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	return r
}

func (t *Table) failLocked(ctx context.Context, op Op, key []byte) error {
	if err := ctx.Err(); errors.Is(err, context.Canceled) { // a table in memory meets every deadline
		return err
	}
	if t.fault == nil {
		return nil
	}
	return t.fault(op, key)
}

// Get implements repository.Table.
func (t *Table) Get(ctx context.Context, key []byte) (repository.Row, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failLocked(ctx, Get, key); err != nil {
		return repository.Row{}, err
	}
	row, ok := t.rows[string(key)]
	if !ok {
		return repository.Row{}, repository.ErrNotFound
	}
	return copyRow(row), nil
}

// PutIf implements repository.Table.
func (t *Table) PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failLocked(ctx, BeforePut, key); err != nil {
		return 0, err
	}
	if t.rows[string(key)].Revision != revision {
		return 0, repository.ErrConflict
	}
	n := t.putLocked(key, value)
	return n, t.failLocked(ctx, AfterPut, key)
}

// DeleteIf implements repository.Table.
func (t *Table) DeleteIf(ctx context.Context, key []byte, revision uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.failLocked(ctx, Delete, key); err != nil {
		return err
	}
	row, ok := t.rows[string(key)]
	if !ok {
		return repository.ErrNotFound
	}
	if row.Revision != revision {
		return repository.ErrConflict
	}
	delete(t.rows, string(key))
	return nil
}

// Scan implements repository.Table over a snapshot.
func (t *Table) Scan(ctx context.Context, prefix []byte) iter.Seq2[repository.Row, error] {
	return func(yield func(repository.Row, error) bool) {
		t.mu.Lock()
		err := t.failLocked(ctx, Scan, prefix)
		var rows []repository.Row
		for _, row := range t.rows {
			if bytes.HasPrefix(row.Key, prefix) {
				rows = append(rows, copyRow(row))
			}
		}
		t.mu.Unlock()
		if err != nil {
			yield(repository.Row{}, err)
			return
		}
		sort.Slice(rows, func(i, j int) bool { return bytes.Compare(rows[i].Key, rows[j].Key) < 0 })
		for _, row := range rows {
			if err := ctx.Err(); err != nil {
				yield(repository.Row{}, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}
