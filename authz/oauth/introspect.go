package oauth

import (
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// introspect tells of an access token what it says (RFC 7662; SMART App Launch
// 2.2, token-introspection). A client asks about its own tokens, one that is
// registered for it about all. Unknown, expired, revoked and others' tokens are
// not told apart.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	fc, err := s.authenticate(ctx, r, r.PostForm)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	c := fc.(registered)
	if c.IsPublic() || foreign(r, c) {
		s.fail(w, r, c, fosite.ErrUnauthorizedClient)
		return
	}
	claims, issued, expires, err := s.Tokens.Inspect(ctx, r.PostForm.Get("token"))
	switch {
	case err == nil && (claims.Client == c.ID || c.Introspects):
	case err == nil, errors.Is(err, token.ErrInvalid), errors.Is(err, token.ErrExpired), errors.Is(err, token.ErrRevoked):
		s.write(w, http.StatusOK, map[string]any{"active": false})
		return
	default:
		s.fail(w, r, c, err)
		return
	}
	if err := s.record(ctx, event{subtype: "token-introspect", client: c.ID, claims: token.Claims{Account: claims.Account}}); err != nil {
		s.fail(w, r, nil, err)
		return
	}
	out := map[string]any{}
	maps.Copy(out, claims.Context)
	if claims.Patient != "" {
		out["patient"] = claims.Patient
	}
	out["active"], out["token_type"], out["client_id"] = true, "Bearer", claims.Client
	out["scope"], out["iat"], out["iss"], out["sub"] = strings.Join(claims.Scopes, " "), issued.Unix(), s.Issuer, s.subject(claims.Account)
	if !expires.IsZero() {
		out["exp"] = expires.Unix()
	}
	for _, scope := range claims.Scopes {
		if scope == smart.FHIRUser && claims.Who != "" {
			out["fhirUser"] = s.Base + "/" + claims.Who
		}
	}
	s.write(w, http.StatusOK, out)
}

// revoke ends a token (RFC 7009): an access token by itself, a refresh token
// with its whole family. An unknown token, and one of another client, gets the
// same answer and nothing happens to it.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	fc, err := s.authenticate(ctx, r, r.PostForm)
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	c, secret := fc.(registered), r.PostForm.Get("token")
	switch {
	case foreign(r, c):
		err = fosite.ErrUnauthorizedClient
	case secret == "":
		err = fosite.ErrInvalidRequest
	case strings.HasPrefix(secret, refreshPrefix):
		err = s.revokeRefresh(r, c, secret)
	default:
		err = s.revokeAccess(r, c, secret)
	}
	if err != nil {
		s.fail(w, r, c, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

func (s *Server) revokeRefresh(r *http.Request, c registered, secret string) error {
	row, req, err := s.store.readSecret(r.Context(), refreshes, secret)
	if errors.Is(err, fosite.ErrNotFound) || err == nil && row.Client != c.ID {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.record(r.Context(), event{subtype: "token-revoke", claims: req.Session.(*session).Claims, client: c.ID}); err != nil {
		return err
	}
	return s.endGrant(r.Context(), row.Grant)
}

func (s *Server) revokeAccess(r *http.Request, c registered, secret string) error {
	claims, _, _, err := s.Tokens.Inspect(r.Context(), secret)
	switch {
	case errors.Is(err, token.ErrInvalid), errors.Is(err, token.ErrExpired), errors.Is(err, token.ErrRevoked), err == nil && claims.Client != c.ID:
		return nil
	case err != nil:
		return err
	}
	if err := s.record(r.Context(), event{subtype: "token-revoke", claims: claims}); err != nil {
		return err
	}
	return s.Tokens.Revoke(r.Context(), secret)
}
