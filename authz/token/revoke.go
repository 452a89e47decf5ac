package token

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Revoke ends a token. It is durable and in force on this node when it
// returns. An unknown or already revoked token is no error (RFC 7009 §2.2).
func (i *Issuer) Revoke(ctx context.Context, bearer string) error {
	return i.RevokeHash(ctx, sha256.Sum256([]byte(bearer)))
}

// RevokeHash is Revoke for those who keep the SHA-256 of a token, not the
// token.
func (i *Issuer) RevokeHash(ctx context.Context, hash [sha256.Size]byte) error {
	row, err := i.table.Get(ctx, rowKey(hash))
	if err == nil {
		err = i.revokeRow(ctx, row)
	}
	i.cache.forget(func(h [sha256.Size]byte, _ entry) bool { return h == hash })
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return fmt.Errorf("revoking a token: %w", err)
	}
	return nil
}

// RevokeAccount ends every token of an account and returns how many were in
// force.
func (i *Issuer) RevokeAccount(ctx context.Context, account string) (int, error) {
	who := i.pseudonym(account)
	return i.revokeAll(ctx, func(h header) bool { return h.Account == who }, func(e entry) bool { return e.account == who })
}

// RevokeClient ends every token of an OAuth client and returns how many were
// in force.
func (i *Issuer) RevokeClient(ctx context.Context, client string) (int, error) {
	return i.revokeAll(ctx, func(h header) bool { return h.Client == client }, func(e entry) bool { return e.claims.Client == client })
}

// revokeAll ends the tokens whose rows match, and forgets those of the cache
// that do.
func (i *Issuer) revokeAll(ctx context.Context, stored func(header) bool, cached func(entry) bool) (int, error) {
	rows, err := i.rows(ctx, func(h header) bool { return h.Revoked == 0 && stored(h) })
	n := 0
	for _, r := range rows {
		if err != nil {
			break
		}
		if err = i.revokeRow(ctx, r); errors.Is(err, repository.ErrNotFound) {
			err = nil // swept meanwhile
		}
		if err == nil {
			n++
		}
	}
	i.cache.forget(func(_ [sha256.Size]byte, e entry) bool { return cached(e) })
	if err != nil {
		return n, fmt.Errorf("revoking tokens: %w", err)
	}
	return n, nil
}

// rows collects the rows whose header matches before any of them is changed.
func (i *Issuer) rows(ctx context.Context, match func(header) bool) ([]repository.Row, error) {
	var found []repository.Row
	for r, err := range i.table.Scan(ctx, []byte(rowPrefix)) {
		if err != nil {
			return nil, err
		}
		var h header
		if json.Unmarshal(r.Value, &h) == nil && h.Format == 1 && match(h) {
			found = append(found, r)
		}
	}
	return found, nil
}

// revokeRow marks a row, also when another node changes it at the same time.
func (i *Issuer) revokeRow(ctx context.Context, r repository.Row) error {
	for {
		var v row
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return fmt.Errorf("stored token: %w", repository.ErrCorrupt)
		}
		if v.Revoked != 0 {
			return nil
		}
		v.Revoked = i.now().Unix()
		value, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encoding a token row: %w", err)
		}
		if _, err = i.table.PutIf(ctx, r.Key, value, r.Revision); !errors.Is(err, repository.ErrConflict) {
			return err
		}
		if r, err = i.table.Get(ctx, r.Key); err != nil {
			return err
		}
	}
}

// sweepAfter keeps an expired row for a while, so that its use is recorded as
// expired and not as unknown.
const sweepAfter = time.Hour

// Sweep deletes rows whose tokens expired more than an hour ago and returns
// how many. Call it every few minutes; it may run on several nodes at once.
func (i *Issuer) Sweep(ctx context.Context) (int, error) {
	limit := i.now().Add(-sweepAfter).Unix()
	rows, err := i.rows(ctx, func(h header) bool { return h.Expires != 0 && h.Expires <= limit })
	if err != nil {
		return 0, fmt.Errorf("sweeping tokens: %w", err)
	}
	n := 0
	for _, r := range rows {
		err := i.table.DeleteIf(ctx, r.Key, r.Revision)
		switch {
		case err == nil:
			n++
		case !errors.Is(err, repository.ErrNotFound) && !errors.Is(err, repository.ErrConflict):
			return n, fmt.Errorf("sweeping tokens: %w", err)
		}
	}
	return n, nil
}
