package trail

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"sync"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// files is the medium of one node: the own chain in a folder, and below it the
// folder of chains that were moved here, which are only read.
type files struct {
	dir       string
	name      string // of the own chain
	key       ed25519.PublicKey
	records   uint64 // per segment of a new chain
	readOnly  bool
	disk      disk
	exhausted func() // reserving ahead found no room

	lock    *os.File
	origin  origin
	history []*files

	mu     sync.RWMutex // guards what follows; written by the writer only
	closed []*segment   // full segments, oldest first
	active *active

	sidecars sync.WaitGroup
	buf      []byte // scratch of append
}

// load implements medium.
func (t *files) load(ctx context.Context) (st start, err error) {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return st, fmt.Errorf("creating the audit folder: %w", err)
	}
	if t.lock, err = lockDir(filepath.Join(t.dir, lockName)); err != nil {
		return st, err
	}
	if _, err := os.Stat(filepath.Join(t.dir, historyName, t.name)); err == nil {
		return st, fmt.Errorf("chain %s: %w", t.name, ErrMoved)
	}
	if t.origin, err = t.loadOrigin(); err != nil {
		return st, err
	}
	if err := t.loadHistory(ctx); err != nil {
		return st, err
	}
	st.origin = t.origin
	if err := t.recover(&st); err != nil {
		return st, err
	}
	if st.low, err = t.loadLow(st.last.seq); err != nil {
		return st, err
	}
	return st, t.cutCheckpoints()
}

// openReadOnly opens a chain that nobody writes.
func openReadOnly(dir string) (t *files, st start, err error) {
	t = &files{dir: dir, readOnly: true}
	if t.origin, err = readOrigin(dir); err != nil {
		return nil, st, err
	}
	t.name, st.origin = t.origin.Name, t.origin
	if err := t.recover(&st); err != nil {
		return nil, st, fmt.Errorf("chain %s: %w", t.name, err)
	}
	st.low, err = t.loadLow(st.last.seq)
	return t, st, err
}

// loadHistory opens the chains that were moved into this folder.
func (t *files) loadHistory(ctx context.Context) error {
	dirs, err := histories(t.dir)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, _, err := openReadOnly(dir)
		if err != nil {
			return err
		}
		if h.name != filepath.Base(dir) {
			return fmt.Errorf("%w: folder %s holds the chain %s", ErrCorrupt, filepath.Base(dir), h.name)
		}
		t.history = append(t.history, h)
	}
	return nil
}

// histories returns the folders of moved chains.
func histories(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, historyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && validOrigin(e.Name()) {
			out = append(out, filepath.Join(dir, historyName, e.Name()))
		}
	}
	return out, err
}

// chain returns the files of a chain by its name.
func (t *files) chain(origin string) (*files, error) {
	for _, c := range t.all() {
		if c.origin.Name == origin {
			return c, nil
		}
	}
	return nil, ErrNotFound
}

func (t *files) all() []*files { return append([]*files{t}, t.history...) }

// append implements medium: one write and one fdatasync, as a rule.
func (t *files) append(_ context.Context, batch []frame) error {
	for len(batch) > 0 {
		if err := t.rollover(batch[0].seq); err != nil {
			return err
		}
		n := min(len(batch), int(t.origin.SegmentRecords)-len(t.active.offsets))
		if err := t.write(batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// write makes frames of one segment durable and then visible.
func (t *files) write(batch []frame) error {
	a := t.active
	t.buf = t.buf[:0]
	for i := range batch {
		t.buf = append(t.buf, batch[i].raw...)
	}
	if err := t.reserve(a, a.off+int64(len(t.buf))); err != nil {
		return fmt.Errorf("reserving audit space: %w", err)
	}
	if err := t.disk.write(a.file, t.buf, a.off); err != nil {
		return fmt.Errorf("writing audit records: %w", err)
	}
	if err := t.disk.sync(a.file); err != nil {
		return fmt.Errorf("syncing audit records: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range batch {
		if err := a.add(&batch[i], a.off); err != nil {
			return err
		}
		a.off += int64(len(batch[i].raw))
	}
	return nil
}

// rollover replaces a full active segment by a new one.
func (t *files) rollover(first uint64) error {
	if uint64(len(t.active.offsets)) < t.origin.SegmentRecords {
		return nil
	}
	s, err := t.seal()
	if err != nil {
		return err
	}
	next, err := t.createActive(first)
	if err != nil {
		return err
	}
	t.mu.Lock()
	old := t.active
	t.closed = append(t.closed, s)
	t.active = next
	t.mu.Unlock()
	old.file.Close()
	t.sidecars.Go(func() { t.writeSidecar(s) })
	return nil
}

// held implements medium: the lock is held until close.
func (t *files) held() bool { return true }

func (t *files) segments() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.closed) + 1
}

// close implements medium.
func (t *files) close() error {
	t.sidecars.Wait()
	if a := t.active; a != nil && a.file != nil {
		_ = a.file.Truncate(a.off) // gives the reserve back; load does the same
		a.file.Close()
	}
	if t.lock != nil {
		t.lock.Close()
	}
	return nil
}

// read implements medium. A frame is the receiver's own.
func (t *files) read(ctx context.Context, origin string, from uint64) iter.Seq2[frame, error] {
	return func(yield func(frame, error) bool) {
		c, err := t.chain(origin)
		if err != nil {
			yield(frame{}, err)
			return
		}
		views := c.views()
		i := sort.Search(len(views), func(i int) bool { return views[i].first > from })
		for _, v := range views[max(i-1, 0):] {
			more, err := c.readSegment(ctx, v, from, yield)
			if err != nil {
				yield(frame{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func (t *files) readSegment(ctx context.Context, v view, from uint64, yield func(frame, error) bool) (more bool, err error) {
	r, err := t.open(v)
	if err != nil {
		return false, err
	}
	defer r.close()
	for seq := max(from, v.first); seq-v.first < uint64(r.count()); seq++ {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		f, err := r.frame(int(seq-v.first), seq)
		if err != nil {
			return false, err
		}
		if !yield(f, nil) {
			return false, nil
		}
	}
	return true, nil
}

// tree implements medium.
func (t *files) tree(_ context.Context, origin string) (merkle.Source, error) {
	c, err := t.chain(origin)
	if err != nil {
		return nil, err
	}
	return treeSource{c, c.views()}, nil
}
