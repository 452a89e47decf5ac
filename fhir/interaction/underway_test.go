package interaction

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// heldStore holds commits back while held is set: they have their stamps
// already.
type heldStore struct {
	repository.Store
	held    atomic.Pointer[chan struct{}]
	arrived chan struct{}
}

func (s *heldStore) Commit(ctx context.Context, b repository.Batch) (repository.Seq, error) {
	if gate := s.held.Load(); gate != nil {
		s.arrived <- struct{}{}
		<-*gate
	}
	return s.Store.Commit(ctx, b)
}

// TestSortedPagesWaitForWritesUnderWay: a write that drew its lastUpdated
// before the first page was asked for and is committed after would otherwise
// count as old on the second page, and its resource would appear again at its
// new place.
func TestSortedPagesWaitForWritesUnderWay(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	store := &heldStore{Store: p.Store, arrived: make(chan struct{})}
	p.Store = store
	p.underway.limit = time.Minute // the machine may be busy
	text := func(id string, value int) string {
		return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":%d}}`, id, value)
	}
	for i, id := range []string{"a", "b", "c", "d"} {
		p.put("Observation", id, text(id, i))
	}
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	store.held.Store(&gate)
	wrote := make(chan error)
	go func() {
		_, err := p.Update(t.Context(), p.as("integration"), "Observation", "a", []byte(text("a", 10)))
		wrote <- err
	}()
	<-store.arrived // "a" moves to the end under a stamp that is drawn
	store.held.Store(nil)
	go func() {
		for p.underway.waiters() == 0 {
			runtime.Gosched()
		}
		open()
	}()
	var ids []string
	for next := "Observation?patient=p1&_sort=value-quantity&_count=1"; next != ""; {
		answer, err := p.ask(p.as("clinician"), next)
		p.must(err)
		var b searchset
		p.must(json.Unmarshal(answer.Body(), &b))
		ids = append(ids, b.ids("match")...)
		next = strings.TrimPrefix(strings.TrimPrefix(b.next(), base), "/")
	}
	open()
	p.must(<-wrote)
	if got, want := strings.Join(ids, " "), "Observation/b Observation/c Observation/d Observation/a"; got != want {
		t.Errorf("pages show %s, want %s", got, want)
	}
	if n := p.underway.unended(); n != 0 {
		t.Errorf("%d writes have not ended", n)
	}
}

// TestSettlingEndsAtItsLimit: a write that hangs does not hold up searches.
func TestSettlingEndsAtItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := underway{open: map[repository.Stamp]struct{}{5: {}}}
		began := time.Now()
		if err := u.settle(t.Context(), 5); err != nil || time.Since(began) != 0 {
			t.Errorf("nothing is below: %v after %s", err, time.Since(began))
		}
		if err := u.settle(t.Context(), 6); err != nil || time.Since(began) != settleLimit {
			t.Errorf("a write that hangs: %v after %s", err, time.Since(began))
		}
		if n := u.waiters(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

func (u *underway) waiters() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.waiting
}

func (u *underway) unended() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.open)
}
