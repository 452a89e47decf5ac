package trail

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// segmentFile names one segment on disk.
type segmentFile struct {
	path  string
	first uint64
}

// listSegments returns the segments of a folder in order.
func listSegments(dir string) ([]segmentFile, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var out []segmentFile
	for _, path := range names {
		stem := strings.TrimSuffix(filepath.Base(path), segmentSuffix)
		first, err := strconv.ParseUint(stem, 16, 64)
		if err != nil || len(stem) != 16 {
			return nil, fmt.Errorf("%w: a segment has the wrong name", ErrCorrupt)
		}
		out = append(out, segmentFile{path, first})
	}
	return out, nil
}

// scanner reads the frames of one segment file in order.
type scanner struct {
	file    *os.File
	r       *bufio.Reader
	off     int64 // of the next frame
	buf     []byte
	started bool // the segment header is whole
}

// openScanner opens a segment and checks its header. A segment whose creation
// was cut short has no header yet: started is then false.
func openScanner(s segmentFile, records uint64) (*scanner, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	sc := &scanner{file: f, r: bufio.NewReaderSize(f, 1<<20), off: segmentHeader}
	var b [segmentHeader]byte
	n, err := io.ReadFull(sc.r, b[:])
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		f.Close()
		return nil, err
	case isZero(b[:n]):
		return sc, nil
	case string(b[:8]) != segmentMagic || crc32.Checksum(b[:segmentHeader-4], castagnoli) != binary.BigEndian.Uint32(b[segmentHeader-4:]),
		binary.BigEndian.Uint64(b[8:]) != s.first || binary.BigEndian.Uint64(b[16:]) != records:
		f.Close()
		return nil, fmt.Errorf("%w: header of segment %s", ErrCorrupt, filepath.Base(s.path))
	}
	sc.started = true
	return sc, nil
}

// next returns the next whole frame, or ok false where the frames end. The
// frame is valid until the next call.
func (s *scanner) next() (f frame, ok bool, err error) {
	if !s.started {
		return f, false, nil
	}
	head, err := s.r.Peek(4)
	if err != nil {
		return f, false, skipEOF(err)
	}
	n := int(binary.BigEndian.Uint32(head))
	if n < frameMinimum || n > MaxEventBytes {
		return f, false, nil
	}
	s.buf = slices.Grow(s.buf[:0], 4+n)[:4+n]
	if _, err := io.ReadFull(s.r, s.buf); err != nil {
		return f, false, skipEOF(err)
	}
	f, ok = parseFrame(s.buf)
	if ok {
		s.off += int64(len(f.raw))
	}
	return f, ok, nil
}

func skipEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// reset makes next read the bytes behind the last whole frame anew.
func (s *scanner) reset() { s.r.Reset(io.NewSectionReader(s.file, s.off, 1<<62)) }

// rest reads what follows the last whole frame without its zeros at the end.
func (s *scanner) rest() ([]byte, error) {
	st, err := s.file.Stat()
	if err != nil || st.Size() <= s.off {
		return nil, err
	}
	b := make([]byte, st.Size()-s.off)
	n, err := s.file.ReadAt(b, s.off)
	if err := skipEOF(err); err != nil {
		return nil, err
	}
	b = b[:n]
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
