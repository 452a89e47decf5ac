package mongostore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/fieldseal/fieldseal/repository"
)

// States of a record.
const (
	live    = 0
	deleted = 1 // a tombstone
	hollow  = 2 // its version was purged while others remain in history
)

// document is a current or past version. Only a live current version has
// tokens.
type document struct {
	ID      []byte  `bson:"_id"`
	Version int64   `bson:"v"`
	State   int32   `bson:"s"`
	Updated int64   `bson:"u"`
	Owner   []byte  `bson:"o,omitempty"`
	Seq     int64   `bson:"q,omitempty"` // position in the feed; a hollow key has none
	Tokens  []int64 `bson:"k,omitempty"`
	Body    []byte  `bson:"b,omitempty"`
	Sum     int64   `bson:"x"` // CRC-32C of everything above but the tokens
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum finds accidental damage; malicious change is found by the field cipher
// above. It does not depend on where the version is kept.
func (d *document) sum() int64 {
	k, _ := keyOf(d.ID)
	head := appendRecordID(make([]byte, 0, 96), k)
	for _, n := range [...]uint64{uint64(d.Version), uint64(d.State), uint64(d.Updated), uint64(d.Seq)} {
		head = binary.BigEndian.AppendUint64(head, n)
	}
	head = append(head, d.Owner...)
	return int64(crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, d.Body))
}

// newDocument is the current version that a write makes.
func newDocument(w *repository.Write, seq int64) document {
	r := &w.Record
	d := document{
		ID:      recordID(r.Key),
		Version: int64(r.Version),
		Updated: int64(r.Updated),
		Owner:   slices.Clone(r.Owner[:]),
		Seq:     seq,
		Body:    r.Body,
	}
	if r.Deleted {
		d.State = deleted
	} else {
		d.Tokens = tokens(r.Tokens)
	}
	d.Sum = d.sum()
	return d
}

// tokens are ascending and without repetition.
func tokens(ts []repository.Token) []int64 {
	if len(ts) == 0 {
		return nil
	}
	out := make([]int64, len(ts))
	for i, t := range ts {
		out[i] = int64(t)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// past is the document of the history that a current version becomes.
func (d document) past() document {
	k, _ := keyOf(d.ID)
	d.ID, d.Tokens = versionID(k, repository.Version(d.Version)), nil
	return d
}

// record checks a document and returns it as the contract's record.
func (d *document) record() (repository.Record, error) {
	k, ok := keyOf(d.ID)
	if !ok || len(d.Owner) != len(repository.Owner{}) || d.Sum != d.sum() {
		return repository.Record{}, fmt.Errorf("%w: a record fails its checksum", repository.ErrCorrupt)
	}
	return repository.Record{
		Key:     k,
		Version: repository.Version(d.Version),
		Updated: repository.Stamp(d.Updated),
		Deleted: d.State == deleted,
		Owner:   repository.Owner(d.Owner),
		Body:    d.Body,
	}, nil
}
