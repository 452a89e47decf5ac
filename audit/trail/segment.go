package trail

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

const (
	segmentSuffix = ".seg"
	segmentMagic  = "FSTRAIL\x01"
	segmentHeader = 8 + 8 + 8 + 4 // magic, first sequence, records, CRC-32C
)

// segmentName is the file of the segment that starts with a sequence number.
func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, segmentSuffix) }

func appendSegmentHeader(b []byte, first, records uint64) []byte {
	start := len(b)
	b = append(b, segmentMagic...)
	b = binary.BigEndian.AppendUint64(b, first)
	b = binary.BigEndian.AppendUint64(b, records)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// entries is what is known of the records of one segment beside their bytes.
// The slices only grow, so a copy of the struct is a consistent snapshot.
type entries struct {
	offsets []int64
	leaves  []merkle.Hash
	times   []int64
	terms   []posting
}

// posting says that the record at an ordinal carries a term.
type posting struct {
	term    uint64
	ordinal uint32
}

func (e *entries) add(f *frame, offset int64) error {
	k, err := parseBlock(f.block)
	if err != nil {
		return err
	}
	ordinal := uint32(len(e.offsets))
	e.offsets = append(e.offsets, offset)
	e.leaves = append(e.leaves, f.leaf)
	e.times = append(e.times, f.time)
	k.eachTerm(func(term uint64) { e.terms = append(e.terms, posting{term, ordinal}) })
	return nil
}

// segment is a full, immutable segment.
type segment struct {
	path  string
	first uint64
	root  merkle.Hash
	// memory holds the entries until the sidecar is written; guarded by
	// files.mu.
	memory              *entries
	firstTime, lastTime int64
}

// active is the segment that the writer appends to. Only the writer changes
// it, under files.mu.
type active struct {
	path      string
	file      *os.File // nil: the chain is only read
	first     uint64
	off       int64 // end of the durable records
	allocated int64
	entries
}

// chunk is how much disk is reserved at a time.
func (t *files) chunk() int64 {
	return min(max(int64(t.origin.SegmentRecords)*1024, 64<<10), 8<<20)
}

// createActive starts a new segment, durable on return.
func (t *files) createActive(first uint64) (*active, error) {
	path := filepath.Join(t.dir, segmentName(first))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	a := &active{path: path, file: f, first: first, off: segmentHeader}
	if err := t.initActive(a); err != nil {
		f.Close()
		return nil, fmt.Errorf("creating a segment: %w", err)
	}
	return a, nil
}

func (t *files) initActive(a *active) error {
	if err := t.reserve(a, segmentHeader); err != nil {
		return err
	}
	head := appendSegmentHeader(nil, a.first, t.origin.SegmentRecords)
	if err := t.disk.write(a.file, head, 0); err != nil {
		return err
	}
	if err := a.file.Sync(); err != nil {
		return err
	}
	return syncDir(t.dir)
}

// reserve makes sure that the file reaches need bytes, and reserves ahead so
// that a full disk is noticed while there is still room for what already has a
// place in the log.
func (t *files) reserve(a *active, need int64) error {
	chunk := t.chunk()
	if need+chunk/2 <= a.allocated {
		return nil
	}
	target := (need + chunk + chunk/2) / chunk * chunk
	if err := t.disk.allocate(a.file, a.allocated, target-a.allocated); err != nil {
		if isFull(err) && need <= a.allocated {
			t.exhausted()
			return nil
		}
		return err
	}
	a.allocated = target
	return nil
}

// seal turns the full active segment into an immutable one.
func (t *files) seal() (*segment, error) {
	a := t.active
	if err := a.file.Truncate(a.off); err != nil {
		return nil, fmt.Errorf("closing a segment: %w", err)
	}
	if err := a.file.Sync(); err != nil {
		return nil, fmt.Errorf("closing a segment: %w", err)
	}
	memory := a.entries
	return &segment{
		path: a.path, first: a.first, root: merkle.RootOf(a.leaves), memory: &memory,
		firstTime: a.times[0], lastTime: a.times[len(a.times)-1],
	}, nil
}
