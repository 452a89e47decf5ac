package keyring

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

const cacheShards = 16 // power of two; owners are pseudorandom, so shards are even

// ownerCache keeps open owner keys. Hits take a read lock of one shard and
// set at most one flag; eviction is second chance (CLOCK), near enough to LRU.
type ownerCache struct{ shards [cacheShards]cacheShard }

type cacheShard struct {
	mu      sync.RWMutex
	entries map[repository.Owner]*cacheEntry
	ring    []*cacheEntry
	hand    int
	flights map[repository.Owner]*flight
	purges  uint64 // counts purges, so that a load that began before one is not kept
}

type cacheEntry struct {
	keys   *OwnerKeys
	loaded time.Time
	used   atomic.Bool
	dead   bool
}

// flight is one load under way that others wait for.
type flight struct {
	done chan struct{}
	keys *OwnerKeys
	err  error
}

func newOwnerCache(size int) *ownerCache {
	c := &ownerCache{}
	per := max(1, (size+cacheShards-1)/cacheShards)
	for i := range c.shards {
		c.shards[i].entries = make(map[repository.Owner]*cacheEntry)
		c.shards[i].flights = make(map[repository.Owner]*flight)
		c.shards[i].ring = make([]*cacheEntry, 0, per)
	}
	return c
}

func (c *ownerCache) shard(o repository.Owner) *cacheShard { return &c.shards[o[15]%cacheShards] }

// get returns keys loaded less than ttl ago.
func (s *cacheShard) get(o repository.Owner, now time.Time, ttl time.Duration) *OwnerKeys {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.entries[o]
	if e == nil || !fresh(e.loaded, now, ttl) {
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	return e.keys
}

// fresh also refuses a time before the load: a clock that went back must not
// lengthen the promise.
func fresh(loaded, now time.Time, ttl time.Duration) bool {
	age := now.Sub(loaded)
	return age >= 0 && age < ttl
}

// putLocked keeps keys; the shard's lock is held.
func (s *cacheShard) putLocked(o repository.Owner, k *OwnerKeys, loaded time.Time) {
	if old := s.entries[o]; old != nil {
		old.keys, old.loaded = k, loaded
		return
	}
	e := &cacheEntry{keys: k, loaded: loaded}
	s.entries[o] = e
	if len(s.ring) < cap(s.ring) {
		s.ring = append(s.ring, e)
		return
	}
	for s.ring[s.hand].used.Swap(false) && !s.ring[s.hand].dead {
		s.hand = (s.hand + 1) % len(s.ring)
	}
	if old := s.ring[s.hand]; !old.dead {
		delete(s.entries, old.keys.owner)
	}
	s.ring[s.hand] = e
	s.hand = (s.hand + 1) % len(s.ring)
}

// purge forgets an owner's keys, and makes loads under way forget theirs.
func (c *ownerCache) purge(o repository.Owner) {
	s := c.shard(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purges++
	delete(s.flights, o) // later callers load anew and see the purge's cause
	if e := s.entries[o]; e != nil {
		e.dead, e.keys = true, nil
		delete(s.entries, o)
	}
}

// purgeAll forgets everybody's keys in the same way.
func (c *ownerCache) purgeAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.purges++
		for _, e := range s.ring {
			e.dead, e.keys = true, nil
		}
		clear(s.entries)
		clear(s.flights)
		s.ring, s.hand = s.ring[:0], 0
		s.mu.Unlock()
	}
}

// join returns the flight for an owner and whether the caller must fly it.
func (s *cacheShard) join(o repository.Owner) (f *flight, leader bool, purges uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[o]; f != nil {
		return f, false, 0
	}
	f = &flight{done: make(chan struct{})}
	s.flights[o] = f
	return f, true, s.purges
}

// land ends a flight; the keys are kept unless the shard was purged since the
// flight began. loaded is when the load began, so that the age counts from the
// read of the row.
func (s *cacheShard) land(o repository.Owner, f *flight, purges uint64, loaded time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[o] == f {
		delete(s.flights, o)
	}
	if f.err == nil && s.purges == purges {
		s.putLocked(o, f.keys, loaded)
	}
	close(f.done)
}
