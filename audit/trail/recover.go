package trail

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
)

// recover reads the segments, rebuilds missing sidecars and continues the last
// segment. Only bytes that no whole record vouches for are cut; anything else is
// ErrCorrupt. Of a chain that is only read no record is cut.
func (t *files) recover(st *start) (err error) {
	files, err := listSegments(t.dir)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		if !t.readOnly {
			t.active, err = t.createActive(1)
		}
		return err
	}
	n := t.origin.SegmentRecords
	for i, f := range files {
		if f.first != uint64(i)*n+1 {
			return fmt.Errorf("%w: segment %s follows a gap", ErrCorrupt, filepath.Base(f.path))
		}
	}
	last := len(files) - 1
	for _, f := range files[:last] {
		if err := t.loadClosed(f, st); err != nil {
			return err
		}
	}
	return t.loadActive(files[last], st)
}

// loadClosed takes in a full segment by its sidecar, which it rebuilds when it
// is missing or damaged.
func (t *files) loadClosed(f segmentFile, st *start) error {
	n := t.origin.SegmentRecords
	side, err := openSidecar(sidecarPath(f.path), f.first, n)
	if errors.Is(err, errSidecar) {
		if err := t.rebuild(f); err != nil {
			return err
		}
		side, err = openSidecar(sidecarPath(f.path), f.first, n)
	}
	if err != nil {
		return err
	}
	defer side.file.Close()
	s := &segment{path: f.path, first: f.first, root: side.root}
	if _, s.firstTime, _, err = side.row(0); err != nil {
		return err
	}
	if _, s.lastTime, st.last.hash, err = side.row(side.count() - 1); err != nil {
		return err
	}
	st.last.seq, st.last.time = f.first+n-1, s.lastTime
	t.closed = append(t.closed, s)
	return st.tree.AppendSubtree(s.root, t.origin.level())
}

// level is the height of a full segment's subtree.
func (o origin) level() uint { return uint(bits.TrailingZeros64(o.SegmentRecords)) }

func (t *files) rebuild(f segmentFile) error {
	e, sc, err := t.scanEntries(f)
	if err != nil {
		return err
	}
	sc.file.Close()
	if uint64(len(e.offsets)) != t.origin.SegmentRecords {
		return fmt.Errorf("%w: segment %s is not whole", ErrCorrupt, filepath.Base(f.path))
	}
	return replaceFile(sidecarPath(f.path), encodeSidecar(f.first, e))
}

// scanEntries reads the frames of a segment up to the first that is not whole.
func (t *files) scanEntries(f segmentFile) (*entries, *scanner, error) {
	sc, err := openScanner(f, t.origin.SegmentRecords)
	if err != nil {
		return nil, nil, err
	}
	e := &entries{}
	for off := sc.off; uint64(len(e.offsets)) < t.origin.SegmentRecords; off = sc.off {
		fr, ok, err := sc.next()
		if err == nil && !ok {
			break
		}
		if err == nil && fr.seq != f.first+uint64(len(e.offsets)) {
			err = fmt.Errorf("%w: event %d stands at the place of %d", ErrCorrupt, fr.seq, f.first+uint64(len(e.offsets)))
		}
		if err == nil {
			err = e.add(&fr, off)
		}
		if err != nil {
			sc.file.Close()
			return nil, nil, err
		}
	}
	return e, sc, nil
}

// loadActive continues the last segment behind its last whole record.
func (t *files) loadActive(f segmentFile, st *start) error {
	e, sc, err := t.scanEntries(f)
	if err != nil {
		return err
	}
	defer sc.file.Close()
	rest, err := sc.rest()
	if err != nil {
		return err
	}
	if vouched(rest, f.first+uint64(len(e.offsets)), f.first+t.origin.SegmentRecords-1) {
		return fmt.Errorf("%w: event %d was durable and is damaged", ErrCorrupt, f.first+uint64(len(e.offsets)))
	}
	for i := range e.leaves {
		st.tree.Append(e.leaves[i])
	}
	if n := len(e.leaves); n > 0 {
		st.last = lastRecord{f.first + uint64(n) - 1, e.times[n-1], e.leaves[n-1]}
	}
	st.torn = len(rest)
	if !sc.started && !t.readOnly {
		t.active, err = t.createActive(f.first)
		return err
	}
	a := &active{path: f.path, first: f.first, off: sc.off, allocated: sc.off, entries: *e}
	t.active = a
	if t.readOnly {
		return nil
	}
	return a.reopen()
}

// reopen cuts what follows the whole records, to be written behind them.
func (a *active) reopen() (err error) {
	if a.file, err = os.OpenFile(a.path, os.O_RDWR, 0); err != nil {
		return err
	}
	if err := a.file.Truncate(a.off); err != nil {
		return fmt.Errorf("cutting a torn tail: %w", err)
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("syncing the last segment: %w", err)
	}
	return nil
}
