package rest

import (
	"context"
	"sync"
)

// largeBudget bounds the bytes of large resources (beyond firstRead, or
// interaction.LargeRecord) that are received at once, and of those that are read
// at once. What is made of one on its way takes up to ten times its size.
const largeBudget = 64 << 20

func largeAtOnce(bodyBytes int) int { return max(1, largeBudget/max(1, bodyBytes)) }

// turn is one request's place among those that handle a large resource. It waits
// for it once.
type turn struct {
	slots chan struct{}
	mu    sync.Mutex
	taken bool
}

// Take waits for the place.
func (t *turn) Take(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken {
		return nil
	}
	select {
	case t.slots <- struct{}{}:
		t.taken = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Done gives the place back: when the answer has been sent, or when it is small.
func (t *turn) Done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken {
		t.taken = false
		<-t.slots
	}
}
