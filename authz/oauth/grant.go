package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/repository"
)

// grantRow is the family of tokens that one authorization of a user gave to a
// client. It names nobody: the account is a pseudonym.
type grantRow struct {
	Format  int                  `json:"format"`
	Client  string               `json:"client"`
	Account repository.StorageID `json:"account"`
	Created int64                `json:"created"`
	Keep    int64                `json:"keep"`
	Revoked int64                `json:"revoked"`
	Tokens  []issuedToken        `json:"tokens"` // access tokens that may be in force
	Used    int64                `json:"used,omitempty"`
	Scopes  []string             `json:"scopes,omitempty"` // that the user granted
}

type issuedToken struct {
	Hash    []byte `json:"hash"` // SHA-256
	Expires int64  `json:"expires"`
}

func grantKey(id string) []byte { return []byte("grant/" + id) }

func (s *Server) pseudonym(account string) repository.StorageID {
	return s.PRF("oauth-account", account)
}

// changeGrant edits the row of a family, which is made when there is none, also
// when another node edits it at the same time.
func (s *Server) changeGrant(ctx context.Context, id string, edit func(*grantRow)) (grantRow, error) {
	for {
		g := grantRow{Format: 1, Created: s.Now().Unix()}
		stored, err := s.Table.Get(ctx, grantKey(id))
		switch {
		case errors.Is(err, repository.ErrNotFound):
		case err != nil:
			return g, fmt.Errorf("reading a grant: %w", err)
		case json.Unmarshal(stored.Value, &g) != nil || g.Format != 1:
			return g, fmt.Errorf("stored grant: %w", repository.ErrCorrupt)
		}
		edit(&g)
		g.Keep = max(g.Keep, s.Now().Add(keepUsed).Unix())
		value, err := json.Marshal(g)
		if err != nil {
			return g, fmt.Errorf("encoding a grant: %w", err)
		}
		if _, err = s.Table.PutIf(ctx, grantKey(id), value, stored.Revision); !errors.Is(err, repository.ErrConflict) {
			return g, err
		}
	}
}

// grantState reports whether there is a row of a family, and whether it says
// that the family has ended; what it says otherwise is no leave to go on.
func (s *Server) grantState(ctx context.Context, id string) (known, ended bool, err error) {
	var g grantRow
	stored, err := s.Table.Get(ctx, grantKey(id))
	if errors.Is(err, repository.ErrNotFound) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("reading a grant: %w", err)
	}
	return true, json.Unmarshal(stored.Value, &g) != nil || g.Format != 1 || g.Revoked != 0, nil
}

// endGrant revokes a family: no refresh token of it works any more, and its
// access tokens are revoked.
func (s *Server) endGrant(ctx context.Context, id string) error {
	g, err := s.changeGrant(ctx, id, func(g *grantRow) {
		if g.Revoked == 0 {
			g.Revoked = s.Now().Unix()
		}
	})
	if err != nil {
		return err
	}
	return s.revokeTokens(ctx, g)
}

func (s *Server) revokeTokens(ctx context.Context, g grantRow) error {
	var errs []error
	for _, t := range g.Tokens {
		if len(t.Hash) == sha256.Size {
			errs = append(errs, s.Tokens.RevokeHash(ctx, [sha256.Size]byte(t.Hash)))
		}
	}
	return errors.Join(errs...)
}

// CreateAccessTokenSession makes a drawn access token valid. It comes after the
// code or refresh token was consumed. When the family ended meanwhile, because
// the code came twice, the token is revoked again at once.
func (s *store) CreateAccessTokenSession(ctx context.Context, secret string, r fosite.Requester) error {
	sess := r.GetSession().(*session)
	c := sess.Claims
	c.Client, c.Scopes = r.GetClient().GetID(), r.GetGrantedScopes()
	if sess.narrowed != nil {
		c.Scopes = sess.narrowed
	}
	c.Lifetime = s.accessLifetime(r.GetClient().(registered), sess)
	expires, err := s.Tokens.Store(ctx, secret, c)
	if err != nil {
		return err
	}
	sess.ends = expires
	if r.GetClient().(registered).Service() {
		return nil // no family: there is no refresh
	}
	now, hash := s.Now().Unix(), sha256.Sum256([]byte(secret))
	g, err := s.changeGrant(ctx, r.GetID(), func(g *grantRow) {
		g.Client, g.Account = c.Client, s.pseudonym(c.Account)
		g.Used, g.Scopes = now, r.GetGrantedScopes()
		g.Tokens = slices.DeleteFunc(g.Tokens, func(t issuedToken) bool { return t.Expires <= now })
		g.Tokens = append(g.Tokens, issuedToken{hash[:], expires.Unix()})
	})
	if err != nil {
		return errors.Join(err, s.Tokens.RevokeHash(ctx, hash))
	}
	if g.Revoked != 0 {
		return s.revokeTokens(ctx, g)
	}
	return nil
}

// accessLifetime is that of the client or of the server, and never beyond what
// the claims or the decision allow.
func (s *Server) accessLifetime(c registered, sess *session) time.Duration {
	life := c.AccessLifetime(s.AccessLifetime)
	if sess.Claims.Lifetime > 0 {
		life = min(life, sess.Claims.Lifetime)
	}
	if !sess.Until.IsZero() {
		life = min(life, sess.Until.Sub(s.Now()))
	}
	return life
}

// GetAccessTokenSession and DeleteAccessTokenSession are for fosite's own
// introspection and revocation, which are not in use.
func (s *store) GetAccessTokenSession(context.Context, string, fosite.Session) (fosite.Requester, error) {
	return nil, fosite.ErrNotFound
}

func (s *store) DeleteAccessTokenSession(ctx context.Context, secret string) error {
	return s.Tokens.Revoke(ctx, secret)
}
