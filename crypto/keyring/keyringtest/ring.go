package keyringtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
)

// Clock is a clock that tests set.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a fixed moment.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// NewRing returns a new keystore in memory, with default options.
func NewRing(t testing.TB) *keyring.Ring {
	t.Helper()
	return InitRing(t, keyring.Options{})
}

// InitRing makes a keystore with the given options; an empty Table or Wrapper
// is replaced by one in memory.
func InitRing(t testing.TB, o keyring.Options) *keyring.Ring {
	t.Helper()
	if o.Table == nil {
		o.Table = NewTable()
	}
	if o.Wrapper == nil {
		o.Wrapper = kmstest.New()
	}
	r, err := keyring.Init(context.Background(), o)
	if err != nil {
		t.Fatalf("making a keystore: %v", err)
	}
	return r
}
