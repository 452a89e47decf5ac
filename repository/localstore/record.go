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
	// valueFormat1 is that of table rows, feed entries and past versions, and of
	// the records that a store of format 1 kept under their ids.
	valueFormat1 = 1 << 4
	// valueFormat2 is that of current versions and forward rows.
	valueFormat2 = 2 << 4
	flagDeleted  = 1
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
	id      repository.StorageID
	ordinal ordinal
	owner   repository.Owner
	body    []byte
	// old marks a current version that still lies under its id, as format 1
	// had it, with its tokens: 8 bytes each, ascending.
	old    bool
	tokens []byte
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

// append encodes a current version as the value of key.
func (r *stored) append(dst, key []byte) []byte {
	dst = r.appendHead(dst, valueFormat2)
	dst = append(dst, r.id[:]...)
	dst = append(dst, r.owner[:]...)
	dst = append(dst, r.body...)
	return appendChecksum(dst, key)
}

// appendPast encodes a past version as the value of key.
func (r *stored) appendPast(dst, key []byte) []byte {
	dst = r.appendHead(dst, valueFormat1)
	dst = appendOrdinal(dst, r.ordinal)
	dst = append(dst, r.owner[:]...)
	dst = append(dst, 0) // tokens
	dst = append(dst, r.body...)
	return appendChecksum(dst, key)
}

func (r *stored) appendHead(dst []byte, format byte) []byte {
	dst = append(dst, format|r.flags)
	dst = binary.AppendUvarint(dst, uint64(r.version))
	dst = binary.AppendUvarint(dst, uint64(r.updated))
	return binary.AppendUvarint(dst, r.seq)
}

// size is the exact length of a current version, sizePast that of a past one.
func (r *stored) size() int { return r.headSize() + 2*idBytes + len(r.body) + checksumBytes }
func (r *stored) sizePast() int {
	return r.headSize() + ordinalBytes + idBytes + 1 + len(r.body) + checksumBytes
}

func (r *stored) headSize() int {
	return 1 + uvarintLen(uint64(r.version)) + uvarintLen(uint64(r.updated)) + uvarintLen(r.seq)
}

func uvarintLen(n uint64) int { return (bits.Len64(n|1) + 6) / 7 }

// decode reads the value of key. A value that lies under another key, was cut
// or damaged is ErrCorrupt.
func (r *stored) decode(key, value []byte) error {
	b, err := checked(key, value)
	if err != nil {
		return err
	}
	_, rest, ok := readCode(key[1:])
	p := parser{b: b[1:], bad: !ok}
	r.flags = b[0] & flagMask
	r.version = repository.Version(p.uvarint())
	r.updated = repository.Stamp(p.uvarint())
	r.seq = p.uvarint()
	switch format := b[0] &^ 0xF; {
	case key[0] == kindRecord && format == valueFormat2:
		r.ordinal, ok = readOrdinal(rest)
		copy(r.id[:], p.take(idBytes))
		copy(r.owner[:], p.take(idBytes))
	case key[0] != kindRecord && format == valueFormat1:
		r.old = key[0] == kindID
		ok = copy(r.id[:], rest) == idBytes
		r.ordinal, _ = readOrdinal(p.take(ordinalBytes))
		copy(r.owner[:], p.take(idBytes))
		r.tokens = p.tokens()
	default:
		return fmt.Errorf("%w: value format %d", repository.ErrCorrupt, b[0]>>4)
	}
	r.body = p.b
	if p.bad || !ok {
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

// checkedRow is checked for values that have one format only.
func checkedRow(key, value []byte) ([]byte, error) {
	b, err := checked(key, value)
	if err == nil && b[0]&0xF0 != valueFormat1 {
		return nil, fmt.Errorf("%w: value format %d", repository.ErrCorrupt, b[0]>>4)
	}
	return b, err
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
