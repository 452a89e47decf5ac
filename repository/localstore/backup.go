package localstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// checkpointName is the folder, below the store's, in which Backup collects
// what it copies: links to table files, which a store only adds and removes.
// Open removes what a crash left of it.
const checkpointName = "checkpoint"

func (s *Store) removeCheckpoint() error {
	if err := s.fs.RemoveAll(s.fs.PathJoin(s.opts.Dir, checkpointName)); err != nil {
		return errors.Join(fmt.Errorf("removing what a backup left in %s: %w", s.opts.Dir, err), s.lock.Close())
	}
	return nil
}

// Backup copies the store, as it is at one moment of the call, into a new
// folder, while others read and write. The copy is on stable storage and whole
// when it has its name. One backup runs at a time. The folder may be on another
// disk.
func (s *Store) Backup(ctx context.Context, to string) (err error) {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	if !s.backup.TryLock() {
		return errors.New("backing up: another backup is under way")
	}
	defer s.backup.Unlock()
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("backing up: %s exists; name a new folder", to)
	}
	from := filepath.Join(s.opts.Dir, checkpointName)
	if err := errors.Join(s.flush(ctx), os.RemoveAll(from)); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(from)) }()
	if err := s.detached(func() error { return s.db.Checkpoint(from) }); err != nil {
		return storeError("backing up", err)
	}
	return copyFolder(ctx, from, to)
}

// copyFolder copies the files of a folder under another name and renames it
// when all is on the disk.
func copyFolder(ctx context.Context, from, to string) error {
	part := to + ".unfinished"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)); err != nil {
		return fmt.Errorf("backing up: %w", err)
	}
	files, err := os.ReadDir(from)
	for _, f := range files {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = copyFile(filepath.Join(from, f.Name()), filepath.Join(part, f.Name()))
		}
	}
	if err == nil {
		err = syncFolder(part)
	}
	if err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		return fmt.Errorf("backing up: %w", errors.Join(err, os.RemoveAll(part)))
	}
	return syncFolder(filepath.Dir(to))
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) // #nosec G304 -- a file of the store
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // #nosec G304 -- below the folder that the operator named
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

func syncFolder(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- the folder that the operator named
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
