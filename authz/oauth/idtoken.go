package oauth

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/smart"
)

// idTokenLifetime is short: an id_token tells of a login, it opens nothing.
const idTokenLifetime = 10 * time.Minute

// subject names an account to clients: stable, and no name.
func (s *Server) subject(account string) string {
	id := s.PRF("oauth-subject", account)
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// identity are the claims of an id_token beside the registered ones.
type identity struct {
	AuthTime int64    `json:"auth_time,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	Nonce    string   `json:"nonce,omitempty"`
	FHIRUser string   `json:"fhirUser,omitempty"`
}

// addIDToken puts an id_token into a token response when openid was granted
// (OpenID Connect Core §3.1.3.3; SMART App Launch 2.2, fhirUser).
func (s *Server) addIDToken(ctx context.Context, out map[string]any, sess *session, client string, granted []string) error {
	if s.signing == nil || !slices.Contains(granted, smart.OpenID) {
		return nil
	}
	key, err := s.signing.current(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	own := identity{AMR: sess.Claims.AMR, Nonce: sess.Nonce}
	if !sess.Claims.AuthTime.IsZero() {
		own.AuthTime = sess.Claims.AuthTime.Unix()
	}
	if slices.Contains(granted, smart.FHIRUser) && sess.Claims.Who != "" {
		own.FHIRUser = s.Base + "/" + sess.Claims.Who
	}
	text, err := jwt.Signed(key.jws).Claims(jwt.Claims{Issuer: s.Issuer, Subject: s.subject(sess.Claims.Account), Audience: jwt.Audience{client},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(idTokenLifetime))}).Claims(own).Serialize()
	if err != nil {
		return fmt.Errorf("signing an id_token: %w", err)
	}
	out["id_token"] = text
	return nil
}
