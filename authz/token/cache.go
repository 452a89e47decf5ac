package token

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/repository"
)

// cacheSize bounds the tokens kept in memory: about 10 MB.
const cacheSize = 1 << 14

// entry is a token that was valid when it was loaded.
type entry struct {
	claims  authz.SubjectClaims
	account repository.StorageID
	expires int64
	loaded  time.Time
}

// cache holds valid tokens for at most CacheTTL, by hash.
type cache struct {
	mu  sync.RWMutex
	m   map[[sha256.Size]byte]entry
	gen uint64 // counts revocations
}

func (c *cache) get(hash [sha256.Size]byte, now time.Time) (entry, bool) {
	c.mu.RLock()
	e, ok := c.m[hash]
	c.mu.RUnlock()
	age := now.Sub(e.loaded)
	return e, ok && age >= 0 && age < CacheTTL // a clock that went back empties the cache
}

func (c *cache) generation() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.gen
}

// put keeps a token unless something was revoked since generation was read:
// then the row may be older than the revocation.
func (c *cache) put(hash [sha256.Size]byte, e entry, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen != generation {
		return
	}
	if len(c.m) >= cacheSize {
		c.shrink(e.loaded)
	}
	c.m[hash] = e
}

// shrink drops what is stale, or else an eighth of whatever comes first.
func (c *cache) shrink(now time.Time) {
	for h, e := range c.m {
		if now.Sub(e.loaded) >= CacheTTL {
			delete(c.m, h)
		}
	}
	for h := range c.m {
		if len(c.m) < cacheSize*7/8 {
			return
		}
		delete(c.m, h)
	}
}

// forget drops the tokens that match; later loads of rows read before now are
// not cached.
func (c *cache) forget(match func(hash [sha256.Size]byte, e entry) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	for h, e := range c.m {
		if match(h, e) {
			delete(c.m, h)
		}
	}
}
