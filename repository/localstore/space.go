package localstore

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldseal/fieldseal/repository"
)

const (
	ballastFile = "BALLAST"
	// usageAge is how long one look at the file system serves.
	usageAge = 100 * time.Millisecond
	// deletionShare of MinFree stays closed even to deletions.
	deletionShare = 8
)

// space refuses writes while the disk still has room for what must go on:
// flushes, compactions, deletions and an orderly end.
type space struct {
	fs      *privateFS
	dir     string
	minFree uint64
	ballast int64

	available atomic.Uint64 // at the last look
	written   atomic.Uint64 // since the last look
	looked    atomic.Int64  // nanoseconds since start; zero: never
	start     time.Time

	mu   sync.Mutex // serialises looks and the ballast
	held bool
}

func newSpace(fs *privateFS, o *Options) *space {
	return &space{fs: fs, dir: o.Dir, minFree: o.MinFree, ballast: o.Ballast, start: time.Now()}
}

// reserve accounts for a write of so many bytes, or refuses it.
func (sp *space) reserve(bytes int) error {
	if sp.free(uint64(bytes)) >= sp.minFree {
		return nil
	}
	return sp.full(sp.minFree)
}

// reserveDeletion lets erasure and deletions in where writes are refused.
func (sp *space) reserveDeletion() error {
	need := sp.minFree / deletionShare
	if sp.free(0) >= need {
		return nil
	}
	sp.exhausted()
	sp.look()
	if sp.free(0) >= need {
		return nil
	}
	return sp.full(need)
}

func (sp *space) full(need uint64) error {
	return fmt.Errorf("%w: less than %d MiB free in %s", repository.ErrFull, need>>20, sp.dir)
}

// free estimates from the last look, and looks again when that is old or much
// was written since.
func (sp *space) free(bytes uint64) uint64 {
	written := sp.written.Add(bytes)
	age := time.Since(sp.start) - time.Duration(sp.looked.Load())
	if sp.looked.Load() == 0 || age > usageAge || written > sp.minFree/16 {
		sp.look()
		written = bytes
	}
	// The log and the table it is flushed to both take the bytes.
	available, taken := sp.available.Load(), 2*written
	return available - min(available, taken)
}

// look asks the file system. A file system that cannot tell counts as
// roomy: tests in memory.
func (sp *space) look() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	usage, err := sp.fs.GetDiskUsage(sp.dir)
	if err != nil {
		usage.AvailBytes = 1 << 62
	}
	sp.available.Store(usage.AvailBytes)
	sp.written.Store(0)
	sp.looked.Store(int64(time.Since(sp.start)))
	if !sp.held && err == nil {
		sp.restore()
	}
}

// exhausted gives the ballast up. Pebble's file system calls it on the first
// write that finds the disk full, and then tries that write once more.
func (sp *space) exhausted() {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	sp.available.Store(0)
	if sp.held {
		sp.held = false
		sp.fs.Remove(sp.ballastPath())
	}
}

// keepBallast creates the file at Open when there is room for it.
func (sp *space) keepBallast() {
	sp.mu.Lock()
	if _, err := sp.fs.Stat(sp.ballastPath()); err == nil {
		sp.held = true
	}
	sp.mu.Unlock()
	sp.look()
}

// restore sets the ballast up again once the disk has room. The caller holds
// mu.
func (sp *space) restore() {
	if sp.ballast <= 0 || sp.available.Load() < sp.minFree+2*uint64(sp.ballast) {
		return
	}
	f, err := sp.fs.Create(sp.ballastPath(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	err = errors.Join(f.Preallocate(0, sp.ballast), f.Sync(), f.Close())
	sp.held = err == nil
	if err != nil {
		sp.fs.Remove(sp.ballastPath())
	}
}

func (sp *space) ballastPath() string { return sp.fs.PathJoin(sp.dir, ballastFile) }

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
