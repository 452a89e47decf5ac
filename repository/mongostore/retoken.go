package mongostore

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/fieldseal/fieldseal/repository"
)

// Retoken implements repository.Indexer in one transaction. A key may stand in
// the list once.
func (s *Store) Retoken(ctx context.Context, rs []repository.Retoken) (int, error) {
	if err := errors.Join(s.validateRetokens(rs), s.gate.pass(ctx)); err != nil || len(rs) == 0 {
		return 0, err
	}
	models := make([]mongo.WriteModel, len(rs))
	for i, r := range rs {
		change := bson.D{{Key: "$unset", Value: bson.D{{Key: fieldTokens, Value: ""}}}}
		if len(r.Tokens) > 0 {
			change = bson.D{{Key: "$set", Value: bson.D{{Key: fieldTokens, Value: tokens(r.Tokens)}}}}
		}
		models[i] = mongo.NewUpdateOneModel().SetUpdate(change).SetHint(idIndex).SetFilter(bson.D{
			{Key: fieldID, Value: recordID(r.Key)}, {Key: fieldVersion, Value: int64(r.Version)}, {Key: fieldState, Value: live},
		})
	}
	var changed int64
	err := s.transact(ctx, func(ctx context.Context) error {
		res, err := s.records.BulkWrite(ctx, models)
		if err == nil {
			changed = res.MatchedCount
		}
		return err
	})
	return int(changed), storeError(ctx, "replacing tokens", err)
}

func (s *Store) validateRetokens(rs []repository.Retoken) error {
	seen, size := make(map[repository.Key]struct{}, len(rs)), 0
	for i := range rs {
		if _, twice := seen[rs[i].Key]; twice {
			return errors.New("replacing tokens: a key stands in the list twice")
		}
		seen[rs[i].Key] = struct{}{}
		size += perWrite + perToken*len(rs[i].Tokens)
	}
	if size > s.opts.MaxBatch {
		return fmt.Errorf("replacing tokens: %w of %d bytes", repository.ErrTooLarge, s.opts.MaxBatch)
	}
	return nil
}
