package localstore

import (
	"io"
	"os"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// privateFS makes every file readable by its owner only, and reuses no log
// file while scrubbing is set. The folder itself is 0700, so a file is never
// in reach of others between creation and chmod.
type privateFS struct {
	vfs.FS
	scrubbing atomic.Bool
}

// onDisk reports whether the files are the operating system's.
func (fs *privateFS) onDisk() bool { return fs.FS == vfs.Default }

func (fs *privateFS) restrict(name string) error {
	if !fs.onDisk() {
		return nil
	}
	return os.Chmod(name, 0o600)
}

func (fs *privateFS) restricted(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if err := fs.restrict(name); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (fs *privateFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.restricted(name, f, err)
}

func (fs *privateFS) OpenReadWrite(
	name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return fs.restricted(name, f, err)
}

// ReuseForWrite is how Pebble recycles a log: the old bytes stay in the file
// until they are overwritten. While scrubbing a fresh file takes its place.
func (fs *privateFS) ReuseForWrite(
	oldname, newname string, category vfs.DiskWriteCategory,
) (vfs.File, error) {
	if !fs.scrubbing.Load() {
		return fs.FS.ReuseForWrite(oldname, newname, category)
	}
	if err := fs.FS.Remove(oldname); err != nil {
		return nil, err
	}
	return fs.Create(newname, category)
}

func (fs *privateFS) Lock(name string) (io.Closer, error) {
	c, err := fs.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	if err := fs.restrict(name); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// makeDir creates the folder, or tightens its mode when it exists.
func (fs *privateFS) makeDir(dir string) error {
	if err := fs.FS.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if !fs.onDisk() {
		return nil
	}
	return os.Chmod(dir, 0o700) // #nosec G302 -- a folder needs x
}
