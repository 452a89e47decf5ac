package mongostore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// Table opens a table by name, a short word of ours. Each is a collection.
// Deleted values are gone from the collection at once; MongoDB keeps them in
// its log (oplog, journal) until that is overwritten.
func (s *Store) Table(name string) repository.Table {
	return &table{s.gate, s.db.Collection(tablePrefix + name)}
}

type table struct {
	gate *gate
	rows *mongo.Collection
}

// row is a document of a table. Keys are hexadecimal, since MongoDB orders
// binary values by length and strings by their bytes.
type row struct {
	Key      string `bson:"_id"`
	Value    []byte `bson:"b"`
	Revision int64  `bson:"r"`
}

func (r *row) row() (repository.Row, error) {
	key, err := hex.DecodeString(r.Key)
	if err != nil || r.Revision <= 0 {
		return repository.Row{}, fmt.Errorf("%w: a malformed row", repository.ErrCorrupt)
	}
	return repository.Row{Key: key, Value: r.Value, Revision: uint64(r.Revision)}, nil
}

func newRow(key, value []byte) row {
	return row{Key: hex.EncodeToString(key), Value: append([]byte{}, value...), Revision: newRevision()}
}

// newRevision is random, so that a row that is made again after its deletion
// never has a revision of its first life.
func newRevision() int64 {
	var b [8]byte
	rand.Read(b[:])
	return int64(binary.BigEndian.Uint64(b[:])>>2) + 1
}

// Get implements repository.Table.
func (t *table) Get(ctx context.Context, key []byte) (repository.Row, error) {
	if err := t.gate.pass(ctx); err != nil {
		return repository.Row{}, err
	}
	var r row
	err := t.rows.FindOne(ctx, bson.D{{Key: fieldID, Value: hex.EncodeToString(key)}}).Decode(&r)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return repository.Row{}, fmt.Errorf("reading row: %w", repository.ErrNotFound)
	}
	if err != nil {
		return repository.Row{}, storeError(ctx, "reading row", err)
	}
	return r.row()
}

// PutIf implements repository.Table with one command, which carries the
// condition.
func (t *table) PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error) {
	if err := t.gate.pass(ctx); err != nil {
		return 0, err
	}
	next := newRow(key, value)
	if revision == 0 {
		_, err := t.rows.InsertOne(ctx, &next)
		if isDuplicate(err) {
			return 0, fmt.Errorf("writing row: %w", repository.ErrConflict)
		}
		return uint64(next.Revision), storeError(ctx, "writing row", err)
	}
	res, err := t.rows.ReplaceOne(ctx, bson.D{
		{Key: fieldID, Value: next.Key}, {Key: fieldRevision, Value: int64(revision)},
	}, &next, options.Replace().SetHint(idIndex))
	if err != nil {
		return 0, storeError(ctx, "writing row", err)
	}
	if res.MatchedCount == 0 {
		return 0, fmt.Errorf("writing row: %w", repository.ErrConflict)
	}
	return uint64(next.Revision), nil
}

// DeleteIf implements repository.Table.
func (t *table) DeleteIf(ctx context.Context, key []byte, revision uint64) error {
	if err := t.gate.pass(ctx); err != nil {
		return err
	}
	id := hex.EncodeToString(key)
	res, err := t.rows.DeleteOne(ctx, bson.D{{Key: fieldID, Value: id}, {Key: fieldRevision, Value: int64(revision)}},
		options.DeleteOne().SetHint(idIndex))
	if err != nil {
		return storeError(ctx, "deleting row", err)
	}
	if res.DeletedCount > 0 {
		return nil
	}
	if _, err := t.Get(ctx, key); err != nil {
		return err
	}
	return fmt.Errorf("deleting row: %w", repository.ErrConflict)
}

// scanChunk is how many rows a scan reads at once; between chunks nothing is
// open on the server.
const scanChunk = 256

// Scan implements repository.Table.
func (t *table) Scan(ctx context.Context, prefix []byte) iter.Seq2[repository.Row, error] {
	return func(yield func(repository.Row, error) bool) {
		low := hex.EncodeToString(prefix)
		high, from := low+"g", "$gte" // g follows every hexadecimal digit
		for {
			rows, err := t.chunk(ctx, bson.D{{Key: from, Value: low}, {Key: "$lt", Value: high}})
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(repository.Row{}, err)
				return
			}
			if len(rows) < scanChunk {
				return
			}
			low, from = hex.EncodeToString(rows[len(rows)-1].Key), "$gt"
		}
	}
}

func (t *table) chunk(ctx context.Context, keys bson.D) (out []repository.Row, err error) {
	if err := t.gate.pass(ctx); err != nil {
		return nil, err
	}
	cur, err := t.rows.Find(ctx, bson.D{{Key: fieldID, Value: keys}},
		atOnce(scanChunk).SetHint(idIndex).SetSort(bson.D{{Key: fieldID, Value: 1}}))
	if err != nil {
		return nil, storeError(ctx, "scanning rows", err)
	}
	defer cur.Close(ctx)
	for cur.Next(ctx) {
		var r row
		if err := cur.Decode(&r); err != nil {
			return out, fmt.Errorf("%w: a malformed row", repository.ErrCorrupt)
		}
		one, err := r.row()
		if err != nil {
			return out, err
		}
		out = append(out, one)
	}
	return out, storeError(ctx, "scanning rows", cur.Err())
}
