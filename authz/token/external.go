package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
)

// External verifies bearer tokens of other issuers.
type External interface {
	// External returns what a token says of a local account that is in force,
	// and when the token ends. A token that is refused is ErrInvalid or
	// ErrExpired; any other error means that nobody could tell (503).
	External(ctx context.Context, bearer string) (c Claims, expires time.Time, err error)
}

// Reason is the code under which the trail counts a refused token: an error of
// External may have one of its own.
func Reason(err error) string {
	var coded interface{ AuditReason() string }
	if errors.As(err, &coded) {
		return coded.AuditReason()
	}
	return "invalid-token"
}

// maxExternalBytes bounds a token of another issuer.
const maxExternalBytes = 8 << 10

// foreignForm reports whether a text may be a signed token of another issuer
// (RFC 7515 §3.1, compact serialization) and such tokens are accepted.
func (i *Issuer) foreignForm(bearer string) bool {
	return i.external != nil && len(bearer) <= maxExternalBytes && strings.Count(bearer, ".") == 2
}

// loadExternal verifies a token that is not in the cache and keeps it there when
// valid. The account is read anew each time, so that one which is disabled is
// out within CacheTTL on every node.
func (i *Issuer) loadExternal(ctx context.Context, bearer string, hash [sha256.Size]byte, now time.Time) (entry, error) {
	generation := i.cache.generation()
	c, expires, err := i.external.External(ctx, bearer)
	if err != nil {
		return entry{}, err
	}
	// Another issuer's client is never the one of demo tokens.
	if _, err := c.check(false); err != nil {
		return entry{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !expires.After(now) {
		return entry{}, ErrExpired
	}
	e := entry{claims: i.subjectClaims(c), account: i.pseudonym(c.Account), expires: expires.Unix(), loaded: now}
	i.cache.put(hash, e, generation)
	return e, nil
}
