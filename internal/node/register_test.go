package node

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// wire is a node's connection to the shared table, which can be cut.
type wire struct {
	repository.Table
	cut atomic.Bool
}

func (w *wire) fault() error {
	if w.cut.Load() {
		return repository.ErrUnavailable
	}
	return nil
}

func (w *wire) Get(ctx context.Context, key []byte) (repository.Row, error) {
	if err := w.fault(); err != nil {
		return repository.Row{}, err
	}
	return w.Table.Get(ctx, key)
}

func (w *wire) PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error) {
	if err := w.fault(); err != nil {
		return 0, err
	}
	return w.Table.PutIf(ctx, key, value, revision)
}

func (w *wire) DeleteIf(ctx context.Context, key []byte, revision uint64) error {
	if err := w.fault(); err != nil {
		return err
	}
	return w.Table.DeleteIf(ctx, key, revision)
}

func (w *wire) Scan(ctx context.Context, prefix []byte) iter.Seq2[repository.Row, error] {
	if err := w.fault(); err != nil {
		return func(yield func(repository.Row, error) bool) { yield(repository.Row{}, err) }
	}
	return w.Table.Scan(ctx, prefix)
}

// peer is one node of a test.
type peer struct {
	*Register
	wire     *wire
	folder   string
	followed atomic.Int64
	lapsed   atomic.Int64
	departed sync.Map
	lost     atomic.Bool
}

func options(p *peer, name string) Options {
	return Options{Table: p.wire, Name: name, Folder: p.folder, Rules: "r1", Longest: 100 * time.Millisecond,
		Beat: 20 * time.Millisecond, Validity: 3 * time.Second, margin: 100 * time.Millisecond,
		Lost:     func(error) { p.lost.Store(true) },
		Departed: func(name string) { p.departed.Store(name, true) }}
}

func newPeer(t *testing.T, shared repository.Table) *peer {
	return &peer{wire: &wire{Table: shared}, folder: t.TempDir()}
}

func join(t *testing.T, shared repository.Table, name string) *peer {
	t.Helper()
	p := newPeer(t, shared)
	p.join(t, name)
	return p
}

func (p *peer) join(t *testing.T, name string) {
	t.Helper()
	r, err := Join(t.Context(), options(p, name))
	if err != nil {
		t.Fatal(err)
	}
	p.Register = r
	t.Cleanup(func() { _ = r.Leave() })
	r.Follow(func(context.Context) error { p.followed.Add(1); return nil }, func() { p.lapsed.Add(1) })
}

// instantly runs a test in a time of its own, which passes when everybody waits:
// no node lapses because the machine is busy.
func instantly(t *testing.T, test func(t *testing.T)) {
	t.Parallel()
	synctest.Test(t, test)
}

// until polls.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what, ": not within 30 s")
		}
	}
}

func TestNameOfLivingNodeIsRefused(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		join(t, shared, "a")
		if _, err := Join(t.Context(), options(newPeer(t, shared), "a")); !errors.Is(err, ErrTaken) {
			t.Fatal(err)
		}
	})
}

func TestOtherRulesAreRefusedBesideALivingNode(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a := join(t, shared, "a")
		o := options(newPeer(t, shared), "b")
		o.Rules = "r2"
		if _, err := Join(t.Context(), o); !errors.Is(err, ErrRules) {
			t.Fatal(err)
		}
		if err := a.Leave(); err != nil {
			t.Fatal(err)
		}
		r, err := Join(t.Context(), o)
		if err != nil {
			t.Fatal("nobody else runs: ", err)
		}
		if err := r.Leave(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFolderOfLivingProcessIsRefused(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a := join(t, shared, "a")
		b := newPeer(t, shared)
		b.folder = a.folder
		if _, err := Join(t.Context(), options(b, "b")); err == nil {
			t.Fatal("two processes on one folder")
		}
	})
}

// A process that was killed leaves its row; the next one on its folder does not
// wait for it, one on another folder takes the name once it counts as dead.
func TestNameOfDeadNodeIsTaken(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		dead := join(t, shared, "a")
		dead.wire.cut.Store(true)
		if err := dead.Leave(); err == nil {
			t.Fatal("a node that is cut off cannot say farewell")
		}
		again := newPeer(t, shared)
		again.folder = dead.folder
		again.join(t, "a")
		if len(again.seen) != 0 {
			t.Error("it looked for its predecessor")
		}
		again.wire.cut.Store(true)
		_ = again.Leave()

		join(t, shared, "a")
	})
}

func TestBarrierWaitsForEveryNode(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a, b := join(t, shared, "a"), newPeer(t, shared)
		r, err := Join(t.Context(), options(b, "b"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Leave() })
		entered, release := make(chan struct{}), make(chan struct{})
		r.Follow(func(ctx context.Context) error {
			close(entered)
			select {
			case <-release:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, func() {})
		done := make(chan error, 1)
		go func() { done <- a.Barrier(t.Context()) }()
		<-entered
		select {
		case err := <-done:
			t.Fatal("returned before the other node had followed: ", err)
		case <-time.After(100 * time.Millisecond):
		}
		close(release)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if a.followed.Load() == 0 {
			t.Error("the caller's own node did not follow")
		}
	})
}

func TestBarrierDoesNotWaitForTheDead(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a, b := join(t, shared, "a"), join(t, shared, "b")
		b.wire.cut.Store(true)
		if err := a.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.Valid() || b.lapsed.Load() == 0 {
			t.Error("the node that was passed over believes that it may work")
		}
		if _, ok := a.departed.Load("b"); !ok {
			t.Error("nobody heard that it departed")
		}
		for name, want := range map[string]bool{"a": true, "b": false} {
			if here, err := a.Here(t.Context(), name); err != nil || here != want {
				t.Errorf("%s is here: %t, %v", name, here, err)
			}
		}
	})
}

// A node that was cut off works again only after it has taken over everything,
// also when it was taken for dead meanwhile.
func TestNodeComesBack(t *testing.T) {
	for name, whileAway := range map[string]func(*peer) func() bool{
		"in time":       func(*peer) func() bool { return func() bool { return true } },
		"after removal": func(a *peer) func() bool { return func() bool { _, ok := a.departed.Load("b"); return ok } },
	} {
		t.Run(name, func(t *testing.T) {
			instantly(t, func(t *testing.T) {
				shared := keyringtest.NewTable()
				a, b := join(t, shared, "a"), join(t, shared, "b")
				b.wire.cut.Store(true)
				until(t, "lapsing", func() bool { return !b.Valid() })
				until(t, "being away", whileAway(a))
				before := b.followed.Load()
				b.wire.cut.Store(false)
				until(t, "coming back", b.Valid)
				if b.followed.Load() == before {
					t.Error("it works with what it knew before")
				}
				if err := a.Barrier(t.Context()); err != nil {
					t.Fatal(err)
				}
				if b.lost.Load() {
					t.Error("it was told that somebody took its name")
				}
			})
		})
	}
}

// A node whose follow fails does not acknowledge.
func TestFailedFollowIsRepeated(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a, b := join(t, shared, "a"), join(t, shared, "b")
		var tries atomic.Int64
		b.Follow(func(context.Context) error {
			if tries.Add(1) < 3 {
				return errors.New("the keystore does not answer")
			}
			return nil
		}, func() {})
		if err := a.Barrier(t.Context()); err != nil || tries.Load() < 3 {
			t.Fatalf("%v after %d tries", err, tries.Load())
		}
	})
}

func TestAlone(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a, b := join(t, shared, "a"), join(t, shared, "b")
		nothing := func(context.Context) error { return nil }
		err := a.Alone(t.Context(), "index", func(context.Context) error {
			for name, p := range map[string]*peer{"another node": b, "the same node": a} {
				if err := p.Alone(t.Context(), "index", nothing); !errors.Is(err, ErrBusy) {
					t.Errorf("%s: %v", name, err)
				}
			}
			return b.Alone(t.Context(), "other work", nothing)
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Alone(t.Context(), "index", nothing); err != nil {
			t.Error("the lease was not given back: ", err)
		}
	})
}

// The holder of a lease that is cut off stops, and another goes on.
func TestLeaseOfDeadNodeIsTaken(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		a, b := join(t, shared, "a"), join(t, shared, "b")
		working, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			stopped <- b.Alone(t.Context(), "index", func(ctx context.Context) error {
				close(working)
				<-ctx.Done()
				return context.Cause(ctx)
			})
		}()
		<-working
		b.wire.cut.Store(true)
		until(t, "taking the lease over", func() bool {
			err := a.Alone(t.Context(), "index", func(context.Context) error {
				if b.Valid() {
					t.Error("two nodes work at the same time")
				}
				return nil
			})
			if err != nil && !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
			return err == nil
		})
		if err := <-stopped; !errors.Is(err, ErrLapsed) {
			t.Error(err)
		}
		if err := b.Alone(t.Context(), "x", nil); !errors.Is(err, ErrLapsed) {
			t.Error(err)
		}
	})
}

// Of nodes that start together on an empty table all enter.
func TestNodesStartTogether(t *testing.T) {
	instantly(t, func(t *testing.T) {
		shared := keyringtest.NewTable()
		var wg sync.WaitGroup
		peers := make([]*peer, 4)
		for i := range peers {
			peers[i] = newPeer(t, shared)
			wg.Go(func() {
				r, err := Join(context.Background(), options(peers[i], string(rune('a'+i))))
				if err != nil {
					t.Error(err)
					return
				}
				r.Follow(func(context.Context) error { return nil }, func() {})
				peers[i].Register = r
			})
		}
		wg.Wait()
		for _, p := range peers {
			if p.Register == nil {
				return
			}
			t.Cleanup(func() { _ = p.Leave() })
		}
		if err := peers[0].Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
