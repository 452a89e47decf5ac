// Package repository is the storage contract of Fieldseal: what an engine
// keeps and promises, written down once for every engine.
//
// Start with Store. An engine sees opaque bytes (Record.Body), clear
// bookkeeping (Key, Version, Updated, Deleted, Owner) and int64 tokens; it
// never sees plaintext, which is why this package imports no other package of
// ours. Package repositorytest is the one suite that every engine must pass.
//
// All methods may be called concurrently. A cancelled context makes a method
// return ctx.Err() without effect, except Commit after its batch was handed to
// the log: then the outcome is unknown to the caller, never half-applied.
package repository

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// Sentinel errors. Engines wrap them with %w and never put record bytes into
// the text.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("precondition failed: record or guard changed")
	ErrCorrupt     = errors.New("stored data is corrupt")
	ErrUnavailable = errors.New("store is unavailable")
	ErrFull        = errors.New("store is out of space")
	ErrTooLarge    = errors.New("batch exceeds the store's limit")
	ErrPosition    = errors.New("the position is none of this store's") // it came from another engine
)

// StorageID is the primary key of a resource inside its type: a keyed PRF of
// type and logical id, so that a logical id (which may be an MRN) never
// reaches an engine.
type StorageID [16]byte

// Owner is the clear pseudonym of whose keys seal a record: the StorageID of
// the patient, of the resource itself, or of its type.
type Owner [16]byte

// Key names one resource.
type Key struct {
	Type string // FHIR resource type, clear
	ID   StorageID
}

func (k Key) String() string { return fmt.Sprintf("%s/%x", k.Type, k.ID[:4]) }

// Version counts the versions of one resource from 1; deletions count. Zero
// means "no version".
type Version uint64

// Stamp is lastUpdated in microseconds since the Unix epoch. Stamps handed
// out by a Store strictly increase.
type Stamp int64

// Token is a blind index term (crypto/blind).
type Token int64

// Seq is an opaque position in the change feed. The empty Seq is before the
// first change. Only the engine that made a Seq can read it; byte order is
// feed order.
type Seq string

// Uint64Seq encodes a counter as a Seq for engines that number their changes.
func Uint64Seq(n uint64) Seq {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	return Seq(b[:])
}

// Record is one version of a resource as the engine keeps it.
type Record struct {
	Key     Key
	Version Version
	Updated Stamp
	Deleted bool  // tombstone: the version in which the resource was deleted
	Owner   Owner // clear owner pseudonym; leaks how many records one owner has
	Body    []byte
	Tokens  []Token // of the current version only; nil for tombstones and in results
	// Position is set by Find: a query that starts After it resumes behind this
	// record.
	Position Cursor
}

// Write makes Record the current version of its key. The previous current
// version becomes history and loses its tokens.
//
// Record.Version must be Expect+1. Expect zero means that no version of the
// key may exist, a tombstone included.
type Write struct {
	Record Record
	Expect Version
}

// Guard is a counter that a write bumps when it adds or removes a guarded
// token (an identifier). A reader that found nothing keeps the guard's
// revision and hands it to Commit, so that two "find none, insert" requests
// cannot both succeed. Engines may fold many tokens onto one counter: that
// only causes needless conflicts, never a missed one.
type Guard struct {
	Token    Token
	Revision uint64
}

// Batch is what Commit applies: all or nothing.
type Batch struct {
	Writes []Write
	// Expect lists guards that must still have the given revision.
	Expect []Guard
	// Bump lists guarded tokens that these writes add or remove.
	Bump []Token
}

// maxTypeName bounds Key.Type; the longest of R4 has 33 letters.
const maxTypeName = 64

// Validate refuses what no state of any store could accept: a key that stands
// in the batch twice, a version that does not follow the expected one, a write
// without a type, a tombstone with tokens.
func (b Batch) Validate() error {
	seen := make(map[Key]struct{}, len(b.Writes))
	for i := range b.Writes {
		w := &b.Writes[i]
		r := &w.Record
		switch _, twice := seen[r.Key]; {
		case r.Key.Type == "" || len(r.Key.Type) > maxTypeName:
			return errors.New("write without a valid resource type")
		case r.Version != w.Expect+1:
			return errors.New("a write's version must follow the expected one")
		case r.Deleted && len(r.Tokens) > 0:
			return errors.New("a tombstone carries tokens")
		case twice:
			return errors.New("a key stands in the batch twice")
		}
		seen[r.Key] = struct{}{}
	}
	return nil
}

// Query selects current, undeleted records of one type. A record matches when
// for every clause in All it carries at least one of the clause's tokens.
// With no clause every record of the type matches.
type Query struct {
	Type  string
	All   [][]Token
	Owner *Owner // when set, only records of this owner
	// Since and Until, when not zero, narrow to records whose current version
	// has Since <= Updated < Until.
	Since, Until Stamp
	After        Cursor // resume after this position
	Limit        int    // at most this many records; must be positive
}

// Cursor is an opaque keyset position of Find or History; empty is the start.
type Cursor string

// Page is one page of Find or History. Next is empty on the last page.
type Page struct {
	Records []Record
	Next    Cursor
	// Read is how many index entries Find looked at; for plans only.
	Read int
}

// HistoryRange selects the versions of one resource, newest first, including
// tombstones.
type HistoryRange struct {
	Key   Key
	After Cursor
	Limit int // must be positive
}

// Change is one committed version in the feed.
type Change struct {
	Seq     Seq
	Key     Key
	Version Version
	Updated Stamp
	Deleted bool
	Owner   Owner
}

// Store is what every engine provides.
type Store interface {
	// Get returns the current version, tombstones included (Deleted is then
	// set), or ErrNotFound. Bytes that fail their checksum are ErrCorrupt.
	Get(ctx context.Context, k Key) (Record, error)
	// GetVersion returns one version, current or past, or ErrNotFound.
	GetVersion(ctx context.Context, k Key, v Version) (Record, error)
	// Commit applies the batch atomically. On return without error it is on
	// stable storage and visible. ErrConflict: a precondition did not hold
	// and nothing was written; engines may also return it for a write whose
	// Updated lies far behind what was committed before (it took minutes). A key
	// may stand in a batch only once.
	Commit(ctx context.Context, b Batch) (Seq, error)
	// Find returns matching records ordered by a stable keyset position: a
	// record that is not written between two pages appears exactly once.
	Find(ctx context.Context, q Query) (Page, error)
	// Guards returns the current revisions of the given tokens, in order. It
	// must be called before the Find whose emptiness it protects.
	Guards(ctx context.Context, tokens []Token) ([]Guard, error)
	// History returns the versions of one resource, newest first.
	History(ctx context.Context, r HistoryRange) (Page, error)
	// Changes yields committed versions after the given position in commit
	// order, gapless, and ends at the last position below which nothing can
	// still commit. Only durable changes are yielded.
	Changes(ctx context.Context, after Seq) iter.Seq2[Change, error]
	// Stamp returns the next lastUpdated, strictly above every stamp handed
	// out before, also across restarts.
	Stamp(ctx context.Context) (Stamp, error)
}

// Feeder is implemented by engines whose change feed can be entered at a time
// and read backwards.
type Feeder interface {
	// Since returns a position such that every version with Updated >= at lies
	// after it. Earlier versions may lie after it too.
	Since(ctx context.Context, at Stamp) (Seq, error)
	// ChangesBefore yields what Changes yields, from below the given position
	// down to the first. The empty position means the end of the feed.
	ChangesBefore(ctx context.Context, before Seq) iter.Seq2[Change, error]
}

// Wanted names a version of a record; version zero is the current one.
type Wanted struct {
	Key     Key
	Version Version
}

// Gatherer is implemented by engines to which each call is a round trip.
type Gatherer interface {
	// Gather returns what Get and GetVersion return for each, in order. What is not
	// found is a record with version zero. Bytes that fail their checksum fail the
	// whole.
	Gather(ctx context.Context, wanted []Wanted) ([]Record, error)
}

// Purger is implemented by engines that can physically remove an owner's
// records with all versions, tokens and tombstones (erasure).
type Purger interface {
	// PurgeOwner removes up to limit records of the owner in one durable
	// commit and reports how many versions it removed and whether none is
	// left. It is idempotent and may be repeated after a crash.
	PurgeOwner(ctx context.Context, o Owner, limit int) (removed int, done bool, err error)
}

// Census is implemented by engines that can tell cheaply whether any record of
// an owner is stored.
type Census interface {
	// HoldsOwner reports whether any version of any resource has the owner,
	// past versions and tombstones included.
	HoldsOwner(ctx context.Context, o Owner) (bool, error)
}

// Counter is implemented by engines that can count matches without reading
// records.
type Counter interface {
	// Count returns how many records match the query, whose After and Limit it
	// ignores, and stops when it has counted up to most, which is positive.
	Count(ctx context.Context, q Query, most int) (int, error)
	// Estimate returns about how many records carry one of the tokens, from
	// at most a few hundred index entries: small numbers are exact, and an
	// engine need not tell large ones apart.
	Estimate(ctx context.Context, resourceType string, anyOf []Token) (int, error)
}

// Retoken gives the current version of a record other tokens.
type Retoken struct {
	Key     Key
	Version Version // the current version, else the entry is skipped
	Tokens  []Token
}

// Indexer is implemented by engines that can rebuild an index without a new
// version.
type Indexer interface {
	// Retoken replaces tokens in one durable commit and reports how many
	// records it changed. Records that changed meanwhile are skipped: their
	// writer made the tokens. It makes no change in the feed. A key may stand
	// in the list only once.
	Retoken(ctx context.Context, rs []Retoken) (int, error)
}

// Row is one entry of a Table.
type Row struct {
	Key, Value []byte
	Revision   uint64
}

// Table is a small compare-and-set map for everything that is not a resource:
// keystore entries, tokens, policy pointer, progress of long jobs. Writes are
// on stable storage when they return.
type Table interface {
	// Get returns the row or ErrNotFound.
	Get(ctx context.Context, key []byte) (Row, error)
	// PutIf stores value when the row has the given revision; revision zero
	// means the row must not exist. It returns the new revision or
	// ErrConflict.
	PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error)
	// DeleteIf removes the row when it has the given revision, else
	// ErrConflict; ErrNotFound when there is none. The deleted value is
	// physically gone from the live files when DeleteIf returns as far as the
	// engine can promise it (see the engine's documentation).
	DeleteIf(ctx context.Context, key []byte, revision uint64) error
	// Scan yields the rows whose key has the prefix, in byte order.
	Scan(ctx context.Context, prefix []byte) iter.Seq2[Row, error]
}
