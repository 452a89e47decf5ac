package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/client"
)

// assertionType is the client_assertion_type of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// authenticate implements fosite.ClientAuthenticationStrategy: by exactly the
// method that the client is registered with, and by one method only (RFC 6749
// §2.3). Every failure is invalid_client, but for a refresh token that alone
// would have named the client.
func (s *Server) authenticate(ctx context.Context, r *http.Request, form url.Values) (fosite.Client, error) {
	c, err := s.identify(ctx, r, form)
	if err != nil {
		if unavailable(err) || ctx.Err() != nil || errors.Is(err, fosite.ErrInvalidGrant) {
			return nil, err
		}
		return nil, fosite.ErrInvalidClient.WithWrap(err)
	}
	// Only now it is this client that asks: nobody uses up another's share.
	if c.Auth != client.Public {
		if err := s.admit(c); err != nil {
			return nil, err
		}
	}
	return registered{c}, nil
}

var (
	errMethods = errors.New("a client authenticates by one method")
	errMethod  = errors.New("the client is registered with another method")
	errSecret  = errors.New("the secret is wrong")
)

func (s *Server) identify(ctx context.Context, r *http.Request, form url.Values) (client.Client, error) {
	id, secret, basic := r.BasicAuth()
	assertion, posted := form.Has("client_assertion") || form.Has("client_assertion_type"), form.Has("client_secret")
	switch {
	case basic && (assertion || posted) || assertion && posted, r.Header.Get("Authorization") != "" && !basic:
		return client.Client{}, errMethods
	case assertion:
		return s.byAssertion(ctx, form)
	case basic:
		var err, serr error
		id, err = url.QueryUnescape(id) // RFC 6749 §2.3.1
		secret, serr = url.QueryUnescape(secret)
		if given := form.Get("client_id"); err != nil || serr != nil || given != "" && given != id {
			return client.Client{}, errMethods
		}
		return s.bySecret(ctx, id, secret, client.SecretBasic)
	case posted:
		return s.bySecret(ctx, form.Get("client_id"), form.Get("client_secret"), client.SecretPost)
	}
	id = form.Get("client_id")
	if !form.Has("client_id") && form.Get("grant_type") == "refresh_token" {
		var err error
		if id, err = s.holder(ctx, form.Get("refresh_token")); err != nil {
			return client.Client{}, err
		}
	}
	c, err := s.Clients.Get(ctx, id)
	if err == nil && c.Auth != client.Public {
		err = errMethod
	}
	return c, err
}

// holder is the client that a refresh token belongs to. SMART App Launch 2.2
// names no client_id among the parameters of a refresh, and public apps send
// none; the token itself says whose it is.
func (s *Server) holder(ctx context.Context, token string) (id string, err error) {
	row, _, _, err := s.store.openSecret(ctx, refreshes, token)
	if errors.Is(err, fosite.ErrNotFound) {
		return "", fosite.ErrInvalidGrant
	}
	return row.Client, err
}

func (s *Server) bySecret(ctx context.Context, id, secret string, by client.Auth) (client.Client, error) {
	c, err := s.Clients.Get(ctx, id)
	switch {
	case err != nil:
		return client.Client{}, err
	case c.Auth != by:
		return client.Client{}, errMethod
	case !c.SecretMatches(secret):
		return client.Client{}, errSecret
	}
	return c, nil
}
