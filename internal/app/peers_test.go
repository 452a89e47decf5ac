package app

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldseal/fieldseal/internal/node"
)

// busyPeers has the lease of other work until free.
type busyPeers struct {
	sole
	free time.Time
}

func (p busyPeers) Alone(ctx context.Context, _ string, work func(context.Context) error) error {
	if time.Now().Before(p.free) {
		return fmt.Errorf("%w on node n2", node.ErrBusy)
	}
	return work(ctx)
}

// TestCommandsWaitForTheirTurn: what another node does, or this one in its
// regular look at the index, is no reason to refuse an operator's command.
func TestCommandsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &App{peers: busyPeers{free: time.Now().Add(time.Minute)}}
		runs, failed := 0, errors.New("the work failed")
		work := func(context.Context) error { runs++; return failed }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.inTurn(ctx, workIndex, work); !errors.Is(err, context.DeadlineExceeded) || runs != 0 {
			t.Errorf("a caller who gives up: %v, run %d times", err, runs)
		}
		if err := a.inTurn(t.Context(), workIndex, work); !errors.Is(err, failed) || runs != 1 {
			t.Errorf("a caller who waits: %v, run %d times", err, runs)
		}
	})
}
