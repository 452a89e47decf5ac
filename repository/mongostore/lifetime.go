package mongostore

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

const lifetimeName = "transactionLifetimeLimitSeconds"

// longLifetime is from which lifetime of a transaction Open gives advice.
const longLifetime = 20 * time.Second

// checkLifetime advises to lower how long the server lets a transaction be open
// whose node is gone: it holds up the commits of all. A client cannot ask for
// less. Routers do not tell it, and a server tells only users that may ask; then
// there is no advice.
func (s *Store) checkLifetime(ctx context.Context) error {
	var got struct {
		Seconds int64 `bson:"transactionLifetimeLimitSeconds"`
	}
	err := s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "getParameter", Value: 1}, {Key: lifetimeName, Value: 1}}).Decode(&got)
	if advice := lifetimeAdvice(time.Duration(got.Seconds) * time.Second); err == nil && advice != "" {
		s.opts.Advise(advice)
	}
	return ctx.Err()
}

func lifetimeAdvice(limit time.Duration) string {
	if limit <= longLifetime {
		return ""
	}
	return fmt.Sprintf("a node that dies in a commit holds up all others for up to %s, the server's %s; lower it to 10", limit, lifetimeName)
}
