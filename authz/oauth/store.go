package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// store implements what fosite's handlers keep, in one table.
type store struct{ *Server }

var (
	_ fosite.Storage                = (*store)(nil)
	_ oauth2.CoreStorage            = (*store)(nil)
	_ oauth2.TokenRevocationStorage = (*store)(nil)
	_ pkce.PKCERequestStorage       = (*store)(nil)
)

// kind is what a secret is for: the first part of its row's key.
type kind string

const (
	codes     kind = "code"
	refreshes kind = "refresh"
	launches  kind = "launch"
)

// keepUsed is how long a used secret is remembered, so that its reuse is
// noticed and ends the family.
const keepUsed = 24 * time.Hour

// sealedPurpose separates the keys that one secret gives.
const sealedPurpose = "fieldseal oauth row 1"

// secretRow is the stored value of a code, refresh token or launch.
type secretRow struct {
	Format  int    `json:"format"`
	Client  string `json:"client"`
	Grant   string `json:"grant"`   // the family; none of a launch
	Expires int64  `json:"expires"` // seconds since the Unix epoch
	Keep    int64  `json:"keep"`    // when the row may be removed
	Used    int64  `json:"used"`    // 0 = not yet
	Request []byte `json:"request"` // request or Launch, sealed under the secret
}

// bound is the associated data: a row cannot be moved to another secret or
// family, nor prolonged. Whoever can write the table can only use it up.
func (r secretRow) bound(key []byte) []byte {
	b, _ := json.Marshal([]any{string(key), r.Format, r.Client, r.Grant, r.Expires}) // strings and numbers cannot fail
	return b
}

// request is what is kept of a request.
type request struct {
	At        time.Time  `json:"at"`
	Requested []string   `json:"requested"`
	Granted   []string   `json:"granted"`
	Form      url.Values `json:"form,omitempty"`
	Session   *session   `json:"session"`
}

func secretKey(k kind, secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return append([]byte(k+"/"), sum[:]...)
}

func (s *store) createSecret(ctx context.Context, k kind, secret string, r fosite.Requester, life time.Duration) error {
	plain, err := json.Marshal(request{At: r.GetRequestedAt(), Requested: r.GetRequestedScopes(), Granted: r.GetGrantedScopes(),
		Form: r.GetRequestForm(), Session: r.GetSession().(*session)})
	if err != nil {
		return fmt.Errorf("encoding an authorization: %w", err)
	}
	return s.putSecret(ctx, k, secret, secretRow{Client: r.GetClient().GetID(), Grant: r.GetID()}, life, plain)
}

// putSecret stores what a drawn secret stands for, sealed under the secret.
func (s *store) putSecret(ctx context.Context, k kind, secret string, row secretRow, life time.Duration, plain []byte) (err error) {
	expires, key := s.Now().Add(life), secretKey(k, secret)
	row.Format, row.Expires, row.Keep = 1, expires.Unix(), expires.Add(keepUsed).Unix()
	if row.Request, err = token.SealUnder(secret, sealedPurpose, plain, row.bound(key)); err != nil {
		return err
	}
	value, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encoding an authorization: %w", err)
	}
	_, err = s.Table.PutIf(ctx, key, value, 0)
	return err
}

// openSecret returns the row of a secret and what it stands for. What is
// unknown, expired or altered is fosite.ErrNotFound.
func (s *store) openSecret(ctx context.Context, k kind, secret string) (row secretRow, revision uint64, plain []byte, err error) {
	key := secretKey(k, secret)
	stored, err := s.Table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return row, 0, nil, fosite.ErrNotFound
	}
	if err != nil {
		return row, 0, nil, fmt.Errorf("reading an authorization: %w", err)
	}
	if json.Unmarshal(stored.Value, &row) != nil || row.Format != 1 || s.Now().Unix() >= row.Expires {
		return row, 0, nil, fosite.ErrNotFound
	}
	if plain, err = token.OpenUnder(secret, sealedPurpose, row.Request, row.bound(key)); err != nil {
		return row, 0, nil, fosite.ErrNotFound
	}
	return row, stored.Revision, plain, nil
}

// readSecret returns the row of a code or refresh token and the request it
// stands for, or fosite.ErrNotFound, also for a client that is gone.
func (s *store) readSecret(ctx context.Context, k kind, secret string) (row secretRow, r *fosite.Request, err error) {
	row, _, plain, err := s.openSecret(ctx, k, secret)
	if err != nil {
		return row, nil, err
	}
	var kept request
	if json.Unmarshal(plain, &kept) != nil || kept.Session == nil {
		return row, nil, fosite.ErrNotFound
	}
	c, err := s.GetClient(ctx, row.Client)
	if err != nil {
		return row, nil, err
	}
	kept.Session.granted = kept.Granted
	return row, &fosite.Request{ID: row.Grant, RequestedAt: kept.At, Client: c, RequestedScope: kept.Requested,
		GrantedScope: kept.Granted, Form: kept.Form, Session: kept.Session}, nil
}

// useSecret consumes a secret by compare-and-set: of any number of concurrent
// calls, on any nodes, one succeeds and all others are used.
func (s *store) useSecret(ctx context.Context, k kind, secret string, used error) error {
	row, revision, _, err := s.openSecret(ctx, k, secret)
	switch {
	case err != nil:
		return err
	case row.Used != 0:
		return used
	}
	row.Used = s.Now().Unix()
	value, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encoding an authorization: %w", err)
	}
	_, err = s.Table.PutIf(ctx, secretKey(k, secret), value, revision)
	if errors.Is(err, repository.ErrConflict) {
		return used // rows change once: by their use
	}
	return err
}

// getSecret returns the request of a secret, with the error used when it was
// consumed.
func (s *store) getSecret(ctx context.Context, k kind, secret string, used error) (fosite.Requester, error) {
	row, r, err := s.readSecret(ctx, k, secret)
	if err != nil {
		return nil, err
	}
	if row.Used != 0 {
		return r, used
	}
	return r, nil
}

// Authorization codes.

// CreateAuthorizeCodeSession makes the family with its code, so that ending what
// an account gave ends a code that is under way, too.
func (s *store) CreateAuthorizeCodeSession(ctx context.Context, code string, r fosite.Requester) error {
	_, err := s.changeGrant(ctx, r.GetID(), func(g *grantRow) {
		g.Client, g.Account = r.GetClient().GetID(), s.pseudonym(r.GetSession().GetSubject())
	})
	if err != nil {
		return err
	}
	return s.createSecret(ctx, codes, code, r, CodeLifetime)
}

func (s *store) GetAuthorizeCodeSession(ctx context.Context, code string, _ fosite.Session) (fosite.Requester, error) {
	r, err := s.getSecret(ctx, codes, code, fosite.ErrInvalidatedAuthorizeCode)
	if errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) {
		if aerr := s.reused(ctx, r, "code-reuse"); aerr != nil {
			return nil, aerr
		}
	}
	if err != nil {
		return r, err
	}
	// Codes of earlier versions have no family yet.
	if _, ended, err := s.grantState(ctx, r.GetID()); err != nil || ended {
		return nil, cmp.Or(err, error(fosite.ErrNotFound))
	}
	return r, nil
}

func (s *store) InvalidateAuthorizeCodeSession(ctx context.Context, code string) error {
	return s.useSecret(ctx, codes, code, fosite.ErrInvalidatedAuthorizeCode)
}

// The code's row holds the challenge too.

func (s *store) CreatePKCERequestSession(context.Context, string, fosite.Requester) error { return nil }

func (s *store) GetPKCERequestSession(ctx context.Context, code string, _ fosite.Session) (fosite.Requester, error) {
	return s.getSecret(ctx, codes, code, fosite.ErrInvalidatedAuthorizeCode)
}

func (s *store) DeletePKCERequestSession(context.Context, string) error { return nil }

// Refresh tokens.

func (s *store) CreateRefreshTokenSession(ctx context.Context, secret, _ string, r fosite.Requester) error {
	life := r.GetClient().(registered).RefreshLifetime(s.RefreshLifetime)
	online := !slices.Contains(r.GetGrantedScopes(), smart.OfflineAccess)
	_, err := s.changeGrant(ctx, r.GetID(), func(g *grantRow) {
		if online { // however often it is used
			life = min(life, time.Unix(g.Created, 0).Add(OnlineLifetime).Sub(s.Now()))
		}
		g.Keep = max(g.Keep, s.Now().Add(life+keepUsed).Unix())
	})
	if err != nil {
		return err
	}
	return s.createSecret(ctx, refreshes, secret, r, life)
}

func (s *store) GetRefreshTokenSession(ctx context.Context, secret string, _ fosite.Session) (fosite.Requester, error) {
	r, err := s.getSecret(ctx, refreshes, secret, fosite.ErrInactiveToken)
	if errors.Is(err, fosite.ErrInactiveToken) {
		if aerr := s.reused(ctx, r, "refresh-reuse"); aerr != nil {
			return nil, aerr
		}
	}
	if err != nil {
		return r, err
	}
	if known, ended, err := s.grantState(ctx, r.GetID()); err != nil || ended || !known {
		return nil, cmp.Or(err, error(fosite.ErrNotFound))
	}
	return r, nil
}

// DeleteRefreshTokenSession has nothing to do: a used row stays, so that a
// third use is noticed as the second was.
func (s *store) DeleteRefreshTokenSession(context.Context, string) error { return nil }

func (s *store) RotateRefreshToken(ctx context.Context, _, secret string) error {
	return s.useSecret(ctx, refreshes, secret, fosite.ErrInactiveToken)
}

// RevokeRefreshToken and RevokeAccessToken end the whole family: one without
// the other would leave a half.
func (s *store) RevokeRefreshToken(ctx context.Context, grant string) error {
	return s.endGrant(ctx, grant)
}

func (s *store) RevokeAccessToken(ctx context.Context, grant string) error {
	return s.endGrant(ctx, grant)
}

// ClientAssertionJWTValid and SetClientAssertionJWT are of fosite's own client
// authentication, which is not in use: they refuse.
func (s *store) ClientAssertionJWTValid(context.Context, string) error { return fosite.ErrJTIKnown }

func (s *store) SetClientAssertionJWT(context.Context, string, time.Time) error {
	return fosite.ErrJTIKnown
}
