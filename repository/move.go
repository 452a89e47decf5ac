package repository

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
)

// Errors of a move.
var (
	// ErrNotEmpty: the target holds something that does not come from the source.
	ErrNotEmpty = errors.New("the target holds other data")
	// ErrUnfinished: the store is the target of a move that has not ended.
	ErrUnfinished = errors.New("a move into this store has not ended; run fieldseal migrate again")
	// ErrInUse: a server runs on the store.
	ErrInUse = errors.New("a server runs on this store; stop it first")
)

// EntryKind says what an Entry is. Values are part of the order of entries.
type EntryKind byte

// Kinds of entries, in the order in which they are exported.
const (
	// VersionEntry is one version, current or past, in the order of the feed.
	VersionEntry EntryKind = 1
	// HollowEntry is a key whose current version was purged while versions of
	// other owners remain, in the order of type and id.
	HollowEntry EntryKind = 2
	// RowEntry is a row of a Table, in the order of table and key.
	RowEntry EntryKind = 3
)

// Entry is one thing that a store holds, sealed as it is, in the form in which
// it moves between engines.
type Entry struct {
	Kind EntryKind
	// Record is a version, or the key and version number of a hollow key.
	// Tokens are ascending; only a live current version has any.
	Record Record
	// Position is that of a version in the feed. Engines that move number their
	// changes with Uint64Seq, so positions stay what they are.
	Position uint64
	// Past marks a version that is not the current one.
	Past bool
	// Table and Row are what a RowEntry holds, revision included.
	Table string
	Row   Row
}

// Place is where an entry stands in the order of all entries; it is the same in
// every engine, and byte order is the order of entries. The empty Place is
// before the first.
type Place string

// Place is where the entry stands.
func (e *Entry) Place() Place {
	switch e.Kind {
	case VersionEntry:
		return Place(binary.BigEndian.AppendUint64([]byte{byte(VersionEntry)}, e.Position))
	case HollowEntry:
		return HollowPlace(e.Record.Key)
	}
	return RowPlace(e.Table, e.Row.Key)
}

// HollowPlace is where the entry of a hollow key stands.
func HollowPlace(k Key) Place {
	return Place(append(append(append([]byte{byte(HollowEntry)}, k.Type...), 0), k.ID[:]...))
}

// RowPlace is where the entry of a row stands.
func RowPlace(table string, key []byte) Place {
	return Place(append(append(append([]byte{byte(RowEntry)}, table...), 0), key...))
}

// Position is the feed position of a version's place; it is above all
// positions when the place lies behind every version, and zero at the start.
func (p Place) Position() uint64 {
	switch {
	case p == "":
		return 0
	case len(p) == 9 && EntryKind(p[0]) == VersionEntry:
		return binary.BigEndian.Uint64([]byte(p[1:]))
	}
	return 1<<63 - 1
}

// AppendCanonical appends the bytes over which checksums of a move are made:
// every field, lengths first, tokens ascending. No two entries have the same.
func (e *Entry) AppendCanonical(dst []byte) []byte {
	dst = append(dst, byte(e.Kind))
	if e.Kind == RowEntry {
		dst = appendField(appendField(dst, []byte(e.Table)), e.Row.Key)
		return binary.BigEndian.AppendUint64(appendField(dst, e.Row.Value), e.Row.Revision)
	}
	r := &e.Record
	dst = append(appendField(dst, []byte(r.Key.Type)), r.Key.ID[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Version))
	if e.Kind == HollowEntry {
		return dst
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Updated))
	dst = binary.BigEndian.AppendUint64(dst, e.Position)
	dst = append(dst, flag(r.Deleted), flag(e.Past))
	dst = appendField(append(dst, r.Owner[:]...), r.Body)
	dst = binary.AppendUvarint(dst, uint64(len(r.Tokens)))
	for _, t := range r.Tokens {
		dst = binary.BigEndian.AppendUint64(dst, uint64(t))
	}
	return dst
}

func appendField(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// SortTokens puts tokens into the order of an Entry, without repetition, in
// place.
func SortTokens(ts []Token) []Token {
	slices.Sort(ts)
	return slices.Compact(ts)
}

// Size is about how many bytes the entry takes, for bounds of batches.
func (e *Entry) Size() int {
	const perEntry, perToken = 256, 48
	return perEntry + len(e.Record.Body) + perToken*len(e.Record.Tokens) + len(e.Row.Key) + len(e.Row.Value)
}

// Marks are the counters that a store must not fall behind.
type Marks struct {
	Position uint64 // highest position of the feed that was ever used
	Stamp    Stamp  // stamps up to here may have been handed out
}

// Exporter is implemented by engines whose whole content can be read out,
// without any key, to be moved to another engine.
type Exporter interface {
	// Fence refuses with ErrInUse while another process uses the store, and
	// keeps commits out from then on until Unfence, for other processes too.
	// It may be called again. A store that only one process can open has
	// nothing to do.
	Fence(ctx context.Context) error
	// Unfence lets writers in again.
	Unfence(ctx context.Context) error
	// Marks returns the counters.
	Marks(ctx context.Context) (Marks, error)
	// Export yields every entry behind the place, in the order of places.
	// Entries that are written meanwhile may be missed.
	Export(ctx context.Context, after Place) iter.Seq2[Entry, error]
}

// Importer fills an empty store with the entries of another. The store does
// not open for anything else before Finish.
type Importer interface {
	// Reached returns the place up to which entries are stored, and whether
	// Finish was called.
	Reached(ctx context.Context) (Place, bool, error)
	// Import stores entries that follow, durably. After a crash it continues
	// behind Reached; entries that were stored already may come again.
	Import(ctx context.Context, es []Entry) error
	// Finish sets the counters and makes the target a store that opens.
	Finish(ctx context.Context, m Marks) error
}
