package trail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fieldseal/fieldseal/audit/merkle"
	"github.com/fieldseal/fieldseal/repository"
)

// CopyToLog copies the chain of a folder that no process has open, with its
// checkpoints, into a log of a database: every frame as it is, under its own
// name and number. There it is history that nobody continues; the witness file
// stays good for it. It may be repeated and goes on where it was interrupted; it
// refuses a place that holds something else. It returns the number of events.
func CopyToLog(ctx context.Context, dir string, log Log) (uint64, error) {
	lock, err := lockDir(filepath.Join(dir, lockName))
	if err != nil {
		return 0, err
	}
	defer lock.Close()
	src, st, err := openReadOnly(dir)
	if err != nil {
		return 0, err
	}
	c := copier{ctx: ctx, log: log, origin: src.origin}
	_, err = one(ctx, log, kindOrigin+src.name)
	fresh := errors.Is(err, repository.ErrNotFound)
	if err != nil && !fresh {
		return 0, err
	}
	if !fresh {
		if _, err := one(ctx, log, kindHistory+src.name); err != nil {
			return 0, fmt.Errorf("chain %s: %w: a node of the database has this name", src.name, errors.Join(err, repository.ErrConflict))
		}
	}
	c.put(kindHistory+src.name, []byte("moved")) // first: no node may begin this chain
	c.put(kindOrigin+src.name, src.origin.encode())
	c.frames(src)
	notes, err := src.checkpoints()
	if err != nil {
		return 0, err
	}
	c.notes(notes)
	c.put(entryID(kindMark, src.name, st.last.seq), fmt.Appendf(nil, `{"low":%d}`, st.low))
	return st.last.seq, c.err
}

// copier appends to a log until the first error.
type copier struct {
	ctx    context.Context
	log    Log
	origin origin
	batch  []repository.LogEntry
	bytes  int
	err    error
}

func (c *copier) put(id string, body []byte) {
	c.batch = append(c.batch, repository.LogEntry{ID: id, Body: body})
	c.flush()
}

// flush appends what was collected. What is there already must be the same.
func (c *copier) flush() {
	for rest := c.batch; c.err == nil && len(rest) > 0; {
		n, err := put(c.ctx, c.log, rest)
		switch {
		case errors.Is(err, errForeign):
			c.err = fmt.Errorf("%w: %s holds something else", repository.ErrConflict, rest[n].ID)
		case n == 0:
			c.err = err
		}
		rest = rest[n:]
	}
	c.batch, c.bytes = nil, 0
}

// Bounds of one insert.
const (
	copyEntries = 500
	copyBytes   = 8 << 20
)

func (c *copier) frames(src *files) {
	var segment merkle.Range
	for f, err := range src.read(c.ctx, src.name, 1) {
		var e repository.LogEntry
		if err == nil {
			e, err = frameEntry(src.name, &f)
		}
		if err != nil {
			c.err = errors.Join(c.err, err)
		}
		if c.err != nil {
			return
		}
		c.batch, c.bytes = append(c.batch, e), c.bytes+len(f.raw)
		segment.Append(f.leaf)
		full := segment.Len() == c.origin.SegmentRecords
		if full || len(c.batch) == copyEntries || c.bytes > copyBytes {
			c.flush()
		}
		if full {
			root := segment.Root()
			c.put(entryID(kindRoot, src.name, f.seq-c.origin.SegmentRecords+1), root[:])
			segment = merkle.Range{}
		}
	}
	c.flush()
}

func (c *copier) notes(notes [][]byte) {
	for _, b := range notes {
		n, err := unverifiedCheckpoint(b, c.origin.Name)
		if err != nil {
			c.err = errors.Join(c.err, err)
			return
		}
		c.put(entryID(kindCheckpoint, c.origin.Name, n.size), b)
	}
}

// CopyToFolder copies a chain of a log into a new folder, where it is what a
// server with local files would have written: below DIR/history/ORIGIN as
// history, or as the trail of an embedded engine whose node has the chain's
// name. A folder that was begun is begun again. It returns the number of events.
func CopyToFolder(ctx context.Context, log Log, name, dir string) (n uint64, err error) {
	o, err := readLogOrigin(ctx, log, name)
	if err != nil {
		return 0, err
	}
	part := dir + ".part"
	if _, err := os.Stat(dir); err == nil {
		return 0, fmt.Errorf("copying chain %s: %w", name, fs.ErrExist)
	}
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)); err != nil {
		return 0, fmt.Errorf("copying chain %s: %w", name, err)
	}
	if n, err = copyToFiles(ctx, log, o, part); err != nil {
		return 0, fmt.Errorf("copying chain %s: %w", name, err)
	}
	if err := os.Rename(part, dir); err != nil {
		return 0, fmt.Errorf("copying chain %s: %w", name, err)
	}
	return n, syncDir(filepath.Dir(dir))
}

func copyToFiles(ctx context.Context, log Log, o origin, dir string) (n uint64, err error) {
	if err := createOrigin(dir, o); err != nil {
		return 0, err
	}
	dst := &files{dir: dir, name: o.Name, origin: o, exhausted: func() {}}
	dst.disk.setDefaults()
	if dst.active, err = dst.createActive(1); err != nil {
		return 0, err
	}
	n, err = dst.fill(ctx, log)
	return n, errors.Join(err, dst.close())
}

// fill appends everything that a log holds of the chain.
func (t *files) fill(ctx context.Context, log Log) (n uint64, err error) {
	var batch []frame
	size := 0
	for f, err := range readLog(ctx, log, t.name, 1) {
		if err != nil {
			return n, err
		}
		batch, size, n = append(batch, f), size+len(f.raw), f.seq
		if len(batch) == copyEntries || size > copyBytes {
			if err := t.append(ctx, batch); err != nil {
				return n, err
			}
			batch, size = nil, 0
		}
	}
	if err := t.append(ctx, batch); err != nil {
		return n, err
	}
	for e, err := range entriesOf(ctx, log, kindCheckpoint, t.name, 0) {
		if err == nil {
			err = appendNote(&t.disk, filepath.Join(t.dir, checkpointsName), e.Body, false)
		}
		if err != nil {
			return n, err
		}
	}
	low, err := loadLow(ctx, log, t.name, n)
	if err != nil {
		return n, err
	}
	return n, t.putCheckpoint(ctx, signedNote{}, low, true)
}
