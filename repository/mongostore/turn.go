package mongostore

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// errBusy means that another node's transaction has the counter of the feed.
var errBusy = errors.New("another transaction has the counter")

// busy recognises what a server says then. The driver would begin the
// transaction again after pauses that grow up to half a second, while a node
// with much to do leaves the counter free for less than a millisecond between
// its transactions: the other would starve.
func busy(err error) error {
	var se mongo.ServerError
	if errors.As(err, &se) && se.HasErrorCode(codeWriteConflict) {
		return errBusy
	}
	return err
}

// wait is a write to the counter outside of transactions. A server lets such a
// write wait until the transaction that has the document ends, and it leaves a
// trace by which the other node knows that somebody waits.
func (s *Store) wait(ctx context.Context) error {
	_, err := s.meta.UpdateByID(ctx, metaFeed, bson.D{{Key: "$inc", Value: bson.D{{Key: fieldWaits, Value: int64(1)}}}},
		options.UpdateOne().SetHint(idIndex))
	return err
}

// manners tells a node when to let others go first.
type manners struct {
	mu       sync.Mutex
	waits    int64 // as last seen
	began    bool
	lastSeen time.Time
}

// Bounds of a pause, which is as long as the transaction before it took, and
// how long a node goes on with pauses after it last saw that somebody waits.
const (
	shortPause = 2 * time.Millisecond
	longPause  = 50 * time.Millisecond
	polite     = time.Second
)

// saw is told how often anybody has waited so far.
func (m *manners) saw(waits int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.began && waits != m.waits {
		m.lastSeen = time.Now()
	}
	m.began, m.waits = true, waits
}

// pause is how long to wait after a transaction. Requests that come meanwhile
// share the next one, so that little is lost.
func (m *manners) pause(took time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.lastSeen) > polite {
		return 0
	}
	return min(max(took, shortPause), longPause)
}
