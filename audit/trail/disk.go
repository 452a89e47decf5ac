package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// disk is every file operation whose failure matters, so that tests can inject
// faults at each of them.
type disk struct {
	write    func(f *os.File, b []byte, off int64) error
	sync     func(f *os.File) error // data and what is needed to read it back
	allocate func(f *os.File, off, n int64) error
	free     func(dir string) (uint64, error)
}

func (d *disk) setDefaults() {
	if d.write == nil {
		d.write = func(f *os.File, b []byte, off int64) error { _, err := f.WriteAt(b, off); return err }
	}
	if d.sync == nil {
		d.sync = datasync
	}
	if d.allocate == nil {
		d.allocate = allocate
	}
	if d.free == nil {
		d.free = freeBytes
	}
}

// isFull reports whether an error means that the disk has no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// syncDir makes created and renamed names durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// replaceFile writes a small file by rename, durable on return.
func replaceFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// lockDir takes the lock that keeps a second writer out.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("locking the audit folder: %w", err)
	}
	return f, nil
}
