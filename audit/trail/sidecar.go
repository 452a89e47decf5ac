package trail

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// A sidecar holds what the records of a full segment say about themselves, so
// that search and proofs need not read them all. It can always be rebuilt.
//
//	magic | u64 first | u32 records | u32 postings | root | u32 CRC-32C of these
//	i64 offset, i64 time, leaf hash: each for every record
//	u64 term, u32 ordinal: sorted
//	u32 CRC-32C of everything before
const (
	sidecarSuffix = ".idx"
	sidecarMagic  = "FSINDEX\x01"
	sidecarHeader = 8 + 8 + 4 + 4 + merkle.Size + 4
	sidecarRow    = 8 + 8 + merkle.Size
	postingSize   = 8 + 4
)

func sidecarPath(segment string) string {
	return strings.TrimSuffix(segment, segmentSuffix) + sidecarSuffix
}

func encodeSidecar(first uint64, e *entries) []byte {
	root := merkle.RootOf(e.leaves)
	terms := slices.Clone(e.terms)
	slices.SortFunc(terms, func(a, b posting) int {
		return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.ordinal, b.ordinal))
	})
	b := make([]byte, 0, sidecarHeader+len(e.offsets)*sidecarRow+len(terms)*postingSize+4)
	b = append(b, sidecarMagic...)
	b = binary.BigEndian.AppendUint64(b, first)
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.offsets)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(terms)))
	b = append(b, root[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	for i := range e.offsets {
		b = binary.BigEndian.AppendUint64(b, uint64(e.offsets[i]))
		b = binary.BigEndian.AppendUint64(b, uint64(e.times[i]))
		b = append(b, e.leaves[i][:]...)
	}
	for _, p := range terms {
		b = binary.BigEndian.AppendUint64(b, p.term)
		b = binary.BigEndian.AppendUint32(b, p.ordinal)
	}
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// writeSidecar writes the sidecar of a full segment and forgets the copy in
// memory. A failure leaves the copy in memory: the sidecar is rebuilt when the
// trail is opened next.
func (t *files) writeSidecar(s *segment) {
	if err := replaceFile(sidecarPath(s.path), encodeSidecar(s.first, s.memory)); err != nil {
		return
	}
	t.mu.Lock()
	s.memory = nil
	t.mu.Unlock()
}

// index answers what search and proofs ask of one segment.
type index interface {
	count() int
	row(ordinal int) (offset, time int64, leaf merkle.Hash, err error)
	postings(term uint64) ([]uint32, error) // ascending ordinals
}

func (e *entries) count() int { return len(e.offsets) }

func (e *entries) row(i int) (int64, int64, merkle.Hash, error) {
	return e.offsets[i], e.times[i], e.leaves[i], nil
}

func (e *entries) postings(term uint64) ([]uint32, error) {
	var out []uint32
	for _, p := range e.terms {
		if p.term == term && (len(out) == 0 || out[len(out)-1] != p.ordinal) {
			out = append(out, p.ordinal)
		}
	}
	return out, nil
}

// sidecar is an opened sidecar file.
type sidecar struct {
	file            *os.File
	first           uint64
	records, number int
	root            merkle.Hash
}

var errSidecar = errors.New("sidecar is missing or damaged")

func openSidecar(path string, first, records uint64) (*sidecar, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSidecar, err)
	}
	s := &sidecar{file: f}
	var b [sidecarHeader]byte
	_, err = f.ReadAt(b[:], 0)
	st, serr := f.Stat()
	if err != nil || serr != nil || string(b[:8]) != sidecarMagic ||
		crc32.Checksum(b[:sidecarHeader-4], castagnoli) != binary.BigEndian.Uint32(b[sidecarHeader-4:]) {
		f.Close()
		return nil, errSidecar
	}
	s.first = binary.BigEndian.Uint64(b[8:])
	s.records, s.number = int(binary.BigEndian.Uint32(b[16:])), int(binary.BigEndian.Uint32(b[20:]))
	copy(s.root[:], b[24:])
	size := int64(sidecarHeader) + int64(s.records)*sidecarRow + int64(s.number)*postingSize + 4
	if s.first != first || uint64(s.records) != records || st.Size() != size {
		f.Close()
		return nil, errSidecar
	}
	return s, nil
}

func (s *sidecar) count() int { return s.records }

func (s *sidecar) row(i int) (offset, time int64, leaf merkle.Hash, err error) {
	var b [sidecarRow]byte
	if _, err = s.file.ReadAt(b[:], sidecarHeader+int64(i)*sidecarRow); err != nil {
		return 0, 0, leaf, fmt.Errorf("reading a sidecar: %w", err)
	}
	copy(leaf[:], b[16:])
	return int64(binary.BigEndian.Uint64(b[:])), int64(binary.BigEndian.Uint64(b[8:])), leaf, nil
}

func (s *sidecar) posting(i int) (posting, error) {
	var b [postingSize]byte
	if _, err := s.file.ReadAt(b[:], sidecarHeader+int64(s.records)*sidecarRow+int64(i)*postingSize); err != nil {
		return posting{}, fmt.Errorf("reading a sidecar: %w", err)
	}
	return posting{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint32(b[8:])}, nil
}

func (s *sidecar) postings(term uint64) ([]uint32, error) {
	lo, hi := 0, s.number
	for lo < hi {
		mid := (lo + hi) / 2
		p, err := s.posting(mid)
		if err != nil {
			return nil, err
		}
		if p.term < term {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	var out []uint32
	for ; lo < s.number; lo++ {
		p, err := s.posting(lo)
		if err != nil {
			return nil, err
		}
		if p.term != term {
			break
		}
		if len(out) == 0 || out[len(out)-1] != p.ordinal {
			out = append(out, p.ordinal)
		}
	}
	return out, nil
}
