package mongostore

import (
	"bytes"
	"encoding/binary"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fieldseal/fieldseal/repository"
)

// Collections. Names of tables follow tablePrefix.
const (
	recordsName   = "records"   // current versions, tombstones and hollow keys
	versionsName  = "versions"  // past versions
	guardsName    = "guards"    // revision counters
	milepostsName = "mileposts" // latest times up to positions of the feed
	metaName      = "meta"      // format, feed counter, highest stamp
	tablePrefix   = "table."
)

// Indexes, by which every query names the one that it uses.
const (
	idIndex      = "_id_"
	tokenIndex   = "token"
	ownerIndex   = "owner"
	updatedIndex = "updated"
	feedIndex    = "feed"
)

// Documents of the meta collection.
const (
	metaFormat = "format"
	metaFeed   = "feed"
	metaStamp  = "stamp"
)

// Fields of records and versions. They are short because every document holds
// them.
const (
	fieldID      = "_id"
	fieldVersion = "v"
	fieldState   = "s"
	fieldUpdated = "u"
	fieldOwner   = "o"
	fieldSeq     = "q"
	fieldTokens  = "k"
	fieldBody    = "b"
	fieldSum     = "x"
)

const (
	idBytes      = len(repository.StorageID{})
	versionBytes = 8
)

// The `_id` of a record is its type, a zero byte and its storage id; that of a
// past version has the version behind it, big-endian. MongoDB orders binary
// values by length first, so that ranges are made of ids of one length only.

func appendRecordID(dst []byte, k repository.Key) []byte {
	return append(append(append(dst, k.Type...), 0), k.ID[:]...)
}

func recordID(k repository.Key) []byte { return appendRecordID(nil, k) }

func versionID(k repository.Key, v repository.Version) []byte {
	return binary.BigEndian.AppendUint64(appendRecordID(nil, k), uint64(v))
}

// keyOf reads the `_id` of a record or version.
func keyOf(id []byte) (k repository.Key, ok bool) {
	n := bytes.IndexByte(id, 0)
	if n <= 0 || len(id) < n+1+idBytes {
		return k, false
	}
	k.Type = string(id[:n])
	copy(k.ID[:], id[n+1:])
	return k, true
}

// typeRange selects the records of a type behind a position.
func typeRange(resourceType string, after *repository.StorageID) bson.D {
	low, high := repository.Key{Type: resourceType}, repository.Key{Type: resourceType}
	for i := range high.ID {
		high.ID[i] = 0xff
	}
	from := "$gte"
	if after != nil {
		low.ID, from = *after, "$gt"
	}
	return bson.D{{Key: from, Value: recordID(low)}, {Key: "$lte", Value: recordID(high)}}
}

// historyRange selects the past versions of one resource below a version.
func historyRange(k repository.Key, below repository.Version) bson.D {
	return bson.D{{Key: "$gte", Value: versionID(k, 0)}, {Key: "$lt", Value: versionID(k, below)}}
}

func parsePosition(c repository.Cursor) (*repository.StorageID, error) {
	if c == "" {
		return nil, nil
	}
	if len(c) != idBytes {
		return nil, repository.ErrPosition
	}
	id := repository.StorageID([]byte(c))
	return &id, nil
}

func parseBelow(c repository.Cursor) (repository.Version, error) {
	switch len(c) {
	case 0:
		return ^repository.Version(0), nil
	case versionBytes:
		if v := binary.BigEndian.Uint64([]byte(c)); v > 0 {
			return repository.Version(v), nil
		}
	}
	return 0, repository.ErrPosition
}

func parseSeq(s repository.Seq) (int64, error) {
	switch len(s) {
	case 0:
		return 0, nil
	case 8:
		if n := binary.BigEndian.Uint64([]byte(s)); n < 1<<63 {
			return int64(n), nil
		}
	}
	return 0, repository.ErrPosition
}

func checkLimit(limit int) error {
	if limit <= 0 {
		return errors.New("limit must be positive")
	}
	return nil
}
