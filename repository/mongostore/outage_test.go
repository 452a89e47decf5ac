package mongostore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// TestDeadServerIsToldAtOnce kills the database. When the patience is over, calls
// of every kind fail without a command and without waiting; many of them take
// less time together than one deadline. When the database is back, so is the
// store.
func TestDeadServerIsToldAtOnce(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t, "--sync-on-commit")
	o := mongostore.Options{URI: srv.URI(), Database: "fault", Patience: time.Second}
	var commands atomic.Int64
	mongostore.Watch(&o, func(string, bson.Raw) { commands.Add(1) })
	s := open(t, o)
	ctx := t.Context()
	l, err := s.Log(ctx, "log")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(ctx, batch(write(1, 0))); err != nil {
		t.Fatal(err)
	}
	writing := startWriters(t, s, 32)
	srv.Kill()
	becomes(t, s, false)
	writing() // those in flight and those in the queue have ended
	before, began := commands.Load(), time.Now()
	for range 50 {
		for name, call := range everyCall(ctx, s, l) {
			if err := call(); !errors.Is(err, repository.ErrUnavailable) {
				t.Fatalf("%s: got error %v", name, err)
			}
		}
	}
	if sent := commands.Load() - before; sent != 0 {
		t.Errorf("%d commands were sent to a dead database", sent)
	}
	if took := time.Since(began); took > mongostore.DefaultTimeout {
		t.Errorf("the calls took %s together", took)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	becomes(t, s, true)
	commits(t, s, 1_000_000)
}

// startWriters commits new resources from many goroutines until an error, which
// must be ErrUnavailable; the function waits for them and looks for what was
// acknowledged later.
func startWriters(t *testing.T, s *mongostore.Store, n int) (wait func()) {
	var wg sync.WaitGroup
	var acked sync.Map
	var count atomic.Int64
	for w := range n {
		wg.Go(func() {
			for i := range 1000 {
				id := 10_000*(w+1) + i
				_, err := s.Commit(t.Context(), batch(write(id, 0)))
				if err != nil {
					if !errors.Is(err, repository.ErrUnavailable) {
						t.Errorf("a write of an outage: %v", err)
					}
					return
				}
				acked.Store(id, true)
				count.Add(1)
			}
		})
	}
	mongotest.Eventually(t, ample, func(context.Context) error {
		if count.Load() < int64(n) {
			return errors.New("too few writes")
		}
		return nil
	})
	t.Cleanup(func() {
		acked.Range(func(id, _ any) bool {
			if _, err := s.Get(context.Background(), key(id.(int))); err != nil {
				t.Errorf("an acknowledged write is lost: %v", err)
			}
			return true
		})
	})
	return wg.Wait
}

// becomes waits until the store says that its database is reachable, or not.
func becomes(t *testing.T, s *mongostore.Store, reachable bool) {
	t.Helper()
	mongotest.Eventually(t, ample, func(context.Context) error {
		if s.Reachable() != reachable {
			return errors.New("it does not say so")
		}
		return nil
	})
}

// everyCall is a call of each kind that a request makes.
func everyCall(ctx context.Context, s *mongostore.Store, l *mongostore.Log) map[string]func() error {
	owner := write(1, 0).Record.Owner
	return map[string]func() error{
		"Get":        func() error { _, err := s.Get(ctx, key(1)); return err },
		"GetVersion": func() error { _, err := s.GetVersion(ctx, key(1), 1); return err },
		"Find":       func() error { _, err := s.Find(ctx, repository.Query{Type: "Patient", Limit: 1}); return err },
		"Count":      func() error { _, err := s.Count(ctx, repository.Query{Type: "Patient"}, 1); return err },
		"History":    func() error { _, err := s.History(ctx, repository.HistoryRange{Key: key(1), Limit: 1}); return err },
		"Commit":     func() error { _, err := s.Commit(ctx, batch(write(2, 0))); return err },
		"Guards":     func() error { _, err := s.Guards(ctx, []repository.Token{1}); return err },
		"Since":      func() error { _, err := s.Since(ctx, 1); return err },
		"HoldsOwner": func() error { _, err := s.HoldsOwner(ctx, owner); return err },
		"PurgeOwner": func() error { _, _, err := s.PurgeOwner(ctx, owner, 1); return err },
		"Changes":    func() error { return firstError(s.Changes(ctx, "")) },
		"row":        func() error { _, err := s.Table("t").Get(ctx, []byte("k")); return err },
		"PutIf":      func() error { _, err := s.Table("t").PutIf(ctx, []byte("k"), nil, 0); return err },
		"DeleteIf":   func() error { return s.Table("t").DeleteIf(ctx, []byte("k"), 1) },
		"Scan":       func() error { return firstError(s.Table("t").Scan(ctx, nil)) },
		"Append":     func() error { return l.Append(ctx, entries(1)) },
		"Last":       func() error { _, err := l.Last(ctx, "a", "z"); return err },
	}
}

func firstError[T any](seq func(yield func(T, error) bool)) (first error) {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestSilentServerIsFoundOut swallows all bytes: heartbeats without an answer
// tell, and calls end long before their own deadline.
func TestSilentServerIsFoundOut(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	p := mongotest.NewProxy(t, srv.Address)
	s := open(t, mongostore.Options{URI: p.URI(), Database: "fault", Timeout: time.Hour, Patience: time.Second})
	p.Silent.Store(true)
	if _, err := s.Get(t.Context(), key(1)); !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("got error %v", err)
	}
	becomes(t, s, false)
	p.Silent.Store(false)
	p.Reset()
	becomes(t, s, true)
}
