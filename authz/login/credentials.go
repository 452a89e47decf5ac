package login

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/fieldseal/fieldseal/repository"
)

const (
	tableName = "login"
	rowProofs = "credential/"
	format    = 1
)

// credentials are what an account proves itself with. The row is sealed.
type credentials struct {
	Account  string        `json:"account"`
	Password *passwordHash `json:"password,omitempty"`
	TOTP     *totpFactor   `json:"totp,omitempty"`
	Passkeys []passkey     `json:"passkeys,omitempty"`
	Recovery [][]byte      `json:"recovery,omitempty"` // salted hashes of unused codes
	Salt     []byte        `json:"salt,omitempty"`     // of the recovery codes
	Invite   *invite       `json:"invite,omitempty"`
	// Epoch counts what ends the sessions of the account.
	Epoch uint64 `json:"epoch"`
}

// totpFactor is an authenticator app (RFC 6238).
type totpFactor struct {
	Secret string    `json:"secret"` // base32
	Step   uint64    `json:"step"`   // the last one that was accepted
	Since  time.Time `json:"since"`
}

// passkey is an authenticator (WebAuthn).
type passkey struct {
	Name       string              `json:"name"`
	Credential webauthn.Credential `json:"credential"`
	Created    time.Time           `json:"created"`
	Used       time.Time           `json:"used,omitzero"`
}

// invite is the open enrolment link.
type invite struct {
	Hash    []byte    `json:"hash"` // SHA-256 of its secret
	Expires time.Time `json:"expires"`
}

func (c *credentials) hasFactor() bool { return c.TOTP != nil || len(c.Passkeys) > 0 }

// sealedRow is the stored value.
type sealedRow struct {
	Format int    `json:"format"`
	Sealed []byte `json:"sealed"`
}

// credentialKey names no account: it is a keyed pseudonym.
func (s *Service) credentialKey(account string) []byte {
	id := s.Sealer.StorageID("login-credential", account)
	return append([]byte(rowProofs), hex.EncodeToString(id[:])...)
}

// load returns the credentials of an account, empty ones with revision 0 when it
// has none.
func (s *Service) load(ctx context.Context, account string) (c credentials, revision uint64, err error) {
	key := s.credentialKey(account)
	row, err := s.Table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return credentials{Account: account}, 0, nil
	}
	if err != nil {
		return c, 0, fmt.Errorf("reading credentials: %w", err)
	}
	var v sealedRow
	if json.Unmarshal(row.Value, &v) != nil || v.Format != format {
		return c, 0, fmt.Errorf("stored credentials: %w", repository.ErrCorrupt)
	}
	plain, err := s.Sealer.OpenRow(v.Sealed, tableName, key)
	if err != nil || json.Unmarshal(plain, &c) != nil || c.Account != account {
		return credentials{}, 0, fmt.Errorf("stored credentials: %w", repository.ErrCorrupt)
	}
	return c, row.Revision, nil
}

// change applies f to the credentials until no other change comes between. An
// error of f ends it and nothing is stored.
func (s *Service) change(ctx context.Context, account string, f func(*credentials) error) (credentials, error) {
	key := s.credentialKey(account)
	for {
		c, revision, err := s.load(ctx, account)
		if err != nil {
			return c, err
		}
		if err := f(&c); err != nil {
			return c, err
		}
		plain, err := json.Marshal(c)
		if err != nil {
			return c, fmt.Errorf("encoding credentials: %w", err)
		}
		sealed, err := s.Sealer.SealRow(plain, tableName, key)
		if err != nil {
			return c, err
		}
		value, err := json.Marshal(sealedRow{format, sealed})
		if err != nil {
			return c, fmt.Errorf("encoding credentials: %w", err)
		}
		if _, err = s.Table.PutIf(ctx, key, value, revision); !errors.Is(err, repository.ErrConflict) {
			return c, err
		}
	}
}

// Factors are what an account has enrolled.
type Factors struct {
	Password     bool
	TOTP         bool
	TOTPSince    time.Time
	Passkeys     []Passkey
	RecoveryLeft int
	Invited      time.Time // until when an enrolment link is open, zero: none
}

// Passkey is one authenticator of an account.
type Passkey struct {
	ID      string // base64url of the credential id
	Name    string
	Created time.Time
	Used    time.Time
}

// Factors returns what an account has enrolled, also when it has nothing.
func (s *Service) Factors(ctx context.Context, account string) (Factors, error) {
	c, _, err := s.load(ctx, account)
	if err != nil {
		return Factors{}, err
	}
	f := Factors{Password: c.Password != nil, TOTP: c.TOTP != nil, RecoveryLeft: len(c.Recovery)}
	if c.TOTP != nil {
		f.TOTPSince = c.TOTP.Since
	}
	if c.Invite != nil && s.Now().Before(c.Invite.Expires) {
		f.Invited = c.Invite.Expires
	}
	for _, k := range c.Passkeys {
		f.Passkeys = append(f.Passkeys, Passkey{ID: passkeyID(k.Credential.ID), Name: k.Name, Created: k.Created, Used: k.Used})
	}
	return f, nil
}
