package interaction

import (
	"context"
	"sync"
	"time"
)

// recent remembers answers about other resources for answerLife, at most limit
// of them.
type recent[K comparable, V any] struct {
	load  func(context.Context, K) (V, error)
	limit int

	mu      sync.Mutex
	entries map[K]remembered[V]
	dropped uint64 // counts what was dropped: an answer from before is not kept
}

type remembered[V any] struct {
	value V
	until time.Time
}

func newRecent[K comparable, V any](limit int, load func(context.Context, K) (V, error)) *recent[K, V] {
	return &recent[K, V]{load: load, limit: limit, entries: map[K]remembered[V]{}}
}

// of returns a remembered answer or loads one. Errors are not remembered.
func (r *recent[K, V]) of(ctx context.Context, key K) (V, error) {
	now := time.Now()
	r.mu.Lock()
	e, found := r.entries[key]
	dropped := r.dropped
	r.mu.Unlock()
	if found && now.Before(e.until) {
		return e.value, nil
	}
	value, err := r.load(ctx, key)
	if err != nil {
		return value, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped != dropped {
		return value, nil // it may be from before the write
	}
	if len(r.entries) >= r.limit {
		clear(r.entries)
	}
	r.entries[key] = remembered[V]{value, now.Add(answerLife)}
	return value, nil
}

// drop forgets the answers for which stale says so.
func (r *recent[K, V]) drop(stale func(K, V) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped++
	for k, e := range r.entries {
		if stale(k, e.value) {
			delete(r.entries, k)
		}
	}
}

// forget drops the answers for the keys.
func (r *recent[K, V]) forget(keys []K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped++
	for _, k := range keys {
		delete(r.entries, k)
	}
}
