package localstore_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

// The stores in testdata/format were written by writeFrozen through the release
// that introduced the format, and copied while they were open, so that half of
// the data lies in table files and half in the log.
const (
	frozenPatients     = 60
	frozenObservations = 240
	frozenPurged       = 5 // owner whose versions were purged
)

// freezeDir, when set, makes TestFreezeStore write a folder to be packed:
// tar -czf vN.tar.gz vN, without BALLAST.
const freezeDir = "FIELDSEAL_FREEZE_DIR"

func TestFreezeStore(t *testing.T) {
	dir := os.Getenv(freezeDir)
	if dir == "" {
		t.Skip(freezeDir + " is not set")
	}
	live := t.TempDir()
	s := open(t, small(live))
	writeFrozen(t, s)
	if err := os.CopyFS(dir, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
}

// frozen is version v of resource n as it was written.
func frozen(typ string, n int, v repository.Version) repository.Write {
	w := repository.Write{Expect: v - 1, Record: repository.Record{
		Key: repository.Key{Type: typ, ID: repository.StorageID(fmt.Appendf(nil, "%-4.4s%012d", typ, n))}, Version: v,
		Updated: 1_700_000_000_000_000 + repository.Stamp(n)*1_000_000 + repository.Stamp(v),
		Owner:   repository.Owner(fmt.Appendf(nil, "owner%011d", (n+int(v)-1)%10)),
		Body:    fmt.Appendf(nil, "%s %d version %d", typ, n, v),
	}}
	for m := 2; m <= 7; m++ {
		w.Record.Tokens = append(w.Record.Tokens, frozenToken(m, (n+int(v)-1)%m))
	}
	return w
}

func frozenToken(m, rest int) repository.Token {
	return repository.Token(-(m*100 + rest)) * 0x1234567_89ABCDE
}

func frozenDeleted(n int) bool { return n%9 == 4 }

// frozenVersions is how many versions resource n has; the last is a tombstone
// where frozenDeleted says so.
func frozenVersions(n int) repository.Version { return repository.Version(1 + n%3) }

func writeFrozen(t *testing.T, s *localstore.Store) {
	t.Helper()
	round := func(v repository.Version) {
		for typ, count := range map[string]int{"Patient": frozenPatients, "Observation": frozenObservations} {
			var b repository.Batch
			for n := range count {
				if v > frozenVersions(n) {
					continue
				}
				b.Writes = append(b.Writes, lastFrozen(typ, n, v))
			}
			if _, err := s.Commit(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
	}
	round(1)
	localstore.Flush(t, s)
	round(2)
	round(3)
	owner := frozen("", frozenPurged, 1).Record.Owner
	if _, done, err := s.PurgeOwner(t.Context(), owner, 1000); err != nil || !done {
		t.Fatal(done, err)
	}
	if _, err := s.Table("keys").PutIf(t.Context(), []byte("row"), []byte("value"), 0); err != nil {
		t.Fatal(err)
	}
}

// lastFrozen is the version as it was written, a tombstone included.
func lastFrozen(typ string, n int, v repository.Version) repository.Write {
	w := frozen(typ, n, v)
	if v == frozenVersions(n) && frozenDeleted(n) {
		w.Record.Deleted, w.Record.Tokens = true, nil
	}
	return w
}

func purged(w repository.Write) bool {
	return w.Record.Owner == frozen("", frozenPurged, 1).Record.Owner
}

// unpack makes a folder of one of the archives.
func unpack(t *testing.T, version string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "format", version+".tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, version)
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, filepath.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(name, 0o700); err != nil {
				t.Fatal(err)
			}
			continue
		}
		data, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(name, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// checkFrozen reads everything that writeFrozen wrote.
func checkFrozen(t *testing.T, s *localstore.Store) {
	t.Helper()
	for typ, count := range map[string]int{"Patient": frozenPatients, "Observation": frozenObservations} {
		for n := range count {
			checkFrozenResource(t, s, typ, n)
		}
		for m := 2; m <= 7; m++ {
			for rest := range m {
				checkFrozenToken(t, s, typ, count, m, rest)
			}
		}
	}
	row, err := s.Table("keys").Get(t.Context(), []byte("row"))
	if err != nil || string(row.Value) != "value" {
		t.Fatal(row, err)
	}
}

func checkFrozenResource(t *testing.T, s *localstore.Store, typ string, n int) {
	t.Helper()
	var want []repository.Record
	for v := frozenVersions(n); v > 0; v-- {
		w := lastFrozen(typ, n, v)
		got, err := s.GetVersion(t.Context(), w.Record.Key, v)
		if purged(w) {
			if !errors.Is(err, repository.ErrNotFound) {
				t.Fatalf("%s %d: a purged version: %v", typ, n, err)
			}
			continue
		}
		w.Record.Tokens = nil
		if want = append(want, w.Record); err != nil || !same(got, w.Record) {
			t.Fatalf("%s %d, version %d: got %+v, %v", typ, n, v, got, err)
		}
	}
	page, err := s.History(t.Context(), repository.HistoryRange{Key: frozen(typ, n, 1).Record.Key, Limit: 9})
	if err != nil || !slices.EqualFunc(page.Records, want, same) {
		t.Fatalf("%s %d: history of %d versions, %v", typ, n, len(page.Records), err)
	}
}

func same(a, b repository.Record) bool {
	return a.Key == b.Key && a.Version == b.Version && a.Updated == b.Updated && a.Deleted == b.Deleted &&
		a.Owner == b.Owner && string(a.Body) == string(b.Body)
}

func checkFrozenToken(t *testing.T, s *localstore.Store, typ string, count, m, rest int) {
	t.Helper()
	var want []repository.Key
	for n := range count {
		v := frozenVersions(n)
		if w := lastFrozen(typ, n, v); !w.Record.Deleted && !purged(w) && (n+int(v)-1)%m == rest {
			want = append(want, w.Record.Key)
		}
	}
	page, err := s.Find(t.Context(), repository.Query{Type: typ, All: [][]repository.Token{{frozenToken(m, rest)}}, Limit: count})
	if err != nil || !slices.EqualFunc(page.Records, want, func(r repository.Record, k repository.Key) bool { return r.Key == k }) {
		t.Fatalf("%s, %d mod %d: found %d, want %d, %v", typ, rest, m, len(page.Records), len(want), err)
	}
}

// TestOldFormatsAreOpened opens what earlier releases wrote, while it is moved
// and when it has been, and again after a restart.
func TestOldFormatsAreOpened(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := unpack(t, version)
			s := open(t, small(dir))
			checkFrozen(t, s)
			localstore.AwaitUpgrade(t, s)
			if localstore.HoldsFormat1(t, s) {
				t.Fatal("records of format 1 are left")
			}
			checkFrozen(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, small(dir))
			checkFrozen(t, s)
			checkFrozenTimes(t, s)
		})
	}
}

// checkFrozenTimes: the index by time is complete.
func checkFrozenTimes(t *testing.T, s *localstore.Store) {
	t.Helper()
	want := 0
	for n := range frozenObservations {
		w := lastFrozen("Observation", n, frozenVersions(n))
		if !w.Record.Deleted && !purged(w) {
			want++
		}
	}
	n, err := s.Count(t.Context(), repository.Query{Type: "Observation", Since: 1}, 1000)
	if err != nil || n != want {
		t.Fatalf("counted %d, want %d, %v", n, want, err)
	}
}

// TestUpgradeGoesOnWhereItStopped: a kill at any chunk, and requests of every
// kind in between, lose nothing.
func TestUpgradeGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	dir := unpack(t, "v1")
	for chunk := 0; ; chunk++ {
		s := localstore.OpenUnmoved(t, small(dir))
		checkFrozen(t, s)
		done := localstore.MoveChunk(t, s)
		// Half of a kill: what is open is copied, and the copy goes on.
		next := t.TempDir()
		localstore.AwaitQuiet(t, s)
		if err := os.CopyFS(next, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if dir = next; done {
			break
		}
		if chunk > 100 {
			t.Fatal("the upgrade does not end")
		}
	}
	s := open(t, small(dir))
	if localstore.HoldsFormat1(t, s) {
		t.Fatal("records of format 1 are left")
	}
	checkFrozen(t, s)
	checkFrozenTimes(t, s)
}

// TestWritesToUnmovedRecords: updates, deletions, purges, new tokens and counts
// before the upgrade has come by.
func TestWritesToUnmovedRecords(t *testing.T) {
	t.Parallel()
	s := localstore.OpenUnmoved(t, small(unpack(t, "v1")))
	live := func(n int) repository.Write { return lastFrozen("Observation", n, frozenVersions(n)) }
	fresh := repository.Token(77)
	updated, deleted, rebuilt := live(0), live(3), live(6)
	next := func(w repository.Write, dead bool) repository.Write {
		w.Expect, w.Record.Version = w.Record.Version, w.Record.Version+1
		if w.Record.Tokens = []repository.Token{fresh}; dead {
			w.Record.Deleted, w.Record.Tokens = true, nil
		}
		return w
	}
	if _, err := s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{next(updated, false), next(deleted, true)}}); err != nil {
		t.Fatal(err)
	}
	n, err := s.Retoken(t.Context(), []repository.Retoken{{
		Key: rebuilt.Record.Key, Version: rebuilt.Record.Version, Tokens: []repository.Token{fresh},
	}})
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	query := repository.Query{Type: "Observation", All: [][]repository.Token{{fresh}}, Limit: 9}
	if page, err := s.Find(t.Context(), query); err != nil || len(page.Records) != 2 {
		t.Fatalf("found %d, %v", len(page.Records), err)
	}
	for _, w := range []repository.Write{updated, deleted, rebuilt} {
		for _, token := range w.Record.Tokens {
			query := repository.Query{Type: "Observation", All: [][]repository.Token{{token}}, Limit: 1000}
			page, err := s.Find(t.Context(), query)
			if err != nil || slices.ContainsFunc(page.Records, func(r repository.Record) bool { return r.Key == w.Record.Key }) {
				t.Fatal("found by a token that it has no more", err)
			}
		}
	}
	before, err := s.Count(t.Context(), repository.Query{Type: "Observation", Since: 1}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	whose := updated.Record.Owner
	if _, done, err := s.PurgeOwner(t.Context(), whose, 1000); err != nil || !done {
		t.Fatal(done, err)
	}
	if held, err := s.HoldsOwner(t.Context(), whose); held || err != nil {
		t.Fatal(held, err)
	}
	for !localstore.MoveChunk(t, s) {
		continue
	}
	after, err := s.Count(t.Context(), repository.Query{Type: "Observation", Since: 1}, 1000)
	if err != nil || after >= before || after == 0 {
		t.Fatalf("%d live records, %d before the purge, %v", after, before, err)
	}
	if page, err := s.Find(t.Context(), repository.Query{Type: "Observation", Owner: &whose, Limit: 9}); err != nil || len(page.Records) > 0 {
		t.Fatal("found a purged record", err)
	}
}
