package keyring

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errNoKEK means that the tenant row does not list a KEK version (any more).
var errNoKEK = errors.New("no such KEK version")

// openKEK is an unwrapped KEK with the last time the KMS vouched for it.
type openKEK struct {
	aead    cipher.AEAD
	checked time.Time
}

// kekFailure is the last failed visit to the KMS for a version. It answers
// for retryAfter, so that an outage does not cost every request the timeout.
type kekFailure struct {
	at  time.Time
	err error
}

// kekCache keeps KEKs open between visits to the KMS. A KEK serves for TTL;
// then the KMS must unwrap it again; while the KMS is down it serves on until
// Grace has passed as well. A refusal ends it at once.
type kekCache struct {
	opts   Options
	tenant [16]byte

	refresh sync.Mutex // held across a visit to the table and the KMS
	mu      sync.RWMutex
	row     *tenantRow // as last read or written by this process
	open    map[uint32]openKEK
	failed  map[uint32]kekFailure
}

func (c *kekCache) init(o Options, row *tenantRow) {
	c.opts, c.tenant, c.row = o, row.tenant, row
	c.open = make(map[uint32]openKEK)
	c.failed = make(map[uint32]kekFailure)
}

// setRow takes over a tenant row that this process read or wrote, and forgets
// the KEKs that it no longer lists.
func (c *kekCache) setRow(row *tenantRow) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if row.lastKEK < c.row.lastKEK {
		return // read before another goroutine read or wrote a newer one
	}
	c.row = row
	for v := range c.open {
		if _, ok := row.kek(v); !ok {
			delete(c.open, v)
		}
	}
}

// adopt enters a KEK that the KMS has just wrapped.
func (c *kekCache) adopt(version uint32, aead cipher.AEAD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[version] = openKEK{aead: aead, checked: c.opts.Now()}
	delete(c.failed, version)
}

// get returns the KEK of one version, asking the KMS when it is due.
func (c *kekCache) get(ctx context.Context, version uint32) (cipher.AEAD, error) {
	if k, state := c.look(version); state == kekFresh {
		return k, nil
	}
	if !c.refresh.TryLock() {
		// Another caller is asking. Serve what grace permits meanwhile.
		if k, state := c.look(version); state == kekGrace {
			return k, nil
		}
		c.refresh.Lock()
	}
	defer c.refresh.Unlock()
	k, state := c.look(version)
	if state == kekFresh {
		return k, nil
	}
	if f, ok := c.resting(version); ok {
		if state == kekGrace && !refused(f.err) {
			return k, nil
		}
		return nil, f.err
	}
	// The visit serves every waiting caller, so that it does not end with
	// the request that happened to start it.
	k2, err := c.renew(context.WithoutCancel(ctx), version)
	if err != nil {
		return c.afterFailure(version, err)
	}
	return k2, nil
}

type kekState int

const (
	kekAbsent kekState = iota // unknown, or past its grace
	kekGrace                  // past its TTL, within grace, due for a visit
	kekFresh
)

func (c *kekCache) look(version uint32) (cipher.AEAD, kekState) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	k, ok := c.open[version]
	// A clock that went back must not lengthen a key's life.
	age := c.opts.Now().Sub(k.checked)
	switch {
	case !ok || age >= c.opts.KEKTTL+c.opts.Grace:
		return nil, kekAbsent
	case age >= 0 && age < c.opts.KEKTTL:
		return k.aead, kekFresh
	}
	return k.aead, kekGrace
}

func (c *kekCache) resting(version uint32) (kekFailure, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	f, ok := c.failed[version]
	age := c.opts.Now().Sub(f.at)
	return f, ok && age >= 0 && age < retryAfter
}

// renew reads the tenant row and lets the KMS unwrap the KEK. It is called
// with refresh held.
func (c *kekCache) renew(ctx context.Context, version uint32) (cipher.AEAD, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.KMSTimeout)
	defer cancel()
	row, _, err := readTenant(ctx, c.opts.Table)
	if err != nil {
		return nil, kmsError(err)
	}
	if row.tenant != c.tenant {
		return nil, fmt.Errorf("keystore now belongs to another tenant: %w: %w", ErrUnavailable, ErrCorrupt)
	}
	c.setRow(row)
	entry, ok := row.kek(version)
	if !ok {
		return nil, fmt.Errorf("KEK version %d: %w: %w", version, ErrUnavailable, errNoKEK)
	}
	key, err := c.opts.Wrapper.Unwrap(ctx, entry.wrapped, kekAAD(c.tenant, version))
	if err != nil {
		return nil, fmt.Errorf("unwrapping KEK version %d: %w", version, kmsError(err))
	}
	aead, err := newAEAD(key)
	key.Wipe()
	if err != nil {
		return nil, err
	}
	c.adopt(version, aead)
	return aead, nil
}

// refused reports whether a failure is an answer and not an outage: no grace.
func refused(err error) bool {
	for _, e := range []error{ErrRevoked, ErrWrongKEK, ErrCorrupt, ErrNotInitialized, errNoKEK} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// afterFailure serves the cached KEK if the failure was an outage and the
// grace is not over. A refusal closes every KEK at once.
func (c *kekCache) afterFailure(version uint32, cause error) (cipher.AEAD, error) {
	aead, state := c.look(version)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed[version] = kekFailure{c.opts.Now(), cause}
	if refused(cause) {
		if !errors.Is(cause, errNoKEK) {
			clear(c.open)
		}
		return nil, cause
	}
	if state == kekAbsent {
		return nil, cause
	}
	return aead, nil
}

// current returns the KEK version that wraps what is new, and its KEK.
func (c *kekCache) current(ctx context.Context) (uint32, cipher.AEAD, error) {
	for tried := uint32(0); ; {
		c.mu.RLock()
		version := c.row.current
		c.mu.RUnlock()
		aead, err := c.get(ctx, version)
		if !errors.Is(err, errNoKEK) || version == tried {
			return version, aead, err
		}
		tried = version // another process rotated: the row was read anew
	}
}

// kmsError makes every failure of the KMS an ErrUnavailable as well.
func kmsError(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
