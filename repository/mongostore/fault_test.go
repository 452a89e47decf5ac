package mongostore_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	uri(t)
	repositorytest.TestFaults(t, func(t *testing.T) repositorytest.Faulty {
		o := newOptions(t)
		s := open(t, o)
		return repositorytest.Faulty{
			Opened:  repositorytest.Opened{Store: s, Purger: s, Table: s.Table},
			Corrupt: func(t *testing.T, k repository.Key) { mongostore.Corrupt(t, s, k) },
		}
	})
}

// killCycles is how often the database is killed; FIELDSEAL_LONG asks for more.
func killCycles() int {
	if os.Getenv("FIELDSEAL_LONG") != "" {
		return 60
	}
	return 4
}

// TestKilledServerLosesNoAcknowledgedWrite kills the database process under
// writers. The store goes on by itself when it is back.
func TestKilledServerLosesNoAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t, "--sync-on-commit")
	s := openSoon(t, mongostore.Options{URI: srv.URI(), Database: "fault", Timeout: 3 * time.Second})
	const writers = 4
	var acked acknowledged
	next := 0
	for cycle := range killCycles() {
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for w := range writers {
			wg.Go(func() { acked.write(t, s, next+w*1000, stop) })
		}
		acked.waitForMore(t)
		time.Sleep(time.Duration(cycle*37%200) * time.Millisecond)
		srv.Kill()
		close(stop)
		wg.Wait()
		next += writers * 1000
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		mongotest.Eventually(t, ample, func(ctx context.Context) error { _, err := s.Guards(ctx, []repository.Token{1}); return err })
	}
	s = patient(t, srv)
	for _, n := range acked.pairs() {
		wantPair(t, s, n)
	}
	if t.Logf("%d batches were acknowledged", len(acked.pairs())); len(acked.pairs()) == 0 {
		t.Fatal("no write was acknowledged")
	}
	wantWholePairs(t, s)
}

// openSoon opens a database whose calls have little time: a busy machine may need
// several tries.
func openSoon(t *testing.T, o mongostore.Options) (s *mongostore.Store) {
	t.Helper()
	mongotest.Eventually(t, ample, func(ctx context.Context) (err error) { s, err = mongostore.Open(ctx, o); return err })
	t.Cleanup(func() { s.Close() })
	return s
}

// commits tries to make one resource after the other, from a number on, until
// one is made, and returns its number: of those before it nobody knows.
func commits(t *testing.T, s *mongostore.Store, from int) int {
	t.Helper()
	mongotest.Eventually(t, ample, func(ctx context.Context) error {
		from++
		_, err := s.Commit(ctx, batch(write(from, 0)))
		return err
	})
	return from
}

// patient opens the database once more, by a store that a slow server does not
// hide a write from.
func patient(t *testing.T, srv *mongotest.Server) *mongostore.Store {
	t.Helper()
	return open(t, mongostore.Options{URI: srv.URI(), Database: "fault", Timeout: ample})
}

// acknowledged are the pairs that writers were told are committed.
type acknowledged struct {
	mu   sync.Mutex
	list []int
}

func (a *acknowledged) pairs() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

// waitForMore waits until a pair is committed that was not when it was called.
func (a *acknowledged) waitForMore(t *testing.T) {
	t.Helper()
	before := len(a.pairs())
	mongotest.Eventually(t, ample, func(context.Context) error {
		if len(a.pairs()) == before {
			return errors.New("no write comes through")
		}
		return nil
	})
}

// write commits resource n and its twin until told to stop.
func (a *acknowledged) write(t *testing.T, s *mongostore.Store, from int, stop <-chan struct{}) {
	for n := from; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		_, err := s.Commit(t.Context(), batch(write(n, 0), write(-n-1, 0)))
		switch {
		case err == nil:
			a.mu.Lock()
			a.list = append(a.list, n)
			a.mu.Unlock()
		case !errors.Is(err, repository.ErrUnavailable):
			t.Errorf("neither committed nor unavailable: %v", err)
		}
	}
}

func wantPair(t *testing.T, s *mongostore.Store, n int) {
	t.Helper()
	for _, k := range []repository.Key{key(n), key(-n - 1)} {
		if _, err := s.Get(t.Context(), k); err != nil {
			t.Fatalf("an acknowledged write is lost: %v", err)
		}
	}
}

// wantWholePairs: transactions without an answer are there or not, never half,
// and the feed holds exactly what is stored.
func wantWholePairs(t *testing.T, s *mongostore.Store) {
	t.Helper()
	inFeed := map[repository.Key]int{}
	for c, err := range s.Changes(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		inFeed[c.Key]++
	}
	if len(inFeed)%2 != 0 {
		t.Fatalf("the feed holds %d resources of pairs", len(inFeed))
	}
	for k, n := range inFeed {
		if n != 1 {
			t.Fatalf("a resource stands %d times in the feed", n)
		}
		if _, err := s.Get(t.Context(), k); err != nil {
			t.Fatalf("the feed names what is not stored: %v", err)
		}
	}
}

// TestLostReplyToACommitNeitherRepeatsNorLoses cuts the connection between a
// commit and its answer.
func TestLostReplyToACommitNeitherRepeatsNorLoses(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	p := mongotest.NewProxy(t, srv.Address)
	s := open(t, mongostore.Options{URI: p.URI(), Database: "fault", Timeout: ample})
	for n := range 5 {
		p.LoseReply("commitTransaction")
		if _, err := s.Commit(t.Context(), batch(write(n, 0))); err != nil {
			t.Fatalf("commit %d: %v", n, err)
		}
		p.LoseReply("findAndModify")
		if _, err := s.Commit(t.Context(), batch(write(n, 1))); err != nil {
			t.Fatalf("update %d: %v", n, err)
		}
	}
	if p.Cuts() != 10 {
		t.Fatalf("%d replies were lost, want 10", p.Cuts())
	}
	versions := 0
	for _, err := range s.Changes(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		versions++
	}
	if versions != 10 {
		t.Fatalf("%d versions in the feed, want 10", versions)
	}
}

// TestSilentServerEndsEveryCallInTime swallows all bytes while connections stay
// open, as a broken firewall does.
func TestSilentServerEndsEveryCallInTime(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	p := mongotest.NewProxy(t, srv.Address)
	const limit = time.Second
	s := openSoon(t, mongostore.Options{URI: p.URI(), Database: "fault", Timeout: limit})
	made := commits(t, s, 1)
	p.Silent.Store(true)
	for name, call := range map[string]func() error{
		"Get":    func() error { _, err := s.Get(t.Context(), key(1)); return err },
		"Find":   func() error { _, err := s.Find(t.Context(), repository.Query{Type: "Patient", Limit: 1}); return err },
		"Commit": func() error { _, err := s.Commit(t.Context(), batch(write(1, 1))); return err },
		"Guards": func() error { _, err := s.Guards(t.Context(), []repository.Token{1}); return err },
		"PutIf":  func() error { _, err := s.Table("t").PutIf(t.Context(), []byte("k"), nil, 0); return err },
	} {
		began := time.Now()
		if err := call(); !errors.Is(err, repository.ErrUnavailable) {
			t.Errorf("%s: got error %v", name, err)
		}
		if took := time.Since(began); took > 20*limit {
			t.Errorf("%s took %s", name, took)
		}
	}
	p.Silent.Store(false)
	p.Reset()
	mongotest.Eventually(t, ample, func(ctx context.Context) error { _, err := s.Get(ctx, key(made)); return err })
	commits(t, s, 1000)
}

// TestResetConnectionsAndDelaysAreSurvived resets all connections under
// writers.
func TestResetConnectionsAndDelaysAreSurvived(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	p := mongotest.NewProxy(t, srv.Address)
	p.Delay.Store(int64(2 * time.Millisecond))
	s := openSoon(t, mongostore.Options{URI: p.URI(), Database: "fault", Timeout: 5 * time.Second})
	stop := make(chan struct{})
	var acked acknowledged
	var wg sync.WaitGroup
	wg.Go(func() { acked.write(t, s, 1, stop) })
	for range 10 {
		time.Sleep(60 * time.Millisecond)
		p.Reset()
	}
	acked.waitForMore(t)
	close(stop)
	wg.Wait()
	s = patient(t, srv)
	for _, n := range acked.pairs() {
		wantPair(t, s, n)
	}
	wantWholePairs(t, s)
}

// TestErrorsQuoteNoDocument provokes errors that the server words with the
// document or the filter in them.
func TestErrorsQuoteNoDocument(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	s := open(t, mongostore.Options{URI: srv.URI(), Database: "fault", Timeout: ample})
	secret := []byte("canary-7f3a")
	w := write(1, 0)
	w.Record.Body = secret
	if _, err := s.Commit(t.Context(), batch(w)); err != nil {
		t.Fatal(err)
	}
	var texts []string
	collect := func(err error) { texts = append(texts, fmt.Sprint(err)) }
	_, err := s.Commit(t.Context(), batch(w))
	collect(err)
	mongostore.Corrupt(t, s, key(1))
	_, err = s.Get(t.Context(), key(1))
	collect(err)
	w.Record.Body = bytes.Repeat(secret, 2<<20)
	w.Expect, w.Record.Version = 1, 2
	_, err = s.Commit(t.Context(), batch(w))
	collect(err)
	srv.Kill()
	_, err = s.Get(t.Context(), key(1))
	collect(err)
	for _, text := range texts {
		if bytes.Contains([]byte(text), secret) || len(text) > 300 ||
			bytes.Contains([]byte(text), []byte(base64.StdEncoding.EncodeToString(secret)[:12])) {
			t.Errorf("an error quotes a document: %.300s", text)
		}
	}
}
