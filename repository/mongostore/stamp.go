package mongostore

import (
	"context"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// lease is how far ahead, in microseconds, a node reserves stamps. What it did
// not use when it ends is lost, which only lets the next start wait less long
// than this on its clock.
const lease = 1_000_000

// clock hands out stamps: the time of day, but always above the last one and
// above what any node had reserved when this one started. A stamp is handed
// out only below a mark that is on stable storage.
type clock struct {
	mu    sync.Mutex
	last  int64
	limit int64
}

func (s *Store) startClock(ctx context.Context) error {
	var mark struct {
		Hi int64 `bson:"hi"`
	}
	if err := s.meta.FindOne(ctx, bson.D{{Key: fieldID, Value: metaStamp}}).Decode(&mark); err != nil {
		return storeError(ctx, "reading the highest stamp", err)
	}
	s.clock.last, s.clock.limit = mark.Hi, mark.Hi
	return nil
}

// Stamp implements repository.Store. Stamps of one node strictly increase, and
// one that is taken after a commit of this node lies above the times of all that
// was committed before, by any node.
func (s *Store) Stamp(ctx context.Context) (repository.Stamp, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	c := &s.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	next := max(s.opts.Now().UnixMicro(), c.last+1)
	if next > c.limit {
		if err := s.gate.pass(ctx); err != nil { // whoever had to wait here asks anew
			return 0, err
		}
		limit := next + lease
		_, err := s.meta.UpdateByID(ctx, metaStamp,
			bson.D{{Key: "$max", Value: bson.D{{Key: "hi", Value: limit}}}}, options.UpdateOne().SetUpsert(true))
		if err != nil {
			return 0, storeError(ctx, "reserving stamps", err)
		}
		c.limit = limit
	}
	c.last = next
	return repository.Stamp(next), nil
}

// saw lifts the clock above a stamp that another node handed out.
func (c *clock) saw(t int64) {
	c.mu.Lock()
	c.last = max(c.last, t)
	c.mu.Unlock()
}
