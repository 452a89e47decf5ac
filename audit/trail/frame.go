package trail

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// A frame is one record on disk:
//
//	u32 length of what follows | header | block | u32 CRC-32C of header and block
//
// The header is the Merkle leaf:
//
//	u64 sequence | i64 time (µs) | u64 durable | previous leaf hash | SHA-256 of block
//
// durable is the last sequence number that was on stable storage when this
// record was written. So damage to an acknowledged record is told from a torn
// tail: a later whole record vouches for it.
const (
	headerSize   = 8 + 8 + 8 + merkle.Size + merkle.Size
	frameMinimum = headerSize + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type header struct {
	seq      uint64
	time     int64
	durable  uint64
	prev     merkle.Hash
	bodyHash merkle.Hash
}

func (h *header) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(h.time))
	b = binary.BigEndian.AppendUint64(b, h.durable)
	b = append(b, h.prev[:]...)
	return append(b, h.bodyHash[:]...)
}

func parseHeader(b []byte) (h header) {
	h.seq = binary.BigEndian.Uint64(b)
	h.time = int64(binary.BigEndian.Uint64(b[8:]))
	h.durable = binary.BigEndian.Uint64(b[16:])
	copy(h.prev[:], b[24:])
	copy(h.bodyHash[:], b[24+merkle.Size:])
	return h
}

// appendFrame adds one record to a write buffer and returns its leaf hash.
func appendFrame(b []byte, h *header, block []byte) ([]byte, merkle.Hash) {
	start := len(b)
	b = binary.BigEndian.AppendUint32(b, uint32(headerSize+len(block)+4))
	b = h.append(b)
	leaf := merkle.Leaf(b[start+4:])
	b = append(b, block...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start+4:], castagnoli)), leaf
}

// newFrame is a new record, laid out in b.
func newFrame(b []byte, h *header, block []byte) frame {
	raw, leaf := appendFrame(b, h, block)
	start := 4 + headerSize
	return frame{header: *h, leaf: leaf, block: raw[start : len(raw)-4], raw: raw}
}

// frame is a record as it is stored; block and raw alias one buffer.
type frame struct {
	header
	leaf  merkle.Hash
	block []byte
	raw   []byte // all bytes, length included
}

// parseFrame reads the frame at the start of b. ok is false when the bytes are
// no whole frame: zeros, cut, or changed.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) < 4+frameMinimum {
		return f, false
	}
	n := int(binary.BigEndian.Uint32(b))
	if n < frameMinimum || n > MaxEventBytes || n > len(b)-4 {
		return f, false
	}
	content, sum := b[4:n], binary.BigEndian.Uint32(b[n:])
	if crc32.Checksum(content, castagnoli) != sum {
		return f, false
	}
	f = frame{header: parseHeader(content), leaf: merkle.Leaf(content[:headerSize]), block: content[headerSize:], raw: b[: 4+n : 4+n]}
	return f, true
}

// intact checks what the CRC does not: it is no defence against an attacker.
func (f *frame) intact() error {
	if sha256.Sum256(f.block) != f.bodyHash {
		return fmt.Errorf("%w: body of event %d does not match its hash", ErrCorrupt, f.seq)
	}
	return nil
}

// vouched searches the bytes behind a broken record for a whole later record
// that says the broken one was durable. If there is one, the break is damage
// to an acknowledged record; if not, it is a torn tail.
func vouched(b []byte, broken, segmentEnd uint64) bool {
	for i := 1; i+4+frameMinimum <= len(b); i++ {
		n := binary.BigEndian.Uint32(b[i:])
		if n < frameMinimum || n > MaxEventBytes {
			continue
		}
		if seq := binary.BigEndian.Uint64(b[i+4:]); seq <= broken || seq > segmentEnd {
			continue
		}
		if f, ok := parseFrame(b[i:]); ok && f.durable >= broken {
			return true
		}
	}
	return false
}
