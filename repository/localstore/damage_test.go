package localstore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

func put(t testing.TB, s *localstore.Store, k repository.Key, body []byte, tokens ...repository.Token) {
	t.Helper()
	_, err := s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{{
		Record: repository.Record{Key: k, Version: 1, Body: body, Tokens: tokens},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func small(dir string) localstore.Options {
	return localstore.Options{Dir: dir, Ballast: -1, MemTable: 1 << 20}
}

func numbered(n byte) repository.Key {
	return repository.Key{Type: "Patient", ID: repository.StorageID{n, n}}
}

// fill closes a store with distinct bodies.
func fill(t *testing.T, dir string) {
	t.Helper()
	s := open(t, small(dir))
	putMany(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func putMany(t *testing.T, s *localstore.Store) {
	t.Helper()
	for n := range byte(40) {
		put(t, s, numbered(n), bytes.Repeat([]byte{'b', n}, 2000), 7)
	}
}

// TestFlippedByteInTableFileIsNeverServed flips bytes all over the largest
// table file. Every read is right or ErrCorrupt.
func TestFlippedByteInTableFileIsNeverServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir)
	whole, err := os.ReadFile(largest(t, dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	flips, tried, detected := 60, 0, 0
	if testing.Short() {
		flips = 12
	}
	for at := 0; at < len(whole); at += len(whole)/flips + 1 {
		tried++
		damaged, copied := bytes.Clone(whole), t.TempDir()
		damaged[at] ^= 0x40
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(largest(t, copied, "*.sst"), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if readDamaged(t, copied) {
			detected++
		}
	}
	if detected < flips/2 {
		t.Fatalf("only %d of %d flips were noticed", detected, tried)
	}
}

// readDamaged reports whether the damage was noticed.
func readDamaged(t *testing.T, dir string) (noticed bool) {
	t.Helper()
	s, err := localstore.Open(t.Context(), small(dir))
	if err != nil {
		if !errors.Is(err, repository.ErrCorrupt) {
			t.Fatalf("opening a damaged folder: %v", err)
		}
		return true
	}
	defer s.Close()
	for n := range byte(40) {
		r, err := s.Get(t.Context(), numbered(n))
		switch {
		case errors.Is(err, repository.ErrCorrupt):
			noticed = true
		case err != nil:
			t.Fatalf("reading a damaged folder: %v", err)
		case !bytes.Equal(r.Body, bytes.Repeat([]byte{'b', n}, 2000)):
			t.Fatal("damaged bytes were served")
		}
	}
	page, err := s.Find(t.Context(), repository.Query{Type: "Patient", All: [][]repository.Token{{7}}, Limit: 50})
	if err == nil && len(page.Records) != 40 {
		t.Fatalf("a damaged index found %d of 40 without an error", len(page.Records))
	}
	return noticed || errors.Is(err, repository.ErrCorrupt)
}

// TestFlippedByteInLogIsReported: acknowledged writes in the middle of a log
// must not disappear silently. The folder is copied while the store runs, as a
// crash would leave it.
func TestFlippedByteInLogIsReported(t *testing.T) {
	t.Parallel()
	dir, crashed := t.TempDir(), t.TempDir()
	s := open(t, small(dir))
	putMany(t, s)
	localstore.AwaitQuiet(t, s)
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	name := largest(t, crashed, "*.log")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, bytes.Repeat([]byte{'b', 9}, 100))
	if at < 0 {
		t.Fatal("the log does not hold the record")
	}
	whole[at] ^= 1
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localstore.Open(t.Context(), small(crashed)); !errors.Is(err, repository.ErrCorrupt) {
		t.Fatalf("opening with a damaged log: %v", err)
	}
}

// TestOrderlyCloseLeavesNothingInTheLog: damage to a log after an orderly end
// costs nothing.
func TestOrderlyCloseLeavesNothingInTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill(t, dir)
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range logs {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if readDamaged(t, dir) {
		t.Fatal("records are missing")
	}
}

func largest(t *testing.T, dir, pattern string) (name string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	var size int64 = -1
	for _, n := range names {
		if info, err := os.Stat(n); err == nil && info.Size() > size {
			name, size = n, info.Size()
		}
	}
	return name
}

// TestSwappedRecordsAreNotServed: a checksum covers the key.
func TestSwappedRecordsAreNotServed(t *testing.T) {
	t.Parallel()
	s := open(t, small(t.TempDir()))
	put(t, s, numbered(1), []byte("one"))
	put(t, s, numbered(2), []byte("two"))
	localstore.SwapRecords(t, s, numbered(1), numbered(2))
	if _, err := s.Get(t.Context(), numbered(1)); !errors.Is(err, repository.ErrCorrupt) {
		t.Fatalf("got error %v", err)
	}
}

func TestFolderOfAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, small(dir))
	localstore.SetFormat(t, s, 99)
	s.Close()
	_, err := localstore.Open(t.Context(), small(dir))
	if !errors.Is(err, localstore.ErrFormat) || !strings.Contains(err.Error(), "99") {
		t.Fatalf("got error %v", err)
	}
}

func TestFolderInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, small(dir))
	_, err := localstore.Open(t.Context(), small(dir))
	if !errors.Is(err, localstore.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got error %v", err)
	}
	put(t, s, numbered(1), nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, small(dir))
}

func TestFilesAreUnreadableForOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	o := small(dir)
	o.Ballast = 1 << 20
	s := open(t, o)
	put(t, s, numbered(1), nil)
	localstore.Flush(t, s)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestScrubRemovesDestroyedBytes greps the raw files, logs included.
func TestScrubRemovesDestroyedBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, small(dir))
	tb := s.Table("keys")
	secret, old := []byte("DESTROYED-KEY-BYTES-0123456789ab"), []byte("REPLACED-KEY-BYTES-0123456789abc")
	for round := range 3 {
		revision := mustPut(t, tb, "victim", old, 0)
		revision = mustPut(t, tb, "victim", secret, revision)
		mustPut(t, tb, "other"+string(rune('a'+round)), []byte("LIVE"), 0)
		if round > 0 {
			localstore.Flush(t, s) // the bytes reach a table and a recycled log
		}
		if !inFiles(t, dir, secret) {
			t.Fatal("the test does not see the bytes")
		}
		if err := tb.DeleteIf(t.Context(), []byte("victim"), revision); err != nil {
			t.Fatal(err)
		}
		if err := s.Scrub(t.Context()); err != nil {
			t.Fatal(err)
		}
		if inFiles(t, dir, secret) || inFiles(t, dir, old) {
			t.Fatalf("round %d: destroyed bytes are still in a file", round)
		}
	}
	if _, err := tb.Get(t.Context(), []byte("othera")); err != nil {
		t.Fatal(err)
	}
}

func mustPut(t *testing.T, tb repository.Table, key string, value []byte, revision uint64) uint64 {
	t.Helper()
	next, err := tb.PutIf(t.Context(), []byte(key), value, revision)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func inFiles(t *testing.T, dir string, needle []byte) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err == nil && bytes.Contains(content, needle) {
			return true
		}
	}
	return false
}

// TestCloseLeavesNoGoroutine runs alone: it is not parallel.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := open(t, small(t.TempDir()))
	put(t, s, numbered(1), []byte("x"), 1)
	if err := s.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), numbered(1)); !errors.Is(err, repository.ErrUnavailable) {
		t.Fatalf("a closed store answers %v", err)
	}
	leaked := goleak.Find(before)
	for end := time.Now().Add(time.Minute); leaked != nil && time.Now().Before(end); leaked = goleak.Find(before) {
		continue // on a busy machine those that are ending need more than half a second
	}
	if leaked != nil {
		t.Error(leaked)
	}
}
