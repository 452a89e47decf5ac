package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/authz/keyset"
	"github.com/fieldseal/fieldseal/repository"
)

// Times of the documents of an issuer.
const (
	// KeyGrace is how long keys serve that cannot be fetched anew: an issuer
	// that is down for an hour stops nobody, and a key that it withdrew is out by
	// then.
	KeyGrace = time.Hour
	// retry is between two fetches that fail, or that an unknown kid asks for.
	retry = 30 * time.Second
	// floor is between two fetches whatever Cache-Control says.
	floor = 5 * time.Second
)

// ErrAway means that an issuer's keys or endpoints are not known and cannot be
// fetched: deny (503).
var ErrAway = fmt.Errorf("the external issuer cannot be reached: %w", repository.ErrUnavailable)

// Metadata is what a login needs of the discovery document (OpenID Connect
// Discovery §3, RFC 8414 §2).
type Metadata struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Keys          string `json:"jwks_uri"`
	// EndSession is where people end their session at the issuer; empty: nowhere
	// (OpenID Connect RP-Initiated Logout §2.1).
	EndSession string `json:"end_session_endpoint"`
	// IssuerInResponse means that every authorization response names its issuer
	// (RFC 9207 §3).
	IssuerInResponse bool `json:"authorization_response_iss_parameter_supported"`
}

// keys are the keys and endpoints of one issuer, fetched when they are needed.
type keys struct {
	settings *Settings
	fetcher  *keyset.Fetcher
	now      func() time.Time
	outcome  func(err error, serving bool) // of a fetch; serving: what is held serves

	refreshing sync.Mutex // held by the one who fetches
	mu         sync.Mutex
	held       held
}

// held is what was fetched last.
type held struct {
	set     jose.JSONWebKeySet
	meta    Metadata
	fetched time.Time // zero: never
	until   time.Time // fresh before
	tried   time.Time // also when that failed
	failing bool
}

func (h *held) fresh(now time.Time) bool { return now.Before(h.until) && !now.Before(h.fetched) }

func (h *held) usable(now time.Time) bool {
	return !h.fetched.IsZero() && now.Sub(h.fetched) < KeyGrace && !now.Before(h.fetched)
}

// due reports whether the issuer may be asked again.
func (h *held) due(now time.Time) bool {
	age := now.Sub(h.tried)
	return h.tried.IsZero() || age < 0 || age >= retry || !h.failing && !h.fresh(now) && age >= floor
}

func (k *keys) current() held {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

// find returns the keys that a signature may be by, keyset.ErrKey when the issuer
// has none, or ErrAway when nobody can tell; named: it is the one with the kid. An unknown kid has the keys fetched again,
// once in a while: an issuer rotates its keys, and nobody may make the server
// ask for them all the time.
func (k *keys) find(ctx context.Context, kid, algorithm string) (found []any, named bool, err error) {
	if k.settings.inline != nil {
		return keyset.Candidates(*k.settings.inline, kid, algorithm)
	}
	h, now := k.current(), k.now()
	found, named, err = keyset.Candidates(h.set, kid, algorithm)
	served := err == nil && h.usable(now)
	if served && h.fresh(now) {
		return found, named, nil
	}
	k.refresh(ctx, served)
	h, now = k.current(), k.now()
	if !h.usable(now) {
		return nil, false, ErrAway
	}
	if found, named, err = keyset.Candidates(h.set, kid, algorithm); err != nil && h.failing {
		return nil, false, ErrAway // it may be a new key
	}
	return found, named, err
}

// renewed fetches the keys again, as an unknown kid would, and reports whether
// that brought any.
func (k *keys) renewed(ctx context.Context) bool {
	if k.settings.inline != nil {
		return false
	}
	before := k.current().fetched
	k.refresh(ctx, false)
	return k.current().fetched != before
}

// metadata returns the endpoints of the issuer, or ErrAway.
func (k *keys) metadata(ctx context.Context) (Metadata, error) {
	if h, now := k.current(), k.now(); !h.fresh(now) || !h.usable(now) {
		k.refresh(ctx, h.usable(now))
	}
	h := k.current()
	if !h.usable(k.now()) {
		return Metadata{}, ErrAway
	}
	return h.meta, nil
}

// refresh fetches what the issuer publishes, if it is time to. Of concurrent
// callers one does; the others wait for it, unless what is held serves them.
func (k *keys) refresh(ctx context.Context, served bool) {
	if served {
		if !k.refreshing.TryLock() {
			return
		}
	} else {
		k.refreshing.Lock()
	}
	defer k.refreshing.Unlock()
	before := k.current()
	if !before.due(k.now()) {
		return
	}
	// A caller who goes away must not make it look as though the issuer had.
	next, life, err := k.fetch(context.WithoutCancel(ctx))
	now := k.now()
	if err != nil {
		next = before
		next.failing = true
		k.outcome(err, before.usable(now))
	} else {
		next.fetched, next.until = now, now.Add(life)
		k.outcome(nil, true)
	}
	next.tried = now
	k.mu.Lock()
	k.held = next
	k.mu.Unlock()
}

// fetch reads the discovery document, where it is needed, and the keys, and
// says how long they are fresh.
func (k *keys) fetch(ctx context.Context) (h held, life time.Duration, err error) {
	life = keyset.Life
	h.meta.Keys = k.settings.KeysURL
	if k.settings.Login != nil || k.settings.KeysURL == "" {
		if h.meta, life, err = k.discover(ctx); err != nil {
			return h, 0, err
		}
	}
	if k.settings.inline == nil {
		var keysLife time.Duration
		if h.set, keysLife, err = k.fetcher.Keys(ctx, h.meta.Keys); err != nil {
			return h, 0, err
		}
		life = min(life, keysLife)
	}
	return h, life, nil
}

// discover reads the discovery document, which must be the issuer's own
// (OpenID Connect Discovery §4.3).
func (k *keys) discover(ctx context.Context) (m Metadata, life time.Duration, err error) {
	body, life, err := k.fetcher.Document(ctx, strings.TrimSuffix(k.settings.URL, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return m, 0, err
	}
	if json.Unmarshal(body, &m) != nil || m.Issuer != k.settings.URL {
		return m, 0, errors.New("the discovery document is not that of the issuer")
	}
	if m.EndSession != "" && !secure(m.EndSession) {
		m.EndSession = "" // nobody is sent there
	}
	if k.settings.KeysURL != "" {
		m.Keys = k.settings.KeysURL
	}
	if k.settings.inline == nil && !secure(m.Keys) || k.settings.Login != nil && !(secure(m.Authorization) && secure(m.Token)) {
		return m, 0, errors.New("the discovery document names an endpoint that is not https, or lacks one")
	}
	return m, life, nil
}
