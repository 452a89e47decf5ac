package client

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// ErrUnknown means that no client has the id, or that it is disabled.
var ErrUnknown = errors.New("no such client")

// CacheTTL is the longest time that a change on another node goes unnoticed.
// A request that was let in just before has the rest of five seconds.
const CacheTTL = 4 * time.Second

// SecretPrefix starts every client secret, for scanners of leaked secrets.
const SecretPrefix = "fss_"

const rowPrefix = "client/"

// Options are what a Registry needs.
type Options struct {
	Table repository.Table
	// PRF is a keyed function: the checksum of rows.
	PRF func(label, text string) repository.StorageID
	// CheckKeys refuses a JSON Web Key Set that nobody could be authenticated by.
	CheckKeys func(keys []byte) error
	// CheckKeysURL refuses a URL of a key set that would never be fetched; nil
	// refuses none.
	CheckKeysURL func(url string) error
	// Now is time.Now when nil.
	Now func() time.Time
}

// Registry keeps clients in a table. It is safe for concurrent use.
type Registry struct {
	o     Options
	mu    sync.RWMutex
	cache map[string]cached

	applying sync.Mutex // clients that wait are counted and added one by one
}

type cached struct {
	client Client
	loaded time.Time
}

// New returns a Registry; it panics on a missing option, which is a wiring
// error.
func New(o Options) *Registry {
	if o.Table == nil || o.PRF == nil || o.CheckKeys == nil {
		panic("client: a required option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Registry{o: o, cache: map[string]cached{}}
}

// row is the stored value.
type row struct {
	Format int                  `json:"format"`
	Client json.RawMessage      `json:"client"`
	Sum    repository.StorageID `json:"sum"`
	Keep   int64                `json:"keep,omitempty"` // when a sweep may remove a client that waits
}

func (r *Registry) sum(key string, client []byte) repository.StorageID {
	return r.o.PRF("oauth-client", key+"\x00"+string(client))
}

// Add registers a client durably. For methods with a secret it returns the
// secret, which nothing can recover later. An id that is taken, also by a
// disabled client, is refused.
func (r *Registry) Add(ctx context.Context, c Client) (secret string, err error) {
	if err := c.Validate(); err != nil {
		return "", fmt.Errorf("%w: %w", ErrClient, err)
	}
	if err := r.checkKeys(c); err != nil {
		return "", fmt.Errorf("%w: %w", ErrClient, err)
	}
	c.SecretHash, c.Disabled, c.Created = nil, time.Time{}, r.o.Now().UTC().Truncate(time.Second)
	if c.Auth == SecretBasic || c.Auth == SecretPost {
		secret = newSecret(&c)
	}
	err = r.put(ctx, c, 0)
	if errors.Is(err, repository.ErrConflict) {
		return "", fmt.Errorf("%w: the id is taken", ErrClient)
	}
	return secret, err
}

func (r *Registry) checkKeys(c Client) error {
	switch {
	case len(c.Keys) > 0:
		return r.o.CheckKeys(c.Keys)
	case c.KeysURL != "" && r.o.CheckKeysURL != nil:
		return r.o.CheckKeysURL(c.KeysURL)
	}
	return nil
}

func newSecret(c *Client) string {
	secret := token.Draw(SecretPrefix)
	sum := sha256.Sum256([]byte(secret))
	c.SecretHash = sum[:]
	return secret
}

func (r *Registry) put(ctx context.Context, c Client, revision uint64) error {
	if err := r.write(ctx, rowPrefix, c, revision); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.cache, c.ID)
	r.mu.Unlock()
	return nil
}

func (r *Registry) write(ctx context.Context, prefix string, c Client, revision uint64) error {
	key, keep := prefix+c.ID, int64(0)
	if prefix == waitingPrefix {
		keep = c.Created.Add(WaitingLife).Unix()
	}
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encoding a client: %w", err)
	}
	value, err := json.Marshal(row{1, text, r.sum(key, text), keep})
	if err != nil {
		return fmt.Errorf("encoding a client: %w", err)
	}
	if _, err = r.o.Table.PutIf(ctx, []byte(key), value, revision); err != nil {
		return fmt.Errorf("storing a client: %w", err)
	}
	return nil
}

// decode opens a row; one that was altered or moved is ErrCorrupt.
func (r *Registry) decode(prefix string, key, value []byte) (c Client, err error) {
	var v row
	if json.Unmarshal(value, &v) != nil || v.Format != 1 {
		return c, fmt.Errorf("stored client: %w", repository.ErrCorrupt)
	}
	sum := r.sum(string(key), v.Client)
	if subtle.ConstantTimeCompare(sum[:], v.Sum[:]) != 1 || json.Unmarshal(v.Client, &c) != nil || prefix+c.ID != string(key) {
		return Client{}, fmt.Errorf("stored client: %w", repository.ErrCorrupt)
	}
	return c, nil
}

// Get returns a client that is in force, or ErrUnknown.
func (r *Registry) Get(ctx context.Context, id string) (Client, error) {
	r.mu.RLock()
	e, ok := r.cache[id]
	r.mu.RUnlock()
	now := r.o.Now()
	if age := now.Sub(e.loaded); ok && age >= 0 && age < CacheTTL {
		return e.client, nil
	}
	c, _, err := r.load(ctx, id)
	if err != nil {
		return Client{}, err
	}
	if !c.Disabled.IsZero() {
		return Client{}, ErrUnknown
	}
	r.mu.Lock()
	if len(r.cache) > maxCached {
		clear(r.cache)
	}
	r.cache[id] = cached{c, now}
	r.mu.Unlock()
	return c, nil
}

const maxCached = 10_000

func (r *Registry) load(ctx context.Context, id string) (Client, uint64, error) {
	return r.loadFrom(ctx, rowPrefix, id)
}

func (r *Registry) loadFrom(ctx context.Context, prefix, id string) (Client, uint64, error) {
	if !idForm.MatchString(id) {
		return Client{}, 0, ErrUnknown
	}
	key := []byte(prefix + id)
	stored, err := r.o.Table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return Client{}, 0, ErrUnknown
	}
	if err != nil {
		return Client{}, 0, fmt.Errorf("reading a client: %w", err)
	}
	c, err := r.decode(prefix, key, stored.Value)
	return c, stored.Revision, err
}

// Show returns a client, disabled or not, or ErrUnknown.
func (r *Registry) Show(ctx context.Context, id string) (Client, error) {
	c, _, err := r.load(ctx, id)
	return c, err
}

// List returns all clients in the order of their ids.
func (r *Registry) List(ctx context.Context) (all []Client, err error) {
	for stored, err := range r.o.Table.Scan(ctx, []byte(rowPrefix)) {
		if err != nil {
			return nil, fmt.Errorf("reading clients: %w", err)
		}
		c, err := r.decode(rowPrefix, stored.Key, stored.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// RotateSecret gives a client a new secret and returns it; the old one is void
// at once here and within CacheTTL on other nodes.
func (r *Registry) RotateSecret(ctx context.Context, id string) (secret string, err error) {
	err = r.change(ctx, id, func(c *Client) error {
		if c.SecretHash == nil {
			return fmt.Errorf("%w: it has no secret", ErrClient)
		}
		secret = newSecret(c)
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// Disable ends a client for good.
func (r *Registry) Disable(ctx context.Context, id string) error {
	return r.change(ctx, id, func(c *Client) error {
		if c.Disabled.IsZero() {
			c.Disabled = r.o.Now().UTC().Truncate(time.Second)
		}
		return nil
	})
}

// change edits a row, also when another node changes it at the same time.
func (r *Registry) change(ctx context.Context, id string, edit func(*Client) error) error {
	for {
		c, revision, err := r.load(ctx, id)
		if err != nil {
			return err
		}
		if err := edit(&c); err != nil {
			return err
		}
		if err := r.put(ctx, c, revision); !errors.Is(err, repository.ErrConflict) {
			return err
		}
	}
}

// SecretMatches reports whether a secret is the client's, in constant time.
func (c Client) SecretMatches(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return len(c.SecretHash) == len(sum) && subtle.ConstantTimeCompare(sum[:], c.SecretHash) == 1
}
