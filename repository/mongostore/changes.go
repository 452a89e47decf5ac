package mongostore

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/fieldseal/fieldseal/repository"
)

// chunk is how many changes one round of reading returns.
const chunk = 1000

// Changes implements repository.Store. Entries of purged versions are gone;
// no others are ever missing: a position is given in the transaction that
// commits its version, and none is given while that transaction is open.
func (s *Store) Changes(ctx context.Context, after repository.Seq) iter.Seq2[repository.Change, error] {
	return func(yield func(repository.Change, error) bool) {
		from, err := parseSeq(after)
		for err == nil {
			var changes []repository.Change
			var more bool
			changes, from, more, err = s.changesChunk(ctx, from)
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
			if err == nil && !more {
				return
			}
		}
		yield(repository.Change{}, err)
	}
}

// changesChunk reads the changes behind a position up to the end of the feed
// at this moment. Current versions are read first: a write in between can only
// move one to history, which is read next.
func (s *Store) changesChunk(ctx context.Context, after int64) (out []repository.Change, end int64, more bool, err error) {
	if end, err = s.feedEnd(ctx); err != nil || end <= after {
		return nil, after, false, err
	}
	for _, c := range []*mongo.Collection{s.records, s.versions} {
		found, err := s.positions(ctx, c, positionsAbove(after, end))
		if err != nil {
			return nil, after, false, err
		}
		if len(found) == chunk { // there may be more: nothing behind it is complete
			end, more = min(end, seqOf(found[chunk-1])), true
		}
		out = append(out, found...)
	}
	limit := repository.Uint64Seq(uint64(end))
	out = slices.DeleteFunc(inOrder(out), func(c repository.Change) bool { return c.Seq > limit })
	return out, end, more, nil
}

// inOrder sorts by position. What was met in both collections stays once.
func inOrder(cs []repository.Change) []repository.Change {
	slices.SortFunc(cs, func(a, b repository.Change) int { return cmp.Compare(a.Seq, b.Seq) })
	return slices.CompactFunc(cs, func(a, b repository.Change) bool { return a.Seq == b.Seq })
}

func seqOf(c repository.Change) int64 {
	n, _ := parseSeq(c.Seq)
	return n
}

// feedEnd is the highest position that is committed.
func (s *Store) feedEnd(ctx context.Context) (int64, error) {
	if err := s.gate.pass(ctx); err != nil {
		return 0, err
	}
	var c counter
	err := s.meta.FindOne(ctx, bson.D{{Key: fieldID, Value: metaFeed}}).Decode(&c)
	return c.N, storeError(ctx, "reading the end of the feed", err)
}

// stretch is a part of the feed, in one direction.
type stretch struct {
	filter bson.D
	sort   bson.D
}

func positionsAbove(after, end int64) stretch {
	return stretch{bson.D{{Key: fieldSeq, Value: bson.D{{Key: "$gt", Value: after}, {Key: "$lte", Value: end}}}},
		bson.D{{Key: fieldSeq, Value: 1}}}
}

func positionsBelow(to int64) stretch {
	return stretch{bson.D{{Key: fieldSeq, Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lt", Value: to}}}},
		bson.D{{Key: fieldSeq, Value: -1}}}
}

// positions reads a chunk of a stretch from one collection.
func (s *Store) positions(ctx context.Context, in *mongo.Collection, part stretch) ([]repository.Change, error) {
	cur, err := in.Find(ctx, part.filter, atOnce(chunk).SetSort(part.sort).SetHint(feedIndex).
		SetProjection(bson.D{{Key: fieldTokens, Value: 0}, {Key: fieldBody, Value: 0}}))
	if err != nil {
		return nil, storeError(ctx, "reading changes", err)
	}
	defer cur.Close(ctx)
	var out []repository.Change
	for cur.Next(ctx) {
		var d document
		err := cur.Decode(&d)
		k, ok := keyOf(d.ID)
		if err != nil || !ok || len(d.Owner) != len(repository.Owner{}) {
			return nil, fmt.Errorf("%w: a malformed entry of the feed", repository.ErrCorrupt)
		}
		out = append(out, repository.Change{
			Seq:     repository.Uint64Seq(uint64(d.Seq)),
			Key:     k,
			Version: repository.Version(d.Version),
			Updated: repository.Stamp(d.Updated),
			Deleted: d.State == deleted,
			Owner:   repository.Owner(d.Owner),
		})
	}
	return out, storeError(ctx, "reading changes", cur.Err())
}
