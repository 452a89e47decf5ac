package localstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"github.com/fieldseal/fieldseal/repository"
)

// First byte of a record or row: format in the upper half, flags in the lower.
const (
	valueFormat = 1 << 4
	flagDeleted = 1
	// flagHollow marks a key whose current version was purged while versions
	// of other owners remain. It reads as not found and blocks reuse of the
	// version numbers.
	flagHollow = 2
	flagMask   = flagDeleted | flagHollow
)

const checksumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// stored is one version as it lies in a value. tokens and body alias the
// value.
type stored struct {
	flags   byte
	version repository.Version
	updated repository.Stamp
	seq     uint64 // position in the feed
	ordinal ordinal
	owner   repository.Owner
	tokens  []byte // 8 bytes each, ascending
	body    []byte
}

func (r *stored) deleted() bool { return r.flags&flagDeleted != 0 }
func (r *stored) hollow() bool  { return r.flags&flagHollow != 0 }

// record builds what callers see. The caller of Get owns the body, so it is
// copied out of Pebble's block: the one copy on the way up.
func (r *stored) record(k repository.Key) repository.Record {
	return repository.Record{
		Key:     k,
		Version: r.version,
		Updated: r.updated,
		Deleted: r.deleted(),
		Owner:   r.owner,
		Body:    append(make([]byte, 0, len(r.body)), r.body...),
	}
}

// append encodes r as the value of key.
func (r *stored) append(dst, key []byte) []byte {
	dst = append(dst, valueFormat|r.flags)
	dst = binary.AppendUvarint(dst, uint64(r.version))
	dst = binary.AppendUvarint(dst, uint64(r.updated))
	dst = binary.AppendUvarint(dst, r.seq)
	dst = appendOrdinal(dst, r.ordinal)
	dst = append(dst, r.owner[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(r.tokens)/tokenBytes))
	dst = append(dst, r.tokens...)
	dst = append(dst, r.body...)
	return appendChecksum(dst, key)
}

// decode reads the value of key. A value that lies under another key, was cut
// or damaged is ErrCorrupt.
func (r *stored) decode(key, value []byte) error {
	b, err := checked(key, value)
	if err != nil {
		return err
	}
	p := parser{b: b[1:]}
	r.flags = b[0] & flagMask
	r.version = repository.Version(p.uvarint())
	r.updated = repository.Stamp(p.uvarint())
	r.seq = p.uvarint()
	r.ordinal, _ = readOrdinal(p.take(ordinalBytes))
	copy(r.owner[:], p.take(idBytes))
	r.tokens = p.tokens()
	r.body = p.b
	if p.bad {
		return fmt.Errorf("%w: malformed record header", repository.ErrCorrupt)
	}
	return nil
}

// appendChecksum ends a value that starts at dst[0].
func appendChecksum(dst, key []byte) []byte {
	return binary.LittleEndian.AppendUint32(dst, checksum(key, dst))
}

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value)
}

// checked returns the value without its checksum.
func checked(key, value []byte) ([]byte, error) {
	n := len(value) - checksumBytes
	if n < 1 {
		return nil, fmt.Errorf("%w: value of %d bytes", repository.ErrCorrupt, len(value))
	}
	if checksum(key, value[:n]) != binary.LittleEndian.Uint32(value[n:]) {
		return nil, fmt.Errorf("%w: checksum mismatch", repository.ErrCorrupt)
	}
	if value[0]&0xF0 != valueFormat {
		return nil, fmt.Errorf("%w: value format %d", repository.ErrCorrupt, value[0]>>4)
	}
	return value[:n], nil
}

// parser reads a header; after the first fault it yields zeros.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) take(n int) []byte {
	if len(p.b) < n {
		p.fail()
		return nil
	}
	out := p.b[:n:n]
	p.b = p.b[n:]
	return out
}

func (p *parser) tokens() []byte {
	n := p.uvarint()
	if n > uint64(len(p.b)/tokenBytes) {
		p.fail()
		return nil
	}
	return p.take(int(n) * tokenBytes)
}

func (p *parser) fail() { p.b, p.bad = nil, true }

// size is the exact length of the encoded value.
func (r *stored) size() int {
	return 1 + uvarintLen(uint64(r.version)) + uvarintLen(uint64(r.updated)) + uvarintLen(r.seq) +
		ordinalBytes + idBytes + uvarintLen(uint64(len(r.tokens)/tokenBytes)) +
		len(r.tokens) + len(r.body) + checksumBytes
}

func uvarintLen(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }
