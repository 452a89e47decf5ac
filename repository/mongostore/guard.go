package mongostore

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/fieldseal/fieldseal/repository"
)

// fieldRevision is the revision of a guard or of a row.
const fieldRevision = "r"

// stripe folds a token onto one of 65,536 counters: the collection stays small,
// and two that share one conflict needlessly about once in as many pairs.
func stripe(t repository.Token) int32 {
	h := uint64(t) * 0x9E3779B97F4A7C15 // tokens are random, but need not be
	return int32(h >> 48)
}

// Guards implements repository.Store. A counter that was never written counts
// as zero.
func (s *Store) Guards(ctx context.Context, ts []repository.Token) ([]repository.Guard, error) {
	if err := s.gate.pass(ctx); err != nil {
		return nil, err
	}
	revisions, err := s.revisions(ctx, ts)
	if err != nil {
		return nil, err
	}
	gs := make([]repository.Guard, len(ts))
	for i, t := range ts {
		gs[i] = repository.Guard{Token: t, Revision: uint64(revisions[stripe(t)])}
	}
	return gs, nil
}

func (s *Store) revisions(ctx context.Context, ts []repository.Token) (map[int32]int64, error) {
	ids := make([]int32, 0, len(ts))
	for _, t := range ts {
		ids = append(ids, stripe(t))
	}
	out := make(map[int32]int64, len(ids))
	if len(ids) == 0 {
		return out, nil
	}
	cur, err := s.guards.Find(ctx, bson.D{{Key: fieldID, Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		return nil, storeError(ctx, "reading guards", err)
	}
	defer cur.Close(ctx)
	for cur.Next(ctx) {
		var g struct {
			ID int32 `bson:"_id"`
			R  int64 `bson:"r"`
		}
		if err := cur.Decode(&g); err != nil {
			return nil, fmt.Errorf("%w: a malformed guard", repository.ErrCorrupt)
		}
		out[g.ID] = g.R
	}
	return out, storeError(ctx, "reading guards", cur.Err())
}

// guardWrite raises a counter. It also does when the transaction only relies
// on it, so that two that rely on one counter conflict. A revision that a batch
// relies on is named by the write itself.
func guardWrite(id int32, by int64, relied bool, revision int64) mongo.WriteModel {
	filter := bson.D{{Key: fieldID, Value: id}}
	if relied && revision > 0 {
		filter = append(filter, bson.E{Key: fieldRevision, Value: revision})
	} else if relied {
		filter = append(filter, bson.E{Key: fieldRevision, Value: bson.D{{Key: "$in", Value: bson.A{nil, int64(0)}}}})
	}
	return mongo.NewUpdateOneModel().SetFilter(filter).SetUpsert(!relied || revision == 0).
		SetHint(idIndex).SetUpdate(bson.D{{Key: "$inc", Value: bson.D{{Key: fieldRevision, Value: by}}}})
}
