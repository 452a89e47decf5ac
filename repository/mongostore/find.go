package mongostore

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// Find implements repository.Store. Records come in the order of their keys;
// a cursor is the storage id of the last one.
func (s *Store) Find(ctx context.Context, q repository.Query) (page repository.Page, err error) {
	after, err := parsePosition(q.After)
	if err := errors.Join(err, checkLimit(q.Limit), s.gate.pass(ctx)); err != nil {
		return page, err
	}
	filter, index, possible := selection(&q, after)
	if !possible {
		return page, nil
	}
	o := atOnce(q.Limit + 1).SetSort(bson.D{{Key: fieldID, Value: 1}}).SetAllowDiskUse(true).SetHint(index)
	if page.Records, err = s.list(ctx, s.records, filter, o); err != nil {
		return repository.Page{}, err
	}
	page.Read = len(page.Records)
	for i := range page.Records {
		r := &page.Records[i]
		r.Position = repository.Cursor(r.Key.ID[:])
	}
	if len(page.Records) > q.Limit {
		page.Records = page.Records[:q.Limit]
		page.Next = page.Records[q.Limit-1].Position
	}
	return page, nil
}

// selection is the filter of a query and the index that it must use; some
// queries can match nothing. Several conditions on the tokens are an $and: the
// server takes one of them as the bounds of the index and compares the others.
func selection(q *repository.Query, after *repository.StorageID) (filter bson.D, index string, possible bool) {
	filter = bson.D{{Key: fieldID, Value: typeRange(q.Type, after)}, {Key: fieldState, Value: live}}
	index = idIndex
	if updated := window(q); len(updated) > 0 {
		index, filter = updatedIndex, append(filter, bson.E{Key: fieldUpdated, Value: updated})
	}
	if q.Owner != nil {
		index, filter = ownerIndex, append(filter, bson.E{Key: fieldOwner, Value: q.Owner[:]})
	}
	if len(q.All) > 0 {
		index = tokenIndex
	}
	and := bson.A{}
	for _, clause := range q.All {
		switch len(clause) {
		case 0:
			return nil, "", false
		case 1:
			and = append(and, bson.D{{Key: fieldTokens, Value: int64(clause[0])}})
		default:
			and = append(and, bson.D{{Key: fieldTokens, Value: bson.D{{Key: "$in", Value: tokens(clause)}}}})
		}
	}
	if len(and) > 0 {
		filter = append(filter, bson.E{Key: "$and", Value: and})
	}
	return filter, index, true
}

func window(q *repository.Query) (updated bson.D) {
	if q.Since != 0 {
		updated = append(updated, bson.E{Key: "$gte", Value: int64(q.Since)})
	}
	if q.Until != 0 {
		updated = append(updated, bson.E{Key: "$lt", Value: int64(q.Until)})
	}
	return updated
}

// Count implements repository.Counter.
func (s *Store) Count(ctx context.Context, q repository.Query, most int) (int, error) {
	if err := errors.Join(checkLimit(most), s.gate.pass(ctx)); err != nil {
		return 0, err
	}
	filter, index, possible := selection(&q, nil)
	if !possible {
		return 0, nil
	}
	n, err := s.records.CountDocuments(ctx, filter, options.Count().SetLimit(int64(most)).SetHint(index))
	return int(n), storeError(ctx, "counting", err)
}

// estimateMost bounds what Estimate looks at.
const estimateMost = 300

// Estimate implements repository.Counter: what has more than a few hundred
// entries is as unselective as the next one.
func (s *Store) Estimate(ctx context.Context, resourceType string, anyOf []repository.Token) (int, error) {
	return s.Count(ctx, repository.Query{Type: resourceType, All: [][]repository.Token{anyOf}}, estimateMost)
}

// HoldsOwner implements repository.Census.
func (s *Store) HoldsOwner(ctx context.Context, o repository.Owner) (bool, error) {
	if err := s.gate.pass(ctx); err != nil {
		return false, err
	}
	for _, c := range []*mongo.Collection{s.records, s.versions} {
		err := c.FindOne(ctx, bson.D{{Key: fieldOwner, Value: o[:]}}, options.FindOne().
			SetHint(ownerIndex).SetProjection(bson.D{{Key: fieldID, Value: 1}})).Err()
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return false, storeError(ctx, "reading owners", err)
		}
	}
	return false, nil
}
