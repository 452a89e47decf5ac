package trail

import (
	"encoding/binary"
	"fmt"
	"os"
)

// view is a consistent picture of one segment.
type view struct {
	path                string
	first               uint64
	memory              *entries // nil: read the sidecar
	firstTime, lastTime int64
}

// views returns the segments with events, oldest first.
func (t *files) views() []view {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]view, 0, len(t.closed)+1)
	for _, s := range t.closed {
		out = append(out, view{s.path, s.first, s.memory, s.firstTime, s.lastTime})
	}
	if a := t.active; a != nil && len(a.offsets) > 0 {
		e := a.entries
		out = append(out, view{a.path, a.first, &e, e.times[0], e.times[len(e.times)-1]})
	}
	return out
}

// reader reads single records of a segment.
type reader struct {
	index
	file *os.File
	side *sidecar
}

func (t *files) open(v view) (*reader, error) {
	f, err := os.Open(v.path)
	if err != nil {
		return nil, err
	}
	if v.memory != nil {
		return &reader{index: v.memory, file: f}, nil
	}
	side, err := openSidecar(sidecarPath(v.path), v.first, t.origin.SegmentRecords)
	if err != nil {
		f.Close()
		return nil, err
	}
	return &reader{index: side, file: f, side: side}, nil
}

func (r *reader) close() {
	r.file.Close()
	if r.side != nil {
		r.side.file.Close()
	}
}

// frame reads and checks the record with a sequence number.
func (r *reader) frame(ordinal int, seq uint64) (frame, error) {
	off, _, leaf, err := r.row(ordinal)
	if err != nil {
		return frame{}, err
	}
	var head [4]byte
	if _, err := r.file.ReadAt(head[:], off); err != nil {
		return frame{}, fmt.Errorf("reading event %d: %w", seq, err)
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n < frameMinimum || n > MaxEventBytes {
		return frame{}, fmt.Errorf("%w: event %d", ErrCorrupt, seq)
	}
	b := make([]byte, 4+n)
	if _, err := r.file.ReadAt(b, off); err != nil {
		return frame{}, fmt.Errorf("reading event %d: %w", seq, err)
	}
	f, ok := parseFrame(b)
	if !ok || f.seq != seq || f.leaf != leaf {
		return frame{}, fmt.Errorf("%w: event %d", ErrCorrupt, seq)
	}
	return f, f.intact()
}
