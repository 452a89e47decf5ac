package localstore

import (
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/fieldseal/fieldseal/repository"
)

// gate lies right below Pebble. A failed write to a log file, or a failed sync
// of the folder, latches the store and parks the goroutine that met it: Pebble
// must never see such an error, see committer. Once the store has latched, no
// write of any kind passes.
type gate struct {
	*errorfs.FS
	dir   string // of the store; a checkpoint below it is not vital
	latch *latch
}

func newGate(fs vfs.FS, dir string, l *latch) *gate {
	g := &gate{latch: l}
	g.FS = errorfs.Wrap(fs, g)
	g.dir = g.clean(dir)
	return g
}

// clean is the one form of a folder's name.
func (g *gate) clean(dir string) string { return g.FS.PathDir(g.FS.PathJoin(dir, "file")) }

// refusedWriteDelay keeps Pebble's retries of a refused flush from spinning
// until the process has exited.
const refusedWriteDelay = 50 * time.Millisecond

// MaybeError implements errorfs.Injector.
func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite || g.latch.err() == nil {
		return nil
	}
	if strings.HasSuffix(op.Path, logSuffix) {
		park()
	}
	time.Sleep(refusedWriteDelay)
	return repository.ErrUnavailable
}

func (g *gate) String() string { return "gate" }

const logSuffix = ".log"

// vital latches and parks on an error, and parks once the store has latched.
func (g *gate) vital(err error) error {
	if err == nil && g.latch.err() == nil {
		return nil
	}
	if err != nil {
		g.latch.set(err)
	}
	park()
	return err
}

// park never returns. The process is about to exit.
func park() { select {} }

func (g *gate) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, category)
	return g.guarded(name, f, err)
}

func (g *gate) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	return g.guarded(newname, f, err)
}

func (g *gate) guarded(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, logSuffix) || g.FS.PathDir(name) != g.dir {
		return f, err
	}
	if err := g.vital(err); err != nil {
		return nil, err
	}
	return &vitalFile{File: f, gate: g}, nil
}

func (g *gate) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil || g.clean(name) != g.dir {
		return f, err
	}
	return &vitalFile{File: f, gate: g}, nil
}

// vitalFile is a log file or the folder.
type vitalFile struct {
	vfs.File
	gate *gate
}

func (f *vitalFile) Write(p []byte) (int, error) {
	f.gate.vital(nil)
	n, err := f.File.Write(p)
	return n, f.gate.vital(err)
}

func (f *vitalFile) Preallocate(offset, length int64) error {
	return f.gate.vital(f.File.Preallocate(offset, length))
}

func (f *vitalFile) Sync() error { return f.gate.vital(f.File.Sync()) }

func (f *vitalFile) SyncData() error { return f.gate.vital(f.File.SyncData()) }

func (f *vitalFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.gate.vital(err)
}
