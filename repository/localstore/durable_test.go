package localstore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

// slowSync holds back syncs of the log while locked.
type slowSync struct{ sync.RWMutex }

func (*slowSync) String() string { return "slow sync" }

func (s *slowSync) MaybeError(op errorfs.Op) error {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if strings.HasSuffix(op.Path, ".log") {
			s.RLock()
			defer s.RUnlock()
		}
	}
	return nil
}

// TestNobodySeesWhatACrashCouldTakeBack: while an fsync is under way its write
// is neither read, found, scanned nor in the feed, and a second writer that
// lost to it learns so only afterwards.
func TestNobodySeesWhatACrashCouldTakeBack(t *testing.T) {
	t.Parallel()
	slow := new(slowSync)
	s := open(t, localstore.Options{Dir: "db", FS: errorfs.Wrap(vfs.NewMem(), slow), Ballast: -1, MemTable: 1 << 20})
	tb := s.Table("keys")
	if _, err := s.Stamp(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := localstore.Applied(s)
	slow.Lock()
	var wg sync.WaitGroup
	wg.Go(func() { put(t, s, numbered(1), []byte("x"), 7) })
	wg.Go(func() { mustPut(t, tb, "k", []byte("v"), 0) })
	applied := func(more uint64) {
		for localstore.Applied(s) < before+more {
			runtime.Gosched()
		}
	}
	applied(2)
	wg.Go(func() { mustPut(t, tb, "later", []byte("v"), 0) })
	applied(3) // one after another: the two before it are in the log
	query := repository.Query{Type: "Patient", All: [][]repository.Token{{7}}, Limit: 1}
	reads := map[string]func(context.Context) error{
		"Get":       func(ctx context.Context) error { _, err := s.Get(ctx, numbered(1)); return err },
		"Find":      func(ctx context.Context) error { _, err := s.Find(ctx, query); return err },
		"Table.Get": func(ctx context.Context) error { _, err := tb.Get(ctx, []byte("k")); return err },
		"Scan": func(ctx context.Context) (err error) {
			for _, err = range tb.Scan(ctx, nil) {
			}
			return err
		},
	}
	for name, read := range reads {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s before the fsync: %v", name, err)
		}
		cancel()
	}
	for range s.Changes(t.Context(), "") {
		t.Error("the feed shows a change before its fsync")
	}
	slow.Unlock()
	wg.Wait()
	for name, read := range reads {
		if err := read(t.Context()); err != nil {
			t.Errorf("%s after the fsync: %v", name, err)
		}
	}
	for _, err := range s.Changes(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestStampsRiseWhenTheClockFalls, across a restart too.
func TestStampsRiseWhenTheClockFalls(t *testing.T) {
	t.Parallel()
	o := small(t.TempDir())
	clock := time.Now()
	o.Now = func() time.Time { return clock }
	var last repository.Stamp
	for range 4 {
		s := open(t, o)
		for range 3 {
			stamp, err := s.Stamp(t.Context())
			if err != nil || stamp <= last {
				t.Fatalf("stamp %d after %d, %v", stamp, last, err)
			}
			last = stamp
			clock = clock.Add(-time.Hour)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if ahead := time.Until(time.UnixMicro(int64(last))); ahead > 3*time.Second {
		t.Fatalf("stamps run %v ahead", ahead)
	}
}

// TestOversizedBatchIsRefused before it reaches the log.
func TestOversizedBatchIsRefused(t *testing.T) {
	t.Parallel()
	o := small(t.TempDir())
	o.MaxBatch = 10_000
	s := open(t, o)
	_, err := s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{{
		Record: repository.Record{Key: numbered(1), Version: 1, Body: make([]byte, 20_000)},
	}}})
	if !errors.Is(err, repository.ErrTooLarge) {
		t.Fatalf("got error %v", err)
	}
	_, err = s.Table("t").PutIf(t.Context(), []byte("k"), make([]byte, 20_000), 0)
	if !errors.Is(err, repository.ErrTooLarge) {
		t.Fatalf("got error %v", err)
	}
}
