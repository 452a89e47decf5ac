package localstore_test

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

// disk is a file system in memory that fails on demand and forgets what was
// not synced when it crashes.
type disk struct {
	mem        *vfs.MemFS
	full, sync atomic.Bool
	// countdown, when positive, lets that many writes pass and fails the rest.
	countdown atomic.Int64
	failed    atomic.Bool
}

func newDisk() *disk { return &disk{mem: vfs.NewCrashableMem()} }

func (d *disk) String() string { return "disk" }

func (d *disk) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpRemove {
		return nil
	}
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if d.sync.Load() {
			return syscall.EIO
		}
	}
	if d.full.Load() || d.countdown.Load() > 0 && d.countdown.Add(-1) == 0 || d.failed.Load() {
		if d.countdown.Load() == 0 && !d.full.Load() {
			d.failed.Store(true)
		}
		return syscall.ENOSPC
	}
	return nil
}

func (d *disk) options() localstore.Options {
	return localstore.Options{Dir: "db", FS: diskFS{errorfs.Wrap(d.mem, d), d}, Ballast: -1, MemTable: 1 << 20}
}

// diskFS injects into recycled files too, which errorfs leaves out.
type diskFS struct {
	*errorfs.FS
	d *disk
}

func (fs diskFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	return errorfs.WrapFile(f, fs.d), nil
}

// crash forgets what was not synced, and repairs the disk.
func (d *disk) crash() *disk {
	return &disk{mem: d.mem.CrashClone(vfs.CrashCloneCfg{})}
}

func (d *disk) open(t *testing.T) repositorytest.Faulty {
	t.Helper()
	s := open(t, d.options())
	return repositorytest.Faulty{
		Opened:   repositorytest.Opened{Store: s, Purger: s, Table: s.Table},
		FillDisk: d.full.Store,
		FailSync: d.sync.Store,
		Corrupt:  func(t *testing.T, k repository.Key) { localstore.CorruptRecord(t, s, k) },
		Crash:    func(t *testing.T) repositorytest.Faulty { return d.crash().open(t) },
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	repositorytest.TestFaults(t, func(t *testing.T) repositorytest.Faulty { return newDisk().open(t) })
}

// TestDiskFullAtEachWrite lets the n-th write below Pebble fail, and all that
// follow. Whatever was acknowledged is there afterwards.
func TestDiskFullAtEachWrite(t *testing.T) {
	t.Parallel()
	coarse := int64(16) // of the steps
	if testing.Short() {
		coarse = 4
	}
	for n := int64(1); n < 400; n += 1 + n/coarse {
		d := newDisk()
		d.countdown.Store(n)
		s, err := localstore.Open(t.Context(), d.options())
		acked := repository.Version(0)
		if err == nil {
			acked = commitUntilRefused(t, s)
			s.Close()
		}
		s = open(t, d.crash().options())
		r, err := s.Get(t.Context(), victim)
		if acked == 0 && errors.Is(err, repository.ErrNotFound) {
			continue
		}
		if err != nil || r.Version < acked {
			t.Fatalf("write %d failed: version %d acknowledged, %d stored, %v", n, acked, r.Version, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

var victim = repository.Key{Type: "Patient", ID: repository.StorageID{1}}

// commitUntilRefused writes less than the memtables hold: a writer that needs
// room in them waits for as long as the disk is full, without a word from Pebble.
func commitUntilRefused(t *testing.T, s *localstore.Store) (acked repository.Version) {
	t.Helper()
	for v := repository.Version(1); v < 60; v++ {
		_, err := s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{{
			Expect: v - 1,
			Record: repository.Record{Key: victim, Version: v, Body: make([]byte, 20_000)},
		}}})
		if err == nil {
			acked = v
			continue
		}
		if !errors.Is(err, repository.ErrUnavailable) && !errors.Is(err, repository.ErrFull) {
			t.Fatalf("neither full nor unavailable: %v", err)
		}
		break
	}
	return acked
}

// TestStoreLatchesAfterFailedSync: nothing works afterwards, and the
// application is told once.
func TestStoreLatchesAfterFailedSync(t *testing.T) {
	t.Parallel()
	d, told := newDisk(), make(chan error, 9)
	o := d.options()
	o.OnFatal = func(err error) { told <- err }
	s := open(t, o)
	commitUntilRefused(t, s)
	d.sync.Store(true)
	for range 3 {
		_, err := s.Table("t").PutIf(t.Context(), []byte("k"), []byte("v"), 0)
		if !errors.Is(err, repository.ErrUnavailable) {
			t.Fatalf("got error %v", err)
		}
	}
	if err := <-told; !errors.Is(err, syscall.EIO) {
		t.Errorf("the application was told %v", err)
	}
	d.sync.Store(false)
	if _, err := s.Get(t.Context(), victim); !errors.Is(err, repository.ErrUnavailable) {
		t.Fatalf("a latched store served a read: %v", err)
	}
	if err := s.Close(); !errors.Is(err, repository.ErrUnavailable) {
		t.Fatalf("closing a latched store: %v", err)
	}
	if len(told) != 0 {
		t.Fatal("the application was told twice")
	}
}

// reserve reports how much space is left.
type reserve struct {
	vfs.FS
	free atomic.Uint64
}

func (r *reserve) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: r.free.Load()}, nil
}

func (r *reserve) Unwrap() vfs.FS { return r.FS }

// TestWritesAreRefusedBeforeTheDiskIsFull: reads and deletions go on.
func TestWritesAreRefusedBeforeTheDiskIsFull(t *testing.T) {
	t.Parallel()
	fs := &reserve{FS: vfs.NewMem()}
	fs.free.Store(1 << 40)
	s := open(t, localstore.Options{Dir: "db", FS: fs, MinFree: 64 << 20, Ballast: 1 << 20})
	if _, err := fs.Stat("db/BALLAST"); err != nil {
		t.Fatalf("no ballast: %v", err)
	}
	tb := s.Table("t")
	revision, err := tb.PutIf(t.Context(), []byte("k"), []byte("v"), 0)
	if err != nil {
		t.Fatal(err)
	}
	fs.free.Store(16 << 20)
	localstore.ForgetSpace(s)
	if _, err := tb.PutIf(t.Context(), []byte("l"), []byte("v"), 0); !errors.Is(err, repository.ErrFull) {
		t.Fatalf("a put on a full disk: %v", err)
	}
	_, err = s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{{Record: repository.Record{Key: victim, Version: 1}}}})
	if !errors.Is(err, repository.ErrFull) {
		t.Fatalf("a commit on a full disk: %v", err)
	}
	if _, err := tb.Get(t.Context(), []byte("k")); err != nil {
		t.Fatalf("a read on a full disk: %v", err)
	}
	if err := tb.DeleteIf(t.Context(), []byte("k"), revision); err != nil {
		t.Fatalf("a deletion on a full disk: %v", err)
	}
	fs.free.Store(1 << 20)
	localstore.ForgetSpace(s)
	if _, _, err := s.PurgeOwner(t.Context(), repository.Owner{}, 1); !errors.Is(err, repository.ErrFull) {
		t.Fatalf("a purge below the last reserve: %v", err)
	}
	if _, err := fs.Stat("db/BALLAST"); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the ballast was kept: %v", err)
	}
	fs.free.Store(1 << 40)
	localstore.ForgetSpace(s)
	if _, err := tb.PutIf(t.Context(), []byte("l"), []byte("v"), 0); err != nil {
		t.Fatalf("a put after space came back: %v", err)
	}
	if _, err := fs.Stat("db/BALLAST"); err != nil {
		t.Fatalf("the ballast was not restored: %v", err)
	}
}
