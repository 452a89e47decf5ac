package mongostore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

func notFound(k repository.Key) error {
	return fmt.Errorf("reading %v: %w", k, repository.ErrNotFound)
}

// withoutTokens leaves out what no reader needs.
var withoutTokens = bson.D{{Key: fieldTokens, Value: 0}}

// Get implements repository.Store: one round trip, by _id alone, which servers
// answer on a path of its own.
func (s *Store) Get(ctx context.Context, k repository.Key) (repository.Record, error) {
	return s.one(ctx, s.records, k, bson.D{{Key: fieldID, Value: recordID(k)}}, options.FindOne())
}

// GetVersion implements repository.Store. The current version is read first: a
// write in between can only have moved it to history.
func (s *Store) GetVersion(ctx context.Context, k repository.Key, v repository.Version) (repository.Record, error) {
	r, err := s.one(ctx, s.records, k, bson.D{
		{Key: fieldID, Value: recordID(k)}, {Key: fieldVersion, Value: int64(v)},
	}, options.FindOne().SetHint(idIndex))
	if errors.Is(err, repository.ErrNotFound) {
		return s.one(ctx, s.versions, k, bson.D{{Key: fieldID, Value: versionID(k, v)}}, options.FindOne())
	}
	return r, err
}

func (s *Store) one(ctx context.Context, in *mongo.Collection, k repository.Key, filter bson.D, o *options.FindOneOptionsBuilder) (repository.Record, error) {
	if err := s.gate.pass(ctx); err != nil {
		return repository.Record{}, err
	}
	var d document
	err := in.FindOne(ctx, filter, o.SetProjection(withoutTokens)).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) || err == nil && d.State == hollow {
		return repository.Record{}, notFound(k)
	}
	if err != nil {
		return repository.Record{}, storeError(ctx, "reading", err)
	}
	r, err := d.record()
	if err != nil {
		return repository.Record{}, fmt.Errorf("reading %v: %w", k, err)
	}
	return r, nil
}

// History implements repository.Store. A cursor is the lowest version already
// returned.
func (s *Store) History(ctx context.Context, q repository.HistoryRange) (page repository.Page, err error) {
	below, err := parseBelow(q.After)
	if err := errors.Join(err, checkLimit(q.Limit), s.gate.pass(ctx)); err != nil {
		return page, err
	}
	now, err := s.Get(ctx, q.Key)
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return page, err
	}
	if err == nil && now.Version < below {
		page.Records = append(page.Records, now)
		below = now.Version
	}
	past, err := s.list(ctx, s.versions, bson.D{{Key: fieldID, Value: historyRange(q.Key, below)}},
		atOnce(q.Limit+1-len(page.Records)).SetHint(idIndex).SetSort(bson.D{{Key: fieldID, Value: -1}}))
	if err != nil {
		return repository.Page{}, err
	}
	page.Records = append(page.Records, past...)
	if len(page.Records) > q.Limit {
		page.Records = page.Records[:q.Limit]
		last := uint64(page.Records[q.Limit-1].Version)
		page.Next = repository.Cursor(binary.BigEndian.AppendUint64(nil, last))
	}
	return page, nil
}

// atOnce asks for up to limit documents in one reply, as far as a reply of
// 16 MiB holds them. Without a size the first reply ends at 101.
func atOnce(limit int) *options.FindOptionsBuilder {
	return options.Find().SetLimit(int64(limit)).SetBatchSize(int32(min(limit, math.MaxInt32-1)) + 1)
}

// list reads all documents of a query that has a limit.
func (s *Store) list(ctx context.Context, in *mongo.Collection, filter bson.D, o *options.FindOptionsBuilder) ([]repository.Record, error) {
	cur, err := in.Find(ctx, filter, o.SetProjection(withoutTokens))
	if err != nil {
		return nil, storeError(ctx, "reading", err)
	}
	defer cur.Close(ctx)
	var out []repository.Record
	for cur.Next(ctx) {
		var d document
		if err := cur.Decode(&d); err != nil {
			return nil, fmt.Errorf("%w: a malformed document", repository.ErrCorrupt)
		}
		r, err := d.record()
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, storeError(ctx, "reading", cur.Err())
}
