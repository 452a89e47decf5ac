package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// token is the token endpoint (RFC 6749 §3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	if grant := r.PostForm.Get("grant_type"); !s.offers(grant) {
		s.refuse(w, r, "unsupported_grant_type", http.StatusBadRequest)
		return
	}
	ar, err := s.provider.NewAccessRequest(ctx, r, &session{})
	if err != nil {
		s.fail(w, r, clientOf(ar), err)
		return
	}
	if err := s.complete(ctx, r, ar); err != nil {
		s.fail(w, r, ar.GetClient(), err)
		return
	}
	// Before the code or refresh token is used up: while the trail is down a client
	// loses nothing, and may try again.
	if err := s.recordToken(ctx, r, ar); err != nil {
		s.fail(w, r, nil, err)
		return
	}
	resp, err := s.provider.NewAccessResponse(ctx, ar)
	if err != nil {
		if errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) || errors.Is(err, fosite.ErrInactiveToken) {
			err = errors.Join(err, s.endGrant(ctx, ar.GetID())) // used by another request since it was read
		}
		s.fail(w, r, ar.GetClient(), err)
		return
	}
	s.deliver(w, r, ar, resp)
}

func (s *Server) offers(grant string) bool {
	return grant == "client_credentials" || s.Interaction != nil && (grant == "authorization_code" || grant == "refresh_token")
}

// clientOf is the client of a request that failed, if it got that far.
func clientOf(ar fosite.AccessRequester) fosite.Client {
	if ar == nil {
		return nil
	}
	c, _ := ar.GetClient().(registered)
	if c.ID == "" {
		return nil
	}
	return c
}

// complete adds to a request what fosite leaves to us: whom a backend service's
// token is for, what an account may do now, and fewer scopes at refresh.
func (s *Server) complete(ctx context.Context, r *http.Request, ar fosite.AccessRequester) error {
	c := ar.GetClient().(registered)
	if foreign(r, c) {
		return fosite.ErrUnauthorizedClient
	}
	sess := ar.GetSession().(*session)
	switch r.PostForm.Get("grant_type") {
	case "client_credentials":
		asked := ar.GetRequestedScopes()
		if len(asked) == 0 {
			return fosite.ErrInvalidScope // SMART Backend Services: scope is required
		}
		for _, scope := range asked {
			ar.GrantScope(scope)
		}
		sess.Claims = token.Claims{Account: c.Account(), Roles: c.Roles, Purpose: c.Purpose, AuthTime: s.Now()}
	case "authorization_code":
		if err := s.renew(ctx, ar, c, sess, nil); err != nil {
			return err
		}
	case "refresh_token":
		sess.Until = time.Time{}
		if err := s.renew(ctx, ar, c, sess, strings.Fields(r.PostForm.Get("scope"))); err != nil {
			return err
		}
	}
	if s.accessLifetime(c, sess) < time.Second {
		return fosite.ErrInvalidGrant // the account or delegation has ended
	}
	return nil
}

// renew takes over what an account may do now, whether a code or a refresh token
// is redeemed: since it decided it may have been disabled, or lost a role. An
// account that may not go on ends the family.
func (s *Server) renew(ctx context.Context, ar fosite.AccessRequester, c registered, sess *session, asked []string) error {
	old := sess.Claims
	old.Client, old.Scopes = c.ID, sess.granted
	claims, err := s.Interaction.Renew(ctx, old)
	if errors.Is(err, ErrDeclined) {
		return errors.Join(fosite.ErrInvalidGrant, s.endGrant(ctx, ar.GetID()))
	}
	if err != nil {
		return err
	}
	left := claims.Scopes
	claims.Patient, claims.Context, claims.Client, claims.Scopes = sess.Claims.Patient, sess.Claims.Context, "", nil
	sess.Claims = claims
	return sess.narrow(asked, left)
}

// narrow leaves the access token the scopes asked for at refresh; the refresh
// token keeps all (RFC 6749 §6). Asking for more is refused. left are those that
// rules about the account leave, as when a delegation was narrowed since.
func (sess *session) narrow(asked, left []string) error {
	granted := sess.granted
	for _, scope := range asked {
		if !smart.Covered(granted, scope) {
			return fosite.ErrInvalidScope
		}
	}
	if len(asked) > 0 {
		sess.narrowed = asked
	}
	if left == nil { // no rule took any away
		return nil
	}
	if sess.narrowed == nil {
		sess.narrowed = slices.Clone(left)
	}
	sess.narrowed = slices.DeleteFunc(sess.narrowed, func(scope string) bool {
		return !smart.Covered(left, scope) || !smart.Covered(granted, scope)
	})
	if len(sess.narrowed) == 0 {
		return fosite.ErrInvalidScope
	}
	return nil
}

// recordToken makes the event of a token durable. Should another request win the
// race for the code, the failure is an event as well.
func (s *Server) recordToken(ctx context.Context, r *http.Request, ar fosite.AccessRequester) error {
	e := event{subtype: "token-issue", claims: ar.GetSession().(*session).Claims, client: ar.GetClient().GetID()}
	if r.PostForm.Get("grant_type") == "refresh_token" {
		e.subtype = "token-refresh"
	}
	return s.record(ctx, e)
}

// deliver answers with tokens, or else revokes the access token.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, ar fosite.AccessRequester, resp fosite.AccessResponder) {
	ctx, sess, granted := r.Context(), ar.GetSession().(*session), []string(ar.GetGrantedScopes())
	if sess.narrowed != nil {
		granted = sess.narrowed
	}
	out := map[string]any{}
	maps.Copy(out, sess.Claims.Context)
	if sess.Claims.Patient != "" {
		out["patient"] = sess.Claims.Patient
	}
	out["access_token"], out["token_type"] = resp.GetAccessToken(), "Bearer"
	out["expires_in"] = int64(sess.ends.Sub(s.Now()).Round(time.Second).Seconds())
	out["scope"] = strings.Join(granted, " ")
	if refresh, ok := resp.GetExtra("refresh_token").(string); ok {
		out["refresh_token"] = refresh
	}
	id := ar.GetClient().GetID()
	err := s.stillRegistered(ctx, id)
	if err == nil {
		err = s.addIDToken(ctx, out, sess, id, granted)
	}
	if err != nil {
		sum := sha256.Sum256([]byte(resp.GetAccessToken()))
		s.fail(w, r, nil, errors.Join(err, s.Tokens.RevokeHash(ctx, sum)))
		return
	}
	s.write(w, http.StatusOK, out)
}

// stillRegistered reads a client past every cache, once its token is stored:
// whoever disabled it before ended the tokens that there were by then.
func (s *Server) stillRegistered(ctx context.Context, id string) error {
	c, err := s.Clients.Show(ctx, id)
	if errors.Is(err, client.ErrUnknown) || err == nil && !c.Disabled.IsZero() {
		return fosite.ErrInvalidClient
	}
	return err
}
