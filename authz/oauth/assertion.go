package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/keyset"
	"github.com/fieldseal/fieldseal/repository"
)

// Limits of assertions (SMART App Launch 2.2, client-confidential-asymmetric).
const (
	maxAssertionBytes = 8 << 10
	maxAssertionLife  = 5 * time.Minute
	clockSkew         = 30 * time.Second // of iat and nbf alone; exp has none
	maxIDBytes        = 256              // of jti
)

// algorithms are the signatures that SMART allows. No other is parsed, none
// and those by a shared secret among them.
var algorithms = []jose.SignatureAlgorithm{jose.RS384, jose.ES384}

var (
	errAssertion = errors.New("the assertion is not acceptable")
	errReplay    = errors.New("the assertion was used before")
)

// byAssertion authenticates a client by a signed JWT (private_key_jwt; SMART
// App Launch 2.2, client-confidential-asymmetric; RFC 7523 §3). The key is
// found by what the client registered, never by what the assertion points at.
func (s *Server) byAssertion(ctx context.Context, form url.Values) (none client.Client, err error) {
	text := form.Get("client_assertion")
	if form.Get("client_assertion_type") != assertionType || len(text) > maxAssertionBytes {
		return none, errAssertion
	}
	signed, err := jwt.ParseSigned(text, algorithms)
	if err != nil || len(signed.Headers) != 1 {
		return none, errAssertion
	}
	var says jwt.Claims
	if err := signed.UnsafeClaimsWithoutVerification(&says); err != nil || says.Issuer != says.Subject {
		return none, errAssertion
	}
	if id := form.Get("client_id"); id != "" && id != says.Issuer {
		return none, errAssertion
	}
	c, err := s.Clients.Get(ctx, says.Issuer)
	if err != nil {
		return none, err
	}
	if c.Auth != client.PrivateKeyJWT {
		return none, errMethod
	}
	key, err := s.assertionKey(ctx, c, signed.Headers[0])
	if err != nil {
		return none, err
	}
	var claims jwt.Claims
	if err := signed.Claims(key, &claims); err != nil {
		return none, errAssertion
	}
	if err := s.acceptable(claims, c); err != nil {
		return none, err
	}
	return c, s.consume(ctx, c, claims)
}

// acceptable checks verified claims. Neither iat nor nbf is required.
func (s *Server) acceptable(claims jwt.Claims, c client.Client) error {
	now := s.Now()
	switch {
	case claims.Issuer != c.ID, claims.Subject != c.ID,
		!slices.Contains(claims.Audience, s.endpoint("token")),
		claims.Expiry == nil, !claims.Expiry.Time().After(now), claims.Expiry.Time().After(now.Add(maxAssertionLife)),
		claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(clockSkew)),
		claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(clockSkew)),
		claims.ID == "", len(claims.ID) > maxIDBytes:
		return errAssertion
	}
	return nil
}

// seenRow remembers a jti until its assertion has expired.
type seenRow struct {
	Format int   `json:"format"`
	Keep   int64 `json:"keep"`
}

// consume uses up the jti of an assertion: of any number of concurrent uses, on
// any nodes, one succeeds. A jti is the issuer's own (RFC 7519 §4.1.7), so two
// clients may use the same.
func (s *Server) consume(ctx context.Context, c client.Client, claims jwt.Claims) error {
	sum := sha256.Sum256([]byte(c.ID + "\x00" + claims.ID))
	value, err := json.Marshal(seenRow{1, claims.Expiry.Time().Add(time.Minute).Unix()})
	if err != nil {
		return fmt.Errorf("encoding a jti: %w", err)
	}
	_, err = s.Table.PutIf(ctx, append([]byte("jti/"), sum[:]...), value, 0)
	if errors.Is(err, repository.ErrConflict) {
		return errReplay
	}
	return err
}

// assertionKey is the one key of the client with the assertion's kid and the
// type that its algorithm needs. A header that brings or points at a key is
// refused, except for the registered URL, and nothing of it is fetched.
func (s *Server) assertionKey(ctx context.Context, c client.Client, h jose.Header) (any, error) {
	if err := keyset.Named(h, c.KeysURL); err != nil {
		return nil, errAssertion
	}
	set, err := s.keys.of(ctx, c, h.KeyID)
	if err != nil {
		return nil, err
	}
	key, err := keyset.Select(set, h.KeyID, h.Algorithm)
	if err != nil {
		return nil, errAssertion
	}
	return key, nil
}

// CheckKeys refuses a key set by which no assertion could be verified, and one
// that holds private keys or ambiguous ones.
func CheckKeys(text []byte) error {
	set, err := keyset.Parse(text)
	if err != nil {
		return err
	}
	type name struct{ kid, kind string }
	seen := map[name]bool{}
	for _, k := range set.Keys {
		n := name{k.KeyID, fmt.Sprintf("%T", k.Key)}
		switch {
		case !k.IsPublic():
			return errors.New("the key set holds a key that is not public")
		case k.KeyID == "" || seen[n]:
			return errors.New("every key needs a kid of its own")
		}
		seen[n] = true
	}
	for _, alg := range algorithms {
		if slices.ContainsFunc(set.Keys, func(k jose.JSONWebKey) bool { return keyset.Usable(k, alg) }) {
			return nil
		}
	}
	return errors.New("the key set holds no key for RS384 (RSA of 2048 bits at least) or ES384 (P-384)")
}
