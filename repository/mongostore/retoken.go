package mongostore

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/fieldseal/fieldseal/repository"
)

// Retoken implements repository.Indexer in one transaction.
func (s *Store) Retoken(ctx context.Context, rs []repository.Retoken) (int, error) {
	if err := ctx.Err(); err != nil || len(rs) == 0 {
		return 0, err
	}
	models := make([]mongo.WriteModel, len(rs))
	for i, r := range rs {
		change := bson.D{{Key: "$unset", Value: bson.D{{Key: fieldTokens, Value: ""}}}}
		if len(r.Tokens) > 0 {
			change = bson.D{{Key: "$set", Value: bson.D{{Key: fieldTokens, Value: tokens(r.Tokens)}}}}
		}
		models[i] = mongo.NewUpdateOneModel().SetUpdate(change).SetFilter(bson.D{
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
