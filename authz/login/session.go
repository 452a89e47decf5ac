package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// Prefixes of secrets: an anonymous session has no row, so that strangers cost
// no storage.
const (
	sessionPrefix   = "fss_"
	anonymousPrefix = "fsa_"
	rowSessions     = "session/"
	sealedPurpose   = "fieldseal login row 1"
)

// drawnLen is the length of a drawn secret behind its prefix: 256 bits in
// base64url.
const drawnLen = 43

// seenStep is how old the mark of the last request may get before it is
// written anew.
const seenStep = 5 * time.Minute

// secretRow is the stored value of a session or link, sealed under its secret.
type secretRow struct {
	Format int    `json:"format"`
	Keep   int64  `json:"keep"` // when the row may be removed
	Sealed []byte `json:"sealed"`
}

// body is what a session row holds.
type body struct {
	Account   string                `json:"account"`
	AMR       []string              `json:"amr"`
	AuthTime  time.Time             `json:"authTime"`
	Epoch     uint64                `json:"epoch"`
	Created   time.Time             `json:"created"`
	Seen      time.Time             `json:"seen"`
	Challenge *webauthn.SessionData `json:"challenge,omitempty"` // of a WebAuthn ceremony, used once
	TOTP      string                `json:"totp,omitempty"`      // offered, not confirmed
}

// open is a session with all that is known about it.
type open struct {
	secret   string
	revision uint64
	body     body
	account  account.Account
	creds    credentials
	view     Session
}

func csrfOf(secret string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte("fieldseal csrf 1"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// Begin starts an anonymous session, so that the login form is bound to a
// browser too.
func (s *Service) Begin(context.Context) (secret string, _ Session, err error) {
	secret = token.Draw(anonymousPrefix)
	return secret, Session{CSRF: csrfOf(secret), Expires: s.Now().Add(Idle)}, nil
}

// Open returns the session of a secret, or ErrNoSession.
func (s *Service) Open(ctx context.Context, secret string) (Session, error) {
	if strings.HasPrefix(secret, anonymousPrefix) && len(secret) == len(anonymousPrefix)+drawnLen {
		return Session{CSRF: csrfOf(secret), Expires: s.Now().Add(Idle)}, nil
	}
	o, err := s.open(ctx, secret)
	return o.view, err
}

func rowKey(prefix, secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return append([]byte(prefix), sum[:]...)
}

func (s *Service) readSecret(ctx context.Context, prefix, secret string, to any) (revision uint64, err error) {
	key := rowKey(prefix, secret)
	stored, err := s.Table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return 0, ErrNoSession
	}
	if err != nil {
		return 0, fmt.Errorf("reading a session: %w", err)
	}
	var row secretRow
	if json.Unmarshal(stored.Value, &row) != nil || row.Format != format {
		return 0, ErrNoSession
	}
	plain, err := token.OpenUnder(secret, sealedPurpose, row.Sealed, key)
	if err != nil || json.Unmarshal(plain, to) != nil {
		return 0, ErrNoSession
	}
	return stored.Revision, nil
}

func (s *Service) writeSecret(ctx context.Context, prefix, secret string, from any, keep time.Time, revision uint64) (uint64, error) {
	plain, err := json.Marshal(from)
	if err != nil {
		return 0, fmt.Errorf("encoding a session: %w", err)
	}
	key := rowKey(prefix, secret)
	sealed, err := token.SealUnder(secret, sealedPurpose, plain, key)
	if err != nil {
		return 0, err
	}
	value, err := json.Marshal(secretRow{format, keep.Unix(), sealed})
	if err != nil {
		return 0, fmt.Errorf("encoding a session: %w", err)
	}
	return s.Table.PutIf(ctx, key, value, revision)
}

func (b body) expires() time.Time {
	idle, absolute := b.Seen.Add(Idle), b.Created.Add(Absolute)
	if idle.Before(absolute) {
		return idle
	}
	return absolute
}

// open reads a session of a person. One whose account was disabled, ended or
// removed, or whose credentials changed, is none.
func (s *Service) open(ctx context.Context, secret string) (o open, err error) {
	o.secret = secret
	if !strings.HasPrefix(secret, sessionPrefix) {
		return o, ErrNoSession
	}
	if o.revision, err = s.readSecret(ctx, rowSessions, secret, &o.body); err != nil {
		return open{}, err
	}
	now := s.Now()
	if !now.Before(o.body.expires()) {
		return open{}, ErrNoSession
	}
	if o.account, err = s.Accounts.Get(ctx, o.body.Account); err != nil {
		if errors.Is(err, account.ErrUnknown) {
			err = ErrNoSession
		}
		return open{}, err
	}
	if o.creds, _, err = s.load(ctx, o.body.Account); err != nil {
		return open{}, err
	}
	if o.account.Ended(now) || o.creds.Epoch != o.body.Epoch {
		return open{}, ErrNoSession
	}
	if now.Sub(o.body.Seen) > seenStep {
		o.body.Seen = now
		if o.revision, err = s.writeSecret(ctx, rowSessions, secret, o.body, o.body.expires(), o.revision); errors.Is(err, repository.ErrConflict) {
			return s.open(ctx, secret) // another request of the browser was faster
		}
		if err != nil {
			return open{}, err
		}
	}
	o.view = s.view(o)
	return o, nil
}

func (s *Service) view(o open) Session {
	return Session{Account: o.body.Account, AMR: o.body.AMR, AuthTime: o.body.AuthTime, Stage: s.stage(o.account, &o.creds, o.body.AMR),
		CSRF: csrfOf(o.secret), Expires: o.body.expires()}
}

// keep stores a changed session under its secret. When another request changed
// it meanwhile, what was to be used once is used: ErrStale.
func (s *Service) keep(ctx context.Context, o *open) (err error) {
	o.revision, err = s.writeSecret(ctx, rowSessions, o.secret, o.body, o.body.expires(), o.revision)
	if errors.Is(err, repository.ErrConflict) {
		return ErrStale
	}
	return err
}

// rise replaces a session by one with another secret: whoever knew the secret
// before knows nothing now (session fixation).
func (s *Service) rise(ctx context.Context, old string, a account.Account, c credentials, b body) (string, Session, error) {
	o := open{secret: token.Draw(sessionPrefix), body: b, account: a, creds: c}
	if _, err := s.writeSecret(ctx, rowSessions, o.secret, o.body, o.body.expires(), 0); err != nil {
		return "", Session{}, err
	}
	if err := s.drop(ctx, old); err != nil {
		return "", Session{}, err
	}
	return o.secret, s.view(o), nil
}

// drop removes a session's row.
func (s *Service) drop(ctx context.Context, secret string) error {
	key := rowKey(rowSessions, secret)
	for {
		stored, err := s.Table.Get(ctx, key)
		if err == nil {
			err = s.Table.DeleteIf(ctx, key, stored.Revision)
		}
		switch {
		case errors.Is(err, repository.ErrNotFound):
			return nil
		case errors.Is(err, repository.ErrConflict):
			continue
		case err != nil:
			return fmt.Errorf("ending a session: %w", err)
		}
		return nil
	}
}

// End logs out. A session that is gone already is no error.
func (s *Service) End(ctx context.Context, secret, peer string) error {
	o, err := s.open(ctx, secret)
	if errors.Is(err, ErrNoSession) {
		return nil
	}
	if err == nil {
		err = s.record(ctx, audit.Login, "logout", "", o.body.Account, peer)
	}
	if err != nil {
		return err
	}
	return s.drop(ctx, secret)
}

// EndAll ends every session of an account.
func (s *Service) EndAll(ctx context.Context, account string) error {
	_, err := s.change(ctx, account, func(c *credentials) error {
		c.Epoch++
		return nil
	})
	return err
}

// Sweep removes rows that nothing depends on any more and returns how many. It
// may run on several nodes at once.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	return repository.Sweep(ctx, s.Table, s.Now().Unix(), rowSessions, rowLinks, throttlePrefix, knownPrefix)
}
