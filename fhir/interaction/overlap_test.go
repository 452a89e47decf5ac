package interaction

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// rowsOf is a node's way to the rows of idempotency keys.
type rowsOf struct {
	repository.Table
	looked func(n int64) // called before a row is read, n from 1
	made   func()        // called after a row was made
	keep   chan struct{} // when set, an answer is kept once it is closed
	looks  atomic.Int64
}

func (r *rowsOf) Get(ctx context.Context, key []byte) (repository.Row, error) {
	if n := r.looks.Add(1); r.looked != nil {
		r.looked(n)
	}
	return r.Table.Get(ctx, key)
}

func (r *rowsOf) PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error) {
	if r.keep != nil && revision != 0 {
		<-r.keep
	}
	next, err := r.Table.PutIf(ctx, key, value, revision)
	if r.made != nil && revision == 0 && err == nil {
		r.made()
	}
	return next, err
}

// overlap is a Bundle on its way at one node, whose answer is not kept yet, and a
// second node.
func (p *shop) overlap(body string) (first chan *Answer, keep chan struct{}, second *Service, rows *rowsOf) {
	p.t.Helper()
	keep = make(chan struct{})
	p.Replays = &rowsOf{Table: p.Replays, keep: keep}
	second = p.service()
	rows = &rowsOf{Table: second.Replays}
	second.Replays = rows
	first = make(chan *Answer, 1)
	go func() {
		a, err := p.bundleOnce(keyOne, body)
		if err != nil {
			p.t.Errorf("the first: %v", err)
		}
		first <- a
	}()
	for deadline := time.Now().Add(time.Minute); p.stored() < 3 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return first, keep, second, rows
}

func (p *shop) bundleAt(node *Service, body string) (*Answer, error) {
	c := p.as("integration")
	c.IdempotencyKey, c.Return = keyOne, Minimal
	return node.Bundle(p.t.Context(), c, []byte(body))
}

// A Bundle that is repeated at another node while the first is under way gets
// the first one's answer.
func TestOverlappingBundleGetsTheAnswerOfTheFirst(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"transaction", "batch"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newShop(t)
			body := fmt.Sprintf(threeOfAKind, kind)
			first, keep, second, rows := p.overlap(body)
			second.ReplayWait = time.Hour
			rows.looked = func(n int64) {
				if n == 3 { // it waits
					close(keep)
				}
			}
			again, err := p.bundleAt(second, body)
			p.must(err)
			one := <-first
			if !again.Replay() || one.Replay() || again.Status() != http.StatusOK || !sameJSON(one.Body(), again.Body()) || p.stored() != 3 {
				t.Errorf("%d versions\n%s\n%s", p.stored(), one.Body(), again.Body())
			}
		})
	}
}

// A first request that never says how it ended is waited for no longer than
// ReplayWait; its resources are not made again.
func TestOverlappingBundleDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	body := fmt.Sprintf(threeOfAKind, "transaction")
	first, keep, second, rows := p.overlap(body)
	second.ReplayWait = 100 * time.Millisecond
	a, err := p.bundleAt(second, body)
	p.refused(a, err, Conflict)
	if rows.looks.Load() < 2 || p.stored() != 3 {
		t.Errorf("%d looks, %d versions", rows.looks.Load(), p.stored())
	}
	close(keep)
	<-first
	if again, err := p.bundleAt(second, body); err != nil || !again.Replay() {
		t.Errorf("afterwards: %v", err)
	}
}

// A first request that is found to have no effect gives its key back to who
// waits.
func TestOverlappingBundleTakesOverAFreedKey(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	body := fmt.Sprintf(threeOfAKind, "transaction")
	p.rec.fail(always) // the first ends with 503 and leaves its row
	a, err := p.bundleOnce(keyOne, body)
	p.refused(a, err, Unavailable)
	p.rec.fail(nil)
	row := p.replays()[0]
	second := p.service()
	rows := &rowsOf{Table: second.Replays, looked: func(n int64) {
		if n == 3 {
			p.must(p.Replays.DeleteIf(t.Context(), row.Key, row.Revision))
		}
	}}
	second.Replays, second.ReplayWait = rows, time.Hour
	if a, err = p.bundleAt(second, body); err != nil || a.Replay() || p.stored() != 3 {
		t.Errorf("%v, %d versions", err, p.stored())
	}
}

// A first request that was so slow that the second one did not wait for it gets
// the second one's answer.
func TestOvertakenBundleGetsTheAnswerOfTheSecond(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	body := fmt.Sprintf(threeOfAKind, "transaction")
	second := p.service()
	var won *Answer
	p.Replays = &rowsOf{Table: p.Replays, made: func() {
		var err error
		won, err = p.bundleAt(second, body)
		p.must(err)
	}}
	p.ReplayWait = time.Hour
	a, err := p.bundleOnce(keyOne, body)
	p.must(err)
	if won.Replay() || !a.Replay() || !sameJSON(a.Body(), won.Body()) || p.stored() != 3 {
		t.Errorf("%d versions\n%s\n%s", p.stored(), won.Body(), a.Body())
	}
}
