package localstore

import (
	"bytes"
	"encoding/binary"

	"github.com/fieldseal/fieldseal/repository"
)

// The first byte of a key is its kind. Letters, so that a dump can be read.
const (
	kindType    = 'd' // d|name → code of a resource type
	kindForward = 'f' // f|type|ordinal → what the index holds of a live resource
	kindTable   = 'k' // k|len(name)|name|key → row of a Table
	kindMeta    = 'm' // m|name → format, high-water marks
	kindRecord  = 'o' // o|type|ordinal → current version
	kindToken   = 'p' // p|type|token|ordinal → nothing: one posting
	kindID      = 'r' // r|type|storage id → ordinal
	kindFeed    = 's' // s|position → change
	kindUpdated = 'u' // u|type|time|ordinal → nothing: a live resource changed then
	kindVersion = 'v' // v|type|storage id|^version → past version
	kindOwner   = 'w' // w|owner|type|ordinal → nothing: a version has this owner
)

const (
	idBytes      = 16
	tokenBytes   = 8
	ordinalBytes = 5
	maxOrdinal   = 1<<(8*ordinalBytes) - 1
)

// typeCode stands for a resource type in keys: one byte below wideCode, else
// two, so that no code is a prefix of another.
type typeCode uint16

const (
	wideCode = 0xC0
	maxCode  = 0x3FFF
)

// ordinal numbers the resources of a type in order of creation. It is what
// records lie under and what postings carry: resources that were written
// together, such as one patient's, are then neighbours, and a new one goes to
// the end, where compaction need not rewrite the others.
type ordinal uint64

func appendCode(dst []byte, c typeCode) []byte {
	if c < wideCode {
		return append(dst, byte(c))
	}
	return append(dst, wideCode|byte(c>>8), byte(c))
}

// codeLen tells how many bytes the code at the start of b has.
func codeLen(first byte) int {
	if first < wideCode {
		return 1
	}
	return 2
}

func readCode(b []byte) (typeCode, []byte, bool) {
	if len(b) == 0 || len(b) < codeLen(b[0]) {
		return 0, nil, false
	}
	if b[0] < wideCode {
		return typeCode(b[0]), b[1:], true
	}
	return typeCode(b[0]&^wideCode)<<8 | typeCode(b[1]), b[2:], true
}

func appendOrdinal(dst []byte, o ordinal) []byte {
	return append(dst, byte(o>>32), byte(o>>24), byte(o>>16), byte(o>>8), byte(o))
}

// readOrdinal reads the last bytes of a key or cursor.
func readOrdinal(b []byte) (ordinal, bool) {
	if len(b) < ordinalBytes {
		return 0, false
	}
	b = b[len(b)-ordinalBytes:]
	return ordinal(b[0])<<32 | ordinal(binary.BigEndian.Uint32(b[1:])), true
}

func appendIDKey(dst []byte, c typeCode, id repository.StorageID) []byte {
	return append(appendCode(append(dst, kindID), c), id[:]...)
}

func appendVersionPrefix(dst []byte, c typeCode, id repository.StorageID) []byte {
	return append(appendCode(append(dst, kindVersion), c), id[:]...)
}

func appendVersionKey(dst []byte, c typeCode, id repository.StorageID, v repository.Version) []byte {
	return binary.BigEndian.AppendUint64(appendVersionPrefix(dst, c, id), ^uint64(v))
}

func appendTokenPrefix(dst []byte, c typeCode, t repository.Token) []byte {
	return binary.BigEndian.AppendUint64(appendCode(append(dst, kindToken), c), uint64(t))
}

// appendTypePrefix begins the keys of a kind that go on with a type.
func appendTypePrefix(dst []byte, kind byte, c typeCode) []byte {
	return appendCode(append(dst, kind), c)
}

func appendRecordKey(dst []byte, c typeCode, o ordinal) []byte {
	return appendOrdinal(appendTypePrefix(dst, kindRecord, c), o)
}

func appendForwardKey(dst []byte, c typeCode, o ordinal) []byte {
	return appendOrdinal(appendTypePrefix(dst, kindForward, c), o)
}

// appendUpdatedPrefix is followed by an ordinal. Times before 1970 sort first.
func appendUpdatedPrefix(dst []byte, c typeCode, t repository.Stamp) []byte {
	return binary.BigEndian.AppendUint64(appendTypePrefix(dst, kindUpdated, c), sortable(t))
}

func appendUpdatedKey(dst []byte, c typeCode, t repository.Stamp, o ordinal) []byte {
	return appendOrdinal(appendUpdatedPrefix(dst, c, t), o)
}

// sortable keeps the order of times in the order of bytes.
func sortable(t repository.Stamp) uint64 { return uint64(t) ^ 1<<63 }

// readUpdated reads the last bytes of a key of the index by time.
func readUpdated(key []byte) (repository.Stamp, ordinal, bool) {
	if len(key) < 8+ordinalBytes {
		return 0, 0, false
	}
	o, ok := readOrdinal(key)
	t := binary.BigEndian.Uint64(key[len(key)-8-ordinalBytes:])
	return repository.Stamp(t ^ 1<<63), o, ok
}

func appendOwnerPrefix(dst []byte, w repository.Owner) []byte {
	return append(append(dst, kindOwner), w[:]...)
}

func appendOwnerKey(dst []byte, w repository.Owner, c typeCode, o ordinal) []byte {
	return appendOrdinal(appendCode(appendOwnerPrefix(dst, w), c), o)
}

func appendFeedKey(dst []byte, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, kindFeed), seq)
}

func metaKey(name string) []byte { return append([]byte{kindMeta}, name...) }

func typeKey(name string) []byte { return append([]byte{kindType}, name...) }

// successor returns the first key above all keys with the prefix.
func successor(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xFF {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// split tells Pebble which part of a key its bloom filters and prefix seeks
// go by: the token without the ordinal, the resource without the version, the
// owner without what it owns. Other keys count whole.
func split(key []byte) int {
	n := len(key)
	if n < 2 {
		return n
	}
	switch key[0] {
	case kindToken:
		return min(n, 1+codeLen(key[1])+tokenBytes)
	case kindVersion:
		return min(n, 1+codeLen(key[1])+idBytes)
	case kindOwner:
		return min(n, 1+idBytes)
	}
	return n
}
