package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/keyset"
)

// Limits of key sets that are fetched.
const (
	keySetRetry = 30 * time.Second
	maxKeySets  = 1000
)

var errKeySet = errors.New("the client's key set cannot be fetched")

// keySets finds the keys of clients. Sets behind a URL are fetched under the
// rules of authz/keyset and kept no longer than their Cache-Control says.
type keySets struct {
	fetcher *keyset.Fetcher
	now     func() time.Time
	mu      sync.Mutex
	sets    map[string]*keySet
	inline  map[[sha256.Size]byte]jose.JSONWebKeySet // by the hash of their text
}

// keySet is a fetched set; mu makes concurrent requests fetch once.
type keySet struct {
	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time // also when that failed
	until   time.Time
}

func newKeySets(o Options) *keySets {
	return &keySets{now: o.Now, sets: map[string]*keySet{}, inline: map[[sha256.Size]byte]jose.JSONWebKeySet{}, fetcher: keyset.NewFetcher(o.Reachable, o.Transport)}
}

// of returns the client's key set. A kid that a fetched set does not hold has
// it fetched again, but not more often than keySetRetry: a client may rotate
// its keys, and nobody may make the server ask for them all the time.
func (k *keySets) of(ctx context.Context, c client.Client, kid string) (jose.JSONWebKeySet, error) {
	if c.KeysURL == "" {
		return k.parsed(c.Keys)
	}
	e := k.entry(c.KeysURL)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := k.now()
	fresh, recent := now.Before(e.until), now.Sub(e.fetched) < keySetRetry
	if fresh && (recent || len(e.set.Key(kid)) > 0) {
		return e.set, nil
	}
	if recent && e.until.IsZero() {
		return jose.JSONWebKeySet{}, errKeySet // it failed a moment ago
	}
	// Nobody who goes away shuts the client out for a while.
	set, life, err := k.fetcher.Keys(context.WithoutCancel(ctx), c.KeysURL)
	e.fetched = now
	switch {
	case err != nil && fresh: // a guessed kid at a bad moment takes nobody's keys
		return e.set, nil
	case err != nil:
		e.set, e.until = jose.JSONWebKeySet{}, time.Time{}
		return jose.JSONWebKeySet{}, errKeySet
	}
	e.set, e.until = set, now.Add(life)
	return set, nil
}

// parsed reads a registered set, once: reading costs a tenth of a token request.
func (k *keySets) parsed(text []byte) (jose.JSONWebKeySet, error) {
	sum := sha256.Sum256(text)
	k.mu.Lock()
	set, ok := k.inline[sum]
	k.mu.Unlock()
	if ok {
		return set, nil
	}
	set, err := keyset.Parse(text)
	if err != nil {
		return set, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.inline) >= maxKeySets {
		clear(k.inline)
	}
	k.inline[sum] = set
	return set, nil
}

func (k *keySets) entry(url string) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.sets[url]
	if e == nil {
		if len(k.sets) >= maxKeySets {
			clear(k.sets)
		}
		e = &keySet{}
		k.sets[url] = e
	}
	return e
}
