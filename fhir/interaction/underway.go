package interaction

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// settleLimit is how long a sorted search waits for writes that have their
// lastUpdated and are not committed: a write that hangs must not hold up
// searches.
const settleLimit = 2 * time.Second

// underway knows the writes of this process that have drawn their lastUpdated
// and have not ended. A stamp is drawn before the commit, so a time is only
// settled, with nothing below it still to come, when these have ended.
type underway struct {
	limit   time.Duration // of settle; zero is settleLimit
	mu      sync.Mutex
	open    map[repository.Stamp]struct{}
	ended   chan struct{} // closed when a write ends, nil while nobody waits
	waiting int
}

// taken are the stamps that one interaction has drawn.
type taken []repository.Stamp

// draw takes a stamp from the store for a write of the interaction.
func (u *underway) draw(ctx context.Context, store repository.Store, t *taken) (repository.Stamp, error) {
	u.mu.Lock() // a stamp is known before a later one is drawn
	defer u.mu.Unlock()
	at, err := store.Stamp(ctx)
	if err != nil {
		return 0, err
	}
	if u.open == nil {
		u.open = map[repository.Stamp]struct{}{}
	}
	u.open[at] = struct{}{}
	*t = append(*t, at)
	return at, nil
}

// end says that the interaction writes nothing any more under these stamps.
func (u *underway) end(t *taken) {
	if len(*t) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, at := range *t {
		delete(u.open, at)
	}
	*t = nil
	if u.ended != nil {
		close(u.ended)
		u.ended = nil
	}
}

// settle waits until no write below the stamp is under way, or the limit has
// passed.
func (u *underway) settle(ctx context.Context, below repository.Stamp) error {
	limit := time.NewTimer(cmp.Or(u.limit, settleLimit))
	defer limit.Stop()
	for {
		ended := u.unsettled(below)
		if ended == nil {
			return nil
		}
		u.wait(1)
		select {
		case <-ended:
			u.wait(-1)
		case <-limit.C:
			u.wait(-1)
			return nil
		case <-ctx.Done():
			u.wait(-1)
			return ctx.Err()
		}
	}
}

// unsettled is closed when a write ends; nil when none is below the stamp.
func (u *underway) unsettled(below repository.Stamp) <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	for at := range u.open {
		if at < below {
			if u.ended == nil {
				u.ended = make(chan struct{})
			}
			return u.ended
		}
	}
	return nil
}

func (u *underway) wait(n int) {
	u.mu.Lock()
	u.waiting += n
	u.mu.Unlock()
}
