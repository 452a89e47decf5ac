// Package token issues and verifies the opaque bearer tokens of the own
// issuer, and admits those of external issuers that External verified. It is
// the only place that builds an authz.Subject.
//
// Start with New, Issue and Verify. A token is "fst_" and 256 random bits. The
// table row is found by the SHA-256 hash of the token and is the final record:
// client, times and a keyed pseudonym of the account in clear, everything that
// names a person sealed under a key that only the token itself yields. Whoever
// reads the table can neither use a token nor see whose it is.
//
// Security notes: a token stands in no error, log line or row. Unknown tokens
// cost one hash and one lookup. Revocation is in force at once on this node
// and within CacheTTL on others. Nothing is cached that was not valid.
//
// Kept compatible: the row format (record.go) and the prefix, which secret
// scanners look for.
package token

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/repository"
)

// All three mean 401 with error="invalid_token"; they differ for the audit
// trail only.
var (
	ErrInvalid = errors.New("token is invalid")
	ErrExpired = errors.New("token has expired")
	ErrRevoked = errors.New("token was revoked")
)

// Limits of lifetimes (SMART App Launch 2.2; access.md, SMART 9).
const (
	DefaultLifetime = 15 * time.Minute
	MaxLifetime     = 60 * time.Minute
	ServiceLifetime = 5 * time.Minute // accounts without a user: default and maximum
	// CacheTTL is the longest time another node's revocation goes unnoticed.
	CacheTTL = 4 * time.Second
)

// Prefix starts every token.
const Prefix = "fst_"

const (
	secretBytes = 32
	tokenLen    = len(Prefix) + 43 // base64url of 32 bytes without padding
)

// Options are what an Issuer needs.
type Options struct {
	Table repository.Table
	// StorageID is the keyring's keyed PRF: it finds the patient and the
	// organizations of a token, and pseudonymises accounts.
	StorageID func(resourceType, id string) repository.StorageID
	// AllowDemo accepts and issues tokens of DemoClient, which may live for
	// ever. Set it only in the development profile on a loopback listener.
	AllowDemo bool
	// External verifies tokens of other issuers; nil accepts none.
	External External
	// Now is time.Now when nil.
	Now func() time.Time
}

// Validate reports every missing option at once.
func (o Options) Validate() error {
	var errs []error
	if o.Table == nil {
		errs = append(errs, errors.New("token: Options.Table is required"))
	}
	if o.StorageID == nil {
		errs = append(errs, errors.New("token: Options.StorageID is required"))
	}
	return errors.Join(errs...)
}

// Issuer issues, verifies and revokes tokens. It is safe for concurrent use
// and owns no goroutine.
type Issuer struct {
	table     repository.Table
	storageID func(resourceType, id string) repository.StorageID
	allowDemo bool
	external  External
	now       func() time.Time
	cache     cache
}

// New returns an Issuer over the table.
func New(o Options) (*Issuer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Issuer{table: o.Table, storageID: o.StorageID, allowDemo: o.AllowDemo, external: o.External, now: o.Now,
		cache: cache{m: make(map[[sha256.Size]byte]entry)}}, nil
}

// Draw returns a prefix and 32 random bytes in base64url. It is worth nothing
// before it is stored.
func Draw(prefix string) string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// Issue stores a new token durably and returns it. It is shown once: nothing
// can recover it later.
func (i *Issuer) Issue(ctx context.Context, c Claims) (string, error) {
	opaque := Draw(Prefix)
	if _, err := i.Store(ctx, opaque, c); err != nil {
		return "", err
	}
	return opaque, nil
}

// Store makes a drawn token valid, durably, and returns when it ends. A token
// that is stored already is ErrConflict.
func (i *Issuer) Store(ctx context.Context, opaque string, c Claims) (expires time.Time, err error) {
	lifetime, err := c.check(i.allowDemo)
	if err != nil {
		return expires, err
	}
	if !opaqueForm(opaque) {
		return expires, ErrInvalid
	}
	h := header{Format: 1, Client: c.Client, Account: i.pseudonym(c.Account), Issued: i.now().Unix()}
	if lifetime > 0 {
		h.Expires = i.now().Add(lifetime).Unix()
	}
	key := rowKey(sha256.Sum256([]byte(opaque)))
	value, err := encode(opaque, key, h, c)
	if err != nil {
		return expires, err
	}
	if _, err := i.table.PutIf(ctx, key, value, 0); err != nil {
		return expires, fmt.Errorf("storing a token: %w", err)
	}
	return time.Unix(h.Expires, 0), nil
}

// Inspect returns what a token that is in force says and when it was issued
// and ends, the zero time for never; the errors are those of Verify. Tokens of
// other issuers are for those to tell about: ErrInvalid.
func (i *Issuer) Inspect(ctx context.Context, bearer string) (c Claims, issued, expires time.Time, err error) {
	if !opaqueForm(bearer) {
		return c, issued, expires, ErrInvalid
	}
	if _, err := i.Verify(ctx, bearer, ""); err != nil {
		return c, issued, expires, err
	}
	key := rowKey(sha256.Sum256([]byte(bearer)))
	row, err := i.table.Get(ctx, key)
	if err != nil {
		return c, issued, expires, fmt.Errorf("reading a token: %w", err)
	}
	h, c, err := decode(bearer, key, row.Value)
	switch {
	case err != nil:
		return Claims{}, issued, expires, err
	case h.Revoked != 0: // since Verify kept it
		return Claims{}, issued, expires, ErrRevoked
	case h.Expires != 0:
		expires = time.Unix(h.Expires, 0)
	}
	return c, time.Unix(h.Issued, 0), expires, nil
}

// Present is the subject of claims without a token: somebody who is logged in at
// the pages of this server, for one request.
func (i *Issuer) Present(c Claims, address string) (authz.Subject, error) {
	if _, err := c.check(i.allowDemo); err != nil {
		return authz.Subject{}, err
	}
	claims := i.subjectClaims(c)
	claims.Address = address
	return authz.NewSubject(claims), nil
}

// opaqueForm reports whether a text looks like a token that was drawn here.
func opaqueForm(bearer string) bool {
	return len(bearer) == tokenLen && strings.HasPrefix(bearer, Prefix)
}

// Verify returns the subject of a bearer token, or ErrInvalid, ErrExpired or
// ErrRevoked. Any other error means that the table could not answer: deny
// (503). Address is the network address of the peer.
func (i *Issuer) Verify(ctx context.Context, bearer, address string) (authz.Subject, error) {
	load := i.load
	if !opaqueForm(bearer) {
		if !i.foreignForm(bearer) {
			return authz.Subject{}, ErrInvalid
		}
		load = i.loadExternal
	}
	hash := sha256.Sum256([]byte(bearer))
	now := i.now()
	e, ok := i.cache.get(hash, now)
	if !ok {
		var err error
		if e, err = load(ctx, bearer, hash, now); err != nil {
			return authz.Subject{}, err
		}
	}
	if e.expires != 0 && now.Unix() >= e.expires {
		return authz.Subject{}, ErrExpired
	}
	claims := e.claims
	claims.Address = address
	return authz.NewSubject(claims), nil
}

// load reads a token that is not in the cache and keeps it there when valid.
func (i *Issuer) load(ctx context.Context, bearer string, hash [sha256.Size]byte, now time.Time) (entry, error) {
	generation := i.cache.generation()
	key := rowKey(hash)
	row, err := i.table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return entry{}, ErrInvalid
	}
	if err != nil {
		return entry{}, fmt.Errorf("reading a token: %w", err)
	}
	h, c, err := decode(bearer, key, row.Value)
	switch {
	case err != nil:
		return entry{}, err
	case h.Client == DemoClient && !i.allowDemo:
		return entry{}, ErrInvalid
	case h.Revoked != 0:
		return entry{}, ErrRevoked
	case h.Expires != 0 && now.Unix() >= h.Expires:
		return entry{}, ErrExpired
	}
	e := entry{claims: i.subjectClaims(c), account: h.Account, expires: h.Expires, loaded: now}
	i.cache.put(hash, e, generation)
	return e, nil
}

func (i *Issuer) subjectClaims(c Claims) authz.SubjectClaims {
	s := authz.SubjectClaims{ID: c.Account, Roles: c.Roles, Client: c.Client, Who: c.Who, Patient: c.Patient,
		Scopes: c.Scopes, AMR: c.AMR, AuthTime: c.AuthTime, Purpose: c.Purpose, Purposes: c.Purposes}
	if s.Purpose == "" {
		s.Purpose = defaultPurpose
	}
	if c.Patient != "" {
		s.PatientKey = i.storageID("Patient", c.Patient)
	}
	for _, o := range c.Orgs {
		s.Orgs = append(s.Orgs, i.storageID("Organization", o))
	}
	return s
}

// pseudonym lets an account's tokens be revoked without naming the account in
// the table. No resource type is called token-account.
func (i *Issuer) pseudonym(account string) repository.StorageID {
	return i.storageID("token-account", account)
}
