package trail

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/audit/merkle"
	"github.com/fieldseal/fieldseal/repository"
)

// loadTree reads the roots of full segments and the leaves behind them, and
// where the chain ends.
func loadTree(ctx context.Context, log Log, o origin) (roots, leaves []merkle.Hash, last lastRecord, err error) {
	for e, err := range entriesOf(ctx, log, kindRoot, o.Name, 1) {
		if err != nil {
			return nil, nil, last, err
		}
		_, first, ok := parseID(kindRoot, e.ID)
		if first != uint64(len(roots))*o.SegmentRecords+1 { // that of the segment before was lost in a crash
			break
		}
		if !ok || len(e.Body) != merkle.Size {
			return nil, nil, last, fmt.Errorf("%w: root of segment %d", ErrCorrupt, first)
		}
		roots = append(roots, merkle.Hash(e.Body))
	}
	from := uint64(len(roots)) * o.SegmentRecords
	if from > 0 { // the last event of the last full segment, to go on from
		from--
	}
	for f, err := range readLog(ctx, log, o.Name, from+1) {
		if err != nil {
			return nil, nil, last, err
		}
		if last.seq != 0 && f.prev != last.hash {
			return nil, nil, last, fmt.Errorf("%w: event %d does not follow event %d", ErrCorrupt, f.seq, last.seq)
		}
		last = lastRecord{f.seq, f.time, f.leaf}
		if f.seq > uint64(len(roots))*o.SegmentRecords {
			leaves = append(leaves, f.leaf)
		}
		if uint64(len(leaves)) == o.SegmentRecords {
			roots, leaves = append(roots, merkle.RootOf(leaves)), leaves[:0]
		}
	}
	if last.seq < uint64(len(roots))*o.SegmentRecords {
		return nil, nil, last, fmt.Errorf("%w: events are missing before event %d", ErrCorrupt, uint64(len(roots))*o.SegmentRecords+1)
	}
	return roots, leaves, last, nil
}

// keepRoots writes the roots that a crash left out; they are the newest.
func (s *shared) keepRoots(ctx context.Context, o origin, roots []merkle.Hash) error {
	for i := len(roots) - 1; i >= 0; i-- {
		id := entryID(kindRoot, o.Name, uint64(i)*o.SegmentRecords+1)
		_, err := one(ctx, s.log, id)
		if err == nil {
			return nil
		}
		if errors.Is(err, repository.ErrNotFound) {
			_, err = put(ctx, s.log, []repository.LogEntry{{ID: id, Body: roots[i][:]}})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tree implements medium.
func (s *shared) tree(ctx context.Context, name string) (merkle.Source, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if name == s.origin.Name {
		return logTree{ctx, s.log, s.origin, slices.Clone(s.roots), slices.Clone(s.leaves)}, nil
	}
	o, err := readLogOrigin(ctx, s.log, name)
	if errors.Is(err, repository.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	roots, leaves, _, err := loadTree(ctx, s.log, o)
	return logTree{ctx, s.log, o, roots, leaves}, err
}

// logTree answers subtree hashes from the roots of full segments; what lies
// inside one it reads from the frames.
type logTree struct {
	ctx    context.Context
	log    Log
	origin origin
	roots  []merkle.Hash
	leaves []merkle.Hash // of the last segment
}

// Subtree hashes leaves [begin, end) (indexes from 0; leaf i is event i+1).
func (t logTree) Subtree(begin, end uint64) (merkle.Hash, error) {
	var r merkle.Range
	n := t.origin.SegmentRecords
	for at := begin; at < end; {
		i := at / n
		stop := min(end, (i+1)*n)
		var err error
		switch {
		case i < uint64(len(t.roots)) && at == i*n && stop == at+n:
			err = r.AppendSubtree(t.roots[i], t.origin.level())
		case i < uint64(len(t.roots)):
			err = t.read(&r, at, stop)
		case i == uint64(len(t.roots)) && stop-i*n <= uint64(len(t.leaves)):
			for _, l := range t.leaves[at-i*n : stop-i*n] {
				r.Append(l)
			}
		default:
			err = merkle.ErrRange
		}
		if err != nil {
			return merkle.Hash{}, err
		}
		at = stop
	}
	return r.Root(), nil
}

func (t logTree) read(r *merkle.Range, begin, end uint64) error {
	for f, err := range readLog(t.ctx, t.log, t.origin.Name, begin+1) {
		if err != nil {
			return err
		}
		r.Append(f.leaf)
		if f.seq == end {
			return nil
		}
	}
	return merkle.ErrRange
}
