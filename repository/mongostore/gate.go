package mongostore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/fieldseal/fieldseal/repository"
)

// errUnreachable is what a call gets while no server can be reached.
var errUnreachable = fmt.Errorf("%w: the database is out of reach", repository.ErrUnavailable)

// gate keeps calls from waiting one by one for a database that is gone. The
// driver watches its servers and tells the gate; while it knows none that takes
// writes, calls wait together, at most for the patience since it lost the last
// one, so that an ordinary election only delays them. After that they fail at
// once, until the driver finds a server again.
type gate struct {
	patience time.Duration

	up     atomic.Bool // the driver knows a server that takes writes
	mu     sync.Mutex
	told   []func(reachable bool) // hear of changes in their order; must not block
	down   bool                   // nobody waits any more
	why    error                  // what calls get then
	closed bool
	wait   chan struct{} // closed when up or down becomes true
}

// newGate returns a gate that lets nobody through before the driver has found a
// server, and gives up after first.
func newGate(first, patience time.Duration) *gate {
	g := &gate{patience: patience, why: errUnreachable}
	g.lost(first)
	return g
}

// turn changes the state that calls meet.
func (g *gate) turn(reachable bool) {
	g.down = !reachable
	for _, told := range g.told {
		told(reachable)
	}
}

// lost starts the time for which calls wait.
func (g *gate) lost(patience time.Duration) {
	wait := make(chan struct{})
	g.wait = wait
	time.AfterFunc(patience, func() { g.giveUp(wait) })
}

func (g *gate) giveUp(wait chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.wait != wait || g.up.Load() {
		return
	}
	close(wait)
	g.turn(false)
}

// heard takes in what the driver knows of the servers.
func (g *gate) heard(e *event.TopologyDescriptionChangedEvent) { g.set(takesWrites(e.NewDescription)) }

// failed takes in why the driver did not reach a server.
func (g *gate) failed(e *event.ServerHeartbeatFailedEvent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.why = errUnreachable; refusal(e.Failure) != "" {
		g.why = fmt.Errorf("%w: %s", errUnreachable, refusal(e.Failure))
	}
}

// refusal says what is wrong with a connection that fails in its TLS handshake;
// empty: it is no such failure.
func refusal(err error) string {
	var (
		certificate *tls.CertificateVerificationError
		plain       tls.RecordHeaderError
		remote      *net.OpError
	)
	switch {
	case errors.As(err, &certificate):
		return "its certificate is not accepted: see tlsCAFile, the host's name and the time of validity"
	case errors.As(err, &plain):
		return "it does not speak TLS"
	case errors.As(err, &remote) && remote.Op == "remote error": // an alert
		return "it refuses the TLS handshake: see tlsCertificateKeyFile"
	}
	return ""
}

func (g *gate) set(up bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || up == g.up.Load() {
		return
	}
	g.up.Store(up)
	if !up {
		g.lost(g.patience)
		return
	}
	if g.down {
		g.turn(true)
		return
	}
	close(g.wait)
}

// takesWrites reports whether a server is known that calls can be sent to. A
// direct connection uses its server whatever its state.
func takesWrites(t event.TopologyDescription) bool {
	return slices.ContainsFunc(t.Servers, func(s event.ServerDescription) bool {
		switch s.Kind {
		case "RSPrimary", "Mongos", "LoadBalancer", "Standalone":
			return true
		}
		return t.Kind == "Single" && s.Kind != "Unknown"
	})
}

// pass returns when a call may be sent, or why not: the caller gave up, or
// errUnreachable.
func (g *gate) pass(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if g.up.Load() {
			return nil
		}
		g.mu.Lock()
		down, wait, why := g.down, g.wait, g.why
		g.mu.Unlock()
		if down {
			return why
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
}

// close lets go of who waits and ends the reports.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	if !g.up.Load() && !g.down {
		close(g.wait)
	}
	g.closed, g.down = true, true
}

// Reachable reports whether calls are sent to the database: false from the end
// of Options.Patience without a server to the moment when one is found.
func (s *Store) Reachable() bool {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return !s.gate.down
}

// OnReach lets a function hear of each change of Reachable, in their order. It
// must not wait and not call the store.
func (s *Store) OnReach(told func(reachable bool)) {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.told = append(s.gate.told, told)
}
