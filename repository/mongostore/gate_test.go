package mongostore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/fieldseal/fieldseal/repository"
)

// Each row is what the driver knows; a call may be sent when a server takes
// writes.
func TestServersThatTakeWrites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		topology string
		servers  []string
		want     bool
	}{
		"nothing yet":                    {"Unknown", nil, false},
		"a set with a primary":           {"ReplicaSetWithPrimary", []string{"RSSecondary", "RSPrimary", "Unknown"}, true},
		"a set that elects":              {"ReplicaSetNoPrimary", []string{"RSSecondary", "RSSecondary"}, false},
		"routers, one of them gone":      {"Sharded", []string{"Unknown", "Mongos"}, true},
		"routers, all gone":              {"Sharded", []string{"Unknown", "Unknown"}, false},
		"a load balancer":                {"LoadBalanced", []string{"LoadBalancer"}, true},
		"one server, gone":               {"Single", []string{"Unknown"}, false},
		"one server, whatever its state": {"Single", []string{"RSSecondary"}, true},
	} {
		d := event.TopologyDescription{Kind: c.topology}
		for _, kind := range c.servers {
			d.Servers = append(d.Servers, event.ServerDescription{Kind: kind})
		}
		if got := takesWrites(d); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The server's default of a minute is worth an advice, what the documentation
// recommends is not.
func TestAdviceOnTheLifetimeOfTransactions(t *testing.T) {
	t.Parallel()
	for limit, want := range map[time.Duration]bool{0: false, 10 * time.Second: false, time.Minute: true} {
		if got := lifetimeAdvice(limit); (got != "") != want {
			t.Errorf("%s: %q", limit, got)
		}
	}
}

// gated is a gate and what it told.
type gated struct {
	*gate
	told []bool
}

func newGated() *gated {
	g := &gated{gate: newGate(20*time.Second, 3*time.Second)}
	g.gate.told = append(g.gate.told, func(reachable bool) { g.told = append(g.told, reachable) })
	return g
}

// passes starts a call and returns what became of it and after which time.
func (g *gated) passes(ctx context.Context) func() (time.Duration, error) {
	began, done := time.Now(), make(chan error, 1)
	took := time.Duration(0)
	go func() { err := g.pass(ctx); took = time.Since(began); done <- err }()
	return func() (time.Duration, error) { err := <-done; return took, err }
}

func want(t *testing.T, what string, call func() (time.Duration, error), err error, after time.Duration) {
	t.Helper()
	if took, got := call(); !errors.Is(got, err) || took != after {
		t.Errorf("%s: %v after %s, want %v after %s", what, got, took, err, after)
	}
}

func TestCallsWaitForAnElectionAndNotForADeadDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, ctx := newGated(), t.Context()
		first := g.passes(ctx)
		time.Sleep(4 * time.Second)
		g.set(true)
		want(t, "a start waits longer", first, nil, 4*time.Second)
		want(t, "with a server", g.passes(ctx), nil, 0)

		g.set(false)
		early := g.passes(ctx)
		time.Sleep(2 * time.Second)
		late := g.passes(ctx)
		g.set(true)
		want(t, "through an election", early, nil, 2*time.Second)
		want(t, "at its end", late, nil, 0)
		time.Sleep(time.Hour)
		if len(g.told) != 0 {
			t.Errorf("an election was told of: %v", g.told)
		}

		g.set(false)
		early = g.passes(ctx)
		time.Sleep(2 * time.Second)
		late = g.passes(ctx)
		want(t, "since the loss", early, errUnreachable, 3*time.Second)
		want(t, "nobody waits longer than the others", late, errUnreachable, time.Second)
		for range 1000 {
			want(t, "afterwards", g.passes(ctx), errUnreachable, 0)
		}
		g.set(true)
		want(t, "with a server again", g.passes(ctx), nil, 0)
		if !slices.Equal(g.told, []bool{false, true}) {
			t.Errorf("told %v", g.told)
		}
		if !errors.Is(errUnreachable, repository.ErrUnavailable) {
			t.Error("the contract knows no such error")
		}
		g.close()
	})
}

// An old timer says nothing of a new loss.
func TestSecondLossHasItsOwnPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated()
		g.set(true)
		g.set(false)
		time.Sleep(2 * time.Second)
		g.set(true)
		g.set(false)
		want(t, "second loss", g.passes(t.Context()), errUnreachable, 3*time.Second)
		g.close()
	})
}

func TestWaitingCallsEndWithTheirContextAndTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		want(t, "deadline", g.passes(ctx), context.DeadlineExceeded, time.Second)
		waiting := g.passes(t.Context())
		time.Sleep(time.Second)
		g.close()
		g.close()
		g.set(true)
		want(t, "closed", waiting, errUnreachable, time.Second)
		time.Sleep(time.Hour)
		if len(g.told) != 0 {
			t.Errorf("a closed store tells %v", g.told)
		}
	})
}

// An operator reads in the error of a start what is wrong with the connection.
func TestRefusalSaysWhatIsWrongWithTLS(t *testing.T) {
	t.Parallel()
	for says, err := range map[string]error{
		"certificate is not accepted":    fmt.Errorf("handshake: %w", &tls.CertificateVerificationError{Err: errors.New("x509: unknown authority")}),
		"does not speak TLS":             tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
		"refuses the TLS handshake":      &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")},
		"the database is out of reach\n": &net.OpError{Op: "dial", Err: errors.New("connection refused")},
	} {
		g := newGate(time.Hour, time.Hour)
		g.failed(&event.ServerHeartbeatFailedEvent{Failure: err})
		g.giveUp(g.wait)
		if got := g.pass(t.Context()); !errors.Is(got, repository.ErrUnavailable) || !strings.Contains(got.Error()+"\n", says) {
			t.Errorf("%v: %v", err, got)
		}
	}
}
