package localstore_test

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

func TestBackupIsTheStoreAtOneMoment(t *testing.T) {
	t.Parallel()
	o := localstore.Options{Dir: t.TempDir(), Ballast: -1, MemTable: 1 << 20}
	s := open(t, o)
	here := repositorytest.Opened{Store: s, Purger: s, Table: s.Table}
	repositorytest.Fill(t, here)
	want := repositorytest.Answers(t, here)
	to := filepath.Join(t.TempDir(), "deep", "copy")
	if err := s.Backup(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), to); err == nil {
		t.Error("an existing folder was written to")
	}
	if _, err := s.Table("tokens").PutIf(t.Context(), []byte("later"), nil, 0); err != nil {
		t.Fatal(err)
	}
	onlyOwnerReads(t, to)
	copied := open(t, localstore.Options{Dir: to, Ballast: -1})
	there := repositorytest.Opened{Store: copied, Purger: copied, Table: copied.Table}
	if got := repositorytest.Answers(t, there); !slices.Equal(got, want) {
		t.Error("the copy gives other answers")
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "checkpoint")); !os.IsNotExist(err) {
		t.Errorf("the backup left its links: %v", err)
	}
}

func onlyOwnerReads(t *testing.T, dir string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Writers go on; each copy opens, and holds what was acknowledged before it
// began.
func TestBackupUnderWriters(t *testing.T) {
	t.Parallel()
	s := open(t, localstore.Options{Dir: t.TempDir(), Ballast: -1, MemTable: 1 << 20})
	stop := make(chan struct{})
	acknowledged := make(chan int, 1)
	var writing sync.WaitGroup
	writing.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := s.Table("t").PutIf(t.Context(), []byte{byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, 2000), 0); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-acknowledged:
			default:
			}
			acknowledged <- n + 1
		}
	})
	for range 4 {
		least := <-acknowledged
		to := filepath.Join(t.TempDir(), "copy")
		if err := s.Backup(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		copied := open(t, localstore.Options{Dir: to, Ballast: -1})
		rows := 0
		for _, err := range copied.Table("t").Scan(t.Context(), nil) {
			if err != nil {
				t.Fatal(err)
			}
			rows++
		}
		if rows < least {
			t.Errorf("the copy has %d rows, %d were acknowledged", rows, least)
		}
	}
	close(stop)
	writing.Wait()
}

// A crash in the middle of a backup leaves links to files whose rows were
// scrubbed since: the next start removes them.
func TestOpenRemovesWhatABackupLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	left := filepath.Join(dir, "checkpoint", "000001.sst")
	if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, localstore.Options{Dir: dir, Ballast: -1})
	if _, err := os.Stat(filepath.Dir(left)); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
}
