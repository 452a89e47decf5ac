package trail

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// VerifyOptions say what to verify.
type VerifyOptions struct {
	Dir     string
	Witness string // the witness file, or a folder of them; without it a truncated tail or a replaced trail can go unseen
	// PublicKey is the checkpoint key as the auditor knows it; nil: the key in
	// the folder, which must be that of the witness.
	PublicKey ed25519.PublicKey
	Progress  func(events uint64) // optional, called now and then
}

// rereads is how often the end of the last segment is read again: a server that
// is writing it shows half of a record for a moment, damage stays.
const rereads = 5

// verifier walks a trail from its first record to its last.
type verifier struct {
	opt    VerifyOptions
	rep    Report
	origin origin
	key    note.Verifier
	own    []checkpoint          // stored beside the events, ascending sizes
	wit    []checkpoint          // from the witness
	want   map[uint64][]expected // roots by size
	tree   merkle.Range
	prev   frame           // last good record; block is not kept
	lost   bool            // the chain was already reported as broken here
	forked map[string]bool // files whose first unmet root was reported
}

// expected is a root that some checkpoint vouches for.
type expected struct {
	root merkle.Hash
	file string
}

func newVerifier(opt VerifyOptions) *verifier {
	return &verifier{opt: opt, want: make(map[uint64][]expected), forked: make(map[string]bool)}
}

// VerifyFolder verifies the chain in Dir and those that were moved there. A
// folder may hold moved ones alone.
func VerifyFolder(ctx context.Context, opt VerifyOptions) ([]Report, error) {
	dirs, err := histories(opt.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(opt.Dir, originName)); err == nil || len(dirs) == 0 {
		dirs = append([]string{opt.Dir}, dirs...)
	}
	var out []Report
	for _, dir := range dirs {
		opt.Dir = dir
		rep, err := Verify(ctx, opt)
		if err != nil {
			return out, err
		}
		out = append(out, rep)
	}
	return out, nil
}

// Verify checks a whole chain in a folder offline: without decryption keys, reading only,
// also beside a running server. An error means that it could not be checked;
// faults of the trail stand in the report.
func Verify(ctx context.Context, opt VerifyOptions) (Report, error) {
	v := newVerifier(opt)
	if err := v.begin(); err != nil {
		return v.rep, err
	}
	files, err := listSegments(opt.Dir)
	if errors.Is(err, ErrCorrupt) {
		v.rep.add(Problem{Finding: DamagedFile, Detail: err.Error()})
		return v.rep, nil
	}
	if err != nil {
		return v.rep, fmt.Errorf("listing segments: %w", err)
	}
	v.check(0)
	for i, f := range files {
		if err := v.segment(ctx, f, i == len(files)-1); err != nil {
			return v.rep, err
		}
	}
	v.end()
	return v.rep, nil
}

// segment walks one segment file.
func (v *verifier) segment(ctx context.Context, f segmentFile, last bool) error {
	name := filepath.Base(f.path)
	next := uint64(v.rep.Segments)*v.origin.SegmentRecords + 1
	for ; next < f.first; next += v.origin.SegmentRecords {
		v.rep.add(Problem{Finding: MissingSegment, File: segmentName(next), Seq: next, Detail: "a segment is missing"})
		v.rep.Segments++
		v.lost = true
	}
	v.rep.Segments++
	sc, err := openScanner(f, v.origin.SegmentRecords)
	if errors.Is(err, ErrCorrupt) {
		v.rep.add(Problem{Finding: DamagedFile, File: name, Seq: f.first, Detail: "the header of the segment is damaged"})
		v.lost = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening a segment: %w", err)
	}
	defer sc.file.Close()
	e := &entries{}
	rest, err := v.frames(ctx, sc, name, e, last)
	if err != nil {
		return err
	}
	switch next := f.first + uint64(len(e.offsets)); {
	case next == f.first+v.origin.SegmentRecords:
		v.sidecar(f, e)
	case !last || len(rest) > 0:
		v.broken(rest, Problem{File: name, Offset: sc.off, Seq: next}, last)
	}
	return nil
}

// frames checks the whole records of a segment and returns the bytes behind
// them. In the last segment they are read again for a moment, since a server may
// be writing them.
func (v *verifier) frames(ctx context.Context, sc *scanner, name string, e *entries, last bool) (rest []byte, err error) {
	for try := 0; ; try++ {
		if err := v.whole(ctx, sc, name, e); err != nil {
			return nil, err
		}
		if rest, err = sc.rest(); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		_, ok := parseFrame(rest)
		if !sc.started || len(rest) == 0 || uint64(len(e.offsets)) == v.origin.SegmentRecords || !ok && (!last || try >= rereads) {
			return rest, nil
		}
		if ok {
			try = 0
		} else {
			time.Sleep(time.Millisecond)
		}
		sc.reset()
	}
}

// whole checks the records of a segment up to the first that is not whole.
func (v *verifier) whole(ctx context.Context, sc *scanner, name string, e *entries) error {
	for uint64(len(e.offsets)) < v.origin.SegmentRecords {
		off := sc.off
		f, ok, err := sc.next()
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if !ok {
			return nil
		}
		v.record(&f, name, off)
		if err := e.add(&f, off); err != nil {
			v.rep.add(Problem{Finding: FlippedByte, File: name, Offset: off, Seq: f.seq, Detail: "a record does not parse"})
		}
		if v.rep.Events%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if v.opt.Progress != nil {
				v.opt.Progress(v.rep.Events)
			}
		}
	}
	return nil
}

// record checks one record against the one before it.
func (v *verifier) record(f *frame, name string, off int64) {
	p := Problem{File: name, Offset: off, Seq: f.seq}
	if f.intact() != nil {
		p.Finding, p.Detail = FlippedByte, "the body does not match its hash"
		v.rep.add(p)
	}
	if !v.lost {
		v.chain(f, p)
	}
	if v.prev.seq != 0 && f.time < v.prev.time {
		p.Finding, p.Detail = ClockBack, "the time is before that of the event before"
		v.rep.add(p)
	}
	if f.durable >= f.seq {
		p.Finding, p.Detail = Insertion, "the record vouches for itself"
		v.rep.add(p)
	}
	v.lost = false
	v.prev = frame{header: f.header, leaf: f.leaf}
	if v.rep.Events == 0 {
		v.rep.First = time.UnixMicro(f.time).UTC()
	}
	v.rep.Last = time.UnixMicro(f.time).UTC()
	v.rep.Events++
	v.tree.Append(f.leaf)
	v.check(v.tree.Len())
}

// chain names what happened where sequence or chain breaks.
func (v *verifier) chain(f *frame, p Problem) {
	switch want := v.prev.seq + 1; {
	case f.seq > want:
		p.Finding, p.Detail = Deletion, fmt.Sprintf("events %d to %d are missing", want, f.seq-1)
	case f.seq < v.prev.seq:
		p.Finding, p.Detail = Reordering, fmt.Sprintf("the event stands behind event %d", v.prev.seq)
	case f.seq == v.prev.seq:
		p.Finding, p.Detail = Insertion, "the sequence number is there twice"
	case f.prev != v.prev.leaf:
		p.Finding, p.Detail = Insertion, "the event before is not the one that this event follows"
	default:
		return
	}
	v.rep.add(p)
}

// check compares the tree with every checkpoint of its size.
func (v *verifier) check(size uint64) {
	want := v.want[size]
	if len(want) == 0 {
		return
	}
	root := v.tree.Root()
	for _, w := range want {
		if w.root != root && !v.forked[w.file] {
			v.forked[w.file] = true
			v.rep.add(Problem{Finding: Fork, File: w.file, Seq: size, Detail: "the events do not lead to the signed root"})
		}
	}
	delete(v.want, size)
}

// broken judges the bytes where the whole records of a segment end. At the end
// of the last segment they may be a torn tail.
func (v *verifier) broken(rest []byte, p Problem, last bool) {
	end := (p.Seq-1)/v.origin.SegmentRecords*v.origin.SegmentRecords + v.origin.SegmentRecords
	switch {
	case len(rest) == 0:
		p.Finding, p.Detail = Deletion, "the segment ends early"
	case last && p.Seq <= v.covered() && cut(rest):
		p.Finding, p.Detail = TruncatedTail, "the trail is cut inside an event that a checkpoint covers"
	case !last || vouched(rest, p.Seq, end) || p.Seq <= v.covered():
		p.Finding, p.Detail = FlippedByte, "a record that was durable is damaged"
	default:
		v.rep.Notes = append(v.rep.Notes, fmt.Sprintf("%d bytes at the end are a write in progress or a torn tail", len(rest)))
		return
	}
	v.rep.add(p)
	v.lost = true
}

// cut reports whether the bytes end inside the record that they start with.
func cut(rest []byte) bool {
	return len(rest) < 4 || int(binary.BigEndian.Uint32(rest)) > len(rest)-4
}

// covered is the largest size that any checkpoint vouches for.
func (v *verifier) covered() uint64 {
	var size uint64
	for _, c := range slices.Concat(v.own, v.wit) {
		size = max(size, c.size)
	}
	return size
}

// sidecar compares the index of a full segment with its records. A missing one
// is rebuilt by the server.
func (v *verifier) sidecar(f segmentFile, e *entries) {
	path := sidecarPath(f.path)
	b, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(b, encodeSidecar(f.first, e)) {
		v.rep.add(Problem{Finding: MismatchedIndex, File: filepath.Base(path), Seq: f.first, Detail: "the index is not that of its segment; search could hide events"})
	}
}

// end looks for events that checkpoints know and the folder lacks.
func (v *verifier) end() {
	for _, c := range v.own {
		v.rep.Checkpoint = max(v.rep.Checkpoint, c.size)
	}
	for _, c := range v.wit {
		v.rep.Witnessed = max(v.rep.Witnessed, c.size)
	}
	if size := v.covered(); size > v.prev.seq && !v.lost {
		v.rep.add(Problem{Finding: TruncatedTail, Seq: v.prev.seq, Detail: fmt.Sprintf("checkpoints cover %d events, the last one here is %d", size, v.prev.seq)})
	}
}
