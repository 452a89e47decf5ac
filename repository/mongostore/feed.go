package mongostore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// maxLag is how far, in microseconds, a version's time may lie behind the
// latest one committed before it by any node: far above the time that a
// request may take from its stamp to its commit. Commit refuses what lags more,
// so that a position of the feed that is entered at a time is not far from it.
const maxLag = int64(15 * time.Minute / time.Microsecond)

// milepostEvery is how many positions lie between two mileposts. A transaction
// that passes a multiple of it leaves one: the latest time committed up to its
// last position.
const milepostEvery = 256

// milepost is a document of their collection. Both fields ascend together.
type milepost struct {
	Seq    int64 `bson:"_id"`
	Newest int64 `bson:"u"`
}

// counter is the document that gives the positions of the feed.
type counter struct {
	N      int64 `bson:"n"` // the highest position
	Newest int64 `bson:"u"` // the latest time committed
	Waits  int64 `bson:"w,omitempty"`
}

// fieldWaits of the counter is how often a node had to wait for another.
const fieldWaits = "w"

// newest is the latest committed time that this node knows of. It only rises,
// and is never above what the database has.
type newest struct{ atomic.Int64 }

func (n *newest) saw(t int64) {
	for {
		if known := n.Load(); t <= known || n.CompareAndSwap(known, t) {
			return
		}
	}
}

// lags refuses a batch with a write whose time lies too far back.
func (st *state) lags(b *repository.Batch) error {
	for i := range b.Writes {
		if int64(b.Writes[i].Record.Updated) < st.newest-maxLag {
			return fmt.Errorf("checking the time of a write: %w", repository.ErrConflict)
		}
	}
	return nil
}

// passed is told what the counter said. Other nodes may have committed later
// times than this one knew of: its clock is lifted above them, and if a write
// lags behind them, the group begins again and refuses it.
func (st *state) passed(s *Store, c counter) error {
	s.manners.saw(c.Waits)
	s.newest.saw(c.Newest)
	s.clock.saw(c.Newest)
	if st.oldest < c.Newest-maxLag {
		return errStale
	}
	st.seq, st.newest = c.N, max(st.newest, c.Newest)
	return nil
}

// writeMilepost is part of the transaction, so that no milepost can speak of
// versions that were not committed or leave out one that was.
func (st *state) writeMilepost(ctx context.Context, s *Store) error {
	last := st.seq + int64(st.accepted)
	if st.seq/milepostEvery == last/milepostEvery {
		return nil
	}
	_, err := s.mileposts.InsertOne(ctx, milepost{last, st.newest})
	return err
}

// lastMilepost is the query behind Since.
func lastMilepost(at repository.Stamp) (filter, sort bson.D, index string) {
	return bson.D{{Key: fieldUpdated, Value: bson.D{{Key: "$lt", Value: int64(at)}}}},
		bson.D{{Key: fieldUpdated, Value: -1}, {Key: fieldID, Value: -1}}, updatedIndex
}

// Since implements repository.Feeder with the last milepost up to which every
// time is below the given one: one round trip.
func (s *Store) Since(ctx context.Context, at repository.Stamp) (repository.Seq, error) {
	if err := s.gate.pass(ctx); err != nil {
		return "", err
	}
	filter, sort, index := lastMilepost(at)
	var m milepost
	err := s.mileposts.FindOne(ctx, filter, options.FindOne().SetSort(sort).SetHint(index)).Decode(&m)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return "", nil
	}
	if err != nil {
		return "", storeError(ctx, "entering the feed", err)
	}
	return repository.Uint64Seq(uint64(m.Seq)), nil
}

// ChangesBefore implements repository.Feeder. Chunks are read as by Changes.
func (s *Store) ChangesBefore(ctx context.Context, before repository.Seq) iter.Seq2[repository.Change, error] {
	return func(yield func(repository.Change, error) bool) {
		end, err := s.feedEnd(ctx)
		to, bad := parseSeq(before)
		if err = errors.Join(bad, err); before == "" || to > end {
			to = end + 1
		}
		for more := true; err == nil && more; {
			var changes []repository.Change
			changes, to, more, err = s.changesDown(ctx, to)
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(repository.Change{}, err)
		}
	}
}

// changesDown reads changes below a position, the latest first, and says where
// it ended.
func (s *Store) changesDown(ctx context.Context, to int64) (out []repository.Change, low int64, more bool, err error) {
	for _, c := range []*mongo.Collection{s.records, s.versions} {
		found, err := s.positions(ctx, c, positionsBelow(to))
		if err != nil {
			return nil, to, false, err
		}
		if len(found) == chunk { // there may be more: nothing below it is complete
			low, more = max(low, seqOf(found[chunk-1])), true
		}
		out = append(out, found...)
	}
	limit := repository.Uint64Seq(uint64(low))
	out = slices.DeleteFunc(inOrder(out), func(c repository.Change) bool { return c.Seq < limit })
	slices.Reverse(out)
	return out, low, more, nil
}

var _ repository.Feeder = (*Store)(nil)
