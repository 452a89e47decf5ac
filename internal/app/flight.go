package app

import (
	"context"
	"net/http"
	"sync"
)

// inFlight lets an erasure wait for exactly the requests that were under way
// when it began, without holding up those that come later.
type inFlight struct {
	mu  sync.Mutex
	now *sync.WaitGroup
}

func (f *inFlight) init() { f.now = new(sync.WaitGroup) }

func (f *inFlight) enter() (leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Add(1)
	return f.now.Done
}

// drain returns when every request that entered before has left.
func (f *inFlight) drain(ctx context.Context) error {
	f.mu.Lock()
	old := f.now
	f.now = new(sync.WaitGroup)
	f.mu.Unlock()
	done := make(chan struct{})
	go func() { old.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *inFlight) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer f.enter()()
		h.ServeHTTP(w, r)
	})
}
