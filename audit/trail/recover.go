package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// recover reads the segments, rebuilds missing sidecars and continues the last
// segment. It returns how many torn bytes it cut. Only bytes that no whole
// record vouches for are cut; anything else is ErrCorrupt.
func (t *Trail) recover() (torn int, err error) {
	files, err := listSegments(t.opt.Dir)
	if err != nil {
		return 0, err
	}
	if len(files) == 0 {
		t.active, err = t.createActive(1)
		return 0, err
	}
	n := t.origin.SegmentRecords
	for i, f := range files {
		if f.first != uint64(i)*n+1 {
			return 0, fmt.Errorf("%w: segment %s follows a gap", ErrCorrupt, filepath.Base(f.path))
		}
	}
	last := len(files) - 1
	for _, f := range files[:last] {
		if err := t.loadClosed(f); err != nil {
			return 0, err
		}
	}
	return t.loadActive(files[last])
}

// loadClosed takes in a full segment by its sidecar, which it rebuilds when it
// is missing or damaged.
func (t *Trail) loadClosed(f segmentFile) error {
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
	if _, s.lastTime, t.last.hash, err = side.row(side.count() - 1); err != nil {
		return err
	}
	t.last.seq, t.last.time = f.first+n-1, s.lastTime
	t.closed = append(t.closed, s)
	return t.tree.AppendSubtree(s.root, t.level())
}

// level is the height of a full segment's subtree.
func (t *Trail) level() uint {
	l := uint(0)
	for uint64(1)<<l < t.origin.SegmentRecords {
		l++
	}
	return l
}

func (t *Trail) rebuild(f segmentFile) error {
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
func (t *Trail) scanEntries(f segmentFile) (*entries, *scanner, error) {
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
func (t *Trail) loadActive(f segmentFile) (torn int, err error) {
	e, sc, err := t.scanEntries(f)
	if err != nil {
		return 0, err
	}
	defer sc.file.Close()
	rest, err := sc.rest()
	if err != nil {
		return 0, err
	}
	if vouched(rest, f.first+uint64(len(e.offsets)), f.first+t.origin.SegmentRecords-1) {
		return 0, fmt.Errorf("%w: event %d was durable and is damaged", ErrCorrupt, f.first+uint64(len(e.offsets)))
	}
	if !sc.started {
		t.active, err = t.createActive(f.first)
		return 0, err
	}
	a := &active{first: f.first, off: sc.off, entries: *e}
	if a.file, err = os.OpenFile(f.path, os.O_RDWR, 0); err != nil {
		return 0, err
	}
	t.active = a
	if err := a.file.Truncate(a.off); err != nil {
		return 0, fmt.Errorf("cutting a torn tail: %w", err)
	}
	a.allocated = a.off
	if err := a.file.Sync(); err != nil {
		return 0, fmt.Errorf("syncing the last segment: %w", err)
	}
	for i := range e.leaves {
		t.tree.Append(e.leaves[i])
	}
	if n := len(e.leaves); n > 0 {
		t.last = lastRecord{f.first + uint64(n) - 1, e.times[n-1], e.leaves[n-1]}
	}
	return len(rest), nil
}

// rootAt is the Merkle root over the first size events, for size up to the
// number of durable events.
func (t *Trail) rootAt(size uint64) (merkle.Hash, error) {
	if size == 0 {
		return merkle.Empty(), nil
	}
	return t.source().Subtree(0, size)
}
