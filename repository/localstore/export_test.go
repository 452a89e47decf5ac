package localstore

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// CorruptRecord flips one bit of a stored body above Pebble's own checksums.
func CorruptRecord(t *testing.T, s *Store, k repository.Key) {
	t.Helper()
	code, ok := s.types.code(k.Type)
	if !ok {
		t.Fatal("unknown type")
	}
	key := appendRecordKey(nil, code, k.ID)
	value, closer, err := s.db.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(value)
	closer.Close()
	damaged[len(damaged)-checksumBytes-1] ^= 1
	if err := s.db.Set(key, damaged, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// SwapRecords exchanges the stored values of two resources of one type.
func SwapRecords(t *testing.T, s *Store, a, b repository.Key) {
	t.Helper()
	code, _ := s.types.code(a.Type)
	ka, kb := appendRecordKey(nil, code, a.ID), appendRecordKey(nil, code, b.ID)
	va, ca, err1 := s.db.Get(ka)
	vb, cb, err2 := s.db.Get(kb)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	batch := s.db.NewBatch()
	batch.Set(ka, vb, nil)
	batch.Set(kb, va, nil)
	ca.Close()
	cb.Close()
	if err := batch.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// SetFormat writes another format version.
func SetFormat(t *testing.T, s *Store, n uint64) {
	t.Helper()
	if err := s.db.Set(metaKey(metaFormat), metaValue(n), pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// ForgetSpace makes the next write look at the file system.
func ForgetSpace(s *Store) { s.space.looked.Store(0) }

// Flush writes the memtables to table files.
func Flush(t *testing.T, s *Store) {
	t.Helper()
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
}
