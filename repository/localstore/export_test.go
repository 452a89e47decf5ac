package localstore

import (
	"bytes"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// recordKey is where the current version lies.
func recordKey(t *testing.T, s *Store, k repository.Key) []byte {
	t.Helper()
	code, _ := s.types.code(k.Type)
	var r stored
	closer, err := current(s.db, code, k.ID, &r)
	if err != nil || closer == nil {
		t.Fatal("no record", err)
	}
	closer.Close()
	return appendRecordKey(nil, code, r.ordinal)
}

// CorruptRecord flips one bit of a stored body above Pebble's own checksums.
func CorruptRecord(t *testing.T, s *Store, k repository.Key) {
	t.Helper()
	key := recordKey(t, s, k)
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
	ka, kb := recordKey(t, s, a), recordKey(t, s, b)
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

// Applied counts the batches that are in the log, durable or not.
func Applied(s *Store) uint64 { return s.applied.Load() }

// ForgetSpace makes the next write look at the file system.
func ForgetSpace(s *Store) { s.space.looked.Store(0) }

// Flush writes the memtables to table files.
func Flush(t *testing.T, s *Store) {
	t.Helper()
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
}

// AwaitQuiet returns when Pebble neither writes nor removes files of its own
// accord, so that a copy of the folder is one that a crash could have left.
func AwaitQuiet(t *testing.T, s *Store) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(scrubPoll) {
		m := s.db.Metrics()
		if m.Compact.NumInProgress == 0 && m.Flush.NumInProgress == 0 && m.Table.PendingStatsCollectionCount == 0 &&
			m.Table.ObsoleteCount == 0 && m.Table.ZombieCount == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the store is busy:\n", m)
		}
	}
}

// AwaitUpgrade returns when no record of format 1 is left.
func AwaitUpgrade(t *testing.T, s *Store) {
	t.Helper()
	s.upgrade.running.Wait()
	if s.upgrade.pending.Load() {
		t.Fatal("the upgrade ended early")
	}
}

// HoldsFormat1 reports whether any record lies under its id.
func HoldsFormat1(t *testing.T, s *Store) bool {
	t.Helper()
	for c := range s.types.current.Load().names {
		old, _, err := s.unmoved(typeCode(c), 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(old) > 0 {
			return true
		}
	}
	return false
}

// OpenUnmoved opens a folder and holds its upgrade back.
func OpenUnmoved(t *testing.T, o Options) *Store {
	t.Helper()
	o.holdUpgrade = true
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// MoveChunk moves one chunk of a held upgrade and reports whether it was the
// last.
func MoveChunk(t *testing.T, s *Store) bool {
	t.Helper()
	from, err := s.meta(metaUpgrade)
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.moveChunk(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	if next == 0 {
		s.upgrade.pending.Store(false)
	}
	return next == 0
}

// CorruptForward flips a bit in a forward row.
func CorruptForward(t *testing.T, s *Store, k repository.Key) {
	t.Helper()
	key := forwardKey(t, s, k)
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

// LoseForward removes a forward row.
func LoseForward(t *testing.T, s *Store, k repository.Key) {
	t.Helper()
	if err := s.db.Delete(forwardKey(t, s, k), pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

func forwardKey(t *testing.T, s *Store, k repository.Key) []byte {
	t.Helper()
	key := recordKey(t, s, k)
	key[0] = kindForward
	return key
}

// SwapIDs lets two ids lead to each other's record.
func SwapIDs(t *testing.T, s *Store, a, b repository.Key) {
	t.Helper()
	code, _ := s.types.code(a.Type)
	oa, _ := readOrdinal(recordKey(t, s, a))
	ob, _ := readOrdinal(recordKey(t, s, b))
	batch := s.db.NewBatch()
	batch.Set(appendIDKey(nil, code, a.ID), appendOrdinal(nil, ob), nil)
	batch.Set(appendIDKey(nil, code, b.ID), appendOrdinal(nil, oa), nil)
	if err := batch.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
}
