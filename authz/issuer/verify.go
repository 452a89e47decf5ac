package issuer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/keyset"
	"github.com/fieldseal/fieldseal/authz/token"
)

// Refusal says why a signed text is refused, by a code of our own.
type Refusal struct {
	Code string
	as   error
}

func (r *Refusal) Error() string { return "the external issuer's token is refused: " + r.Code }

// Unwrap returns token.ErrInvalid or token.ErrExpired.
func (r *Refusal) Unwrap() error { return r.as }

// AuditReason is what the trail counts the refusal under.
func (r *Refusal) AuditReason() string { return "external-token-" + r.Code }

func refuse(code string) error { return &Refusal{code, token.ErrInvalid} }

// parse reads a signed text without believing it.
func parse(text string) (*jwt.JSONWebToken, error) {
	signed, err := jwt.ParseSigned(text, every)
	if err != nil || len(signed.Headers) != 1 {
		return nil, refuse("form")
	}
	return signed, nil
}

// verify believes a text that this issuer signed and whose times are right, and
// returns its claims. Who it is for is the caller's to check.
func (i *Issuer) verify(ctx context.Context, signed *jwt.JSONWebToken) (c jwt.Claims, all map[string]any, err error) {
	h := signed.Headers[0]
	if !slices.Contains(i.algorithms, jose.SignatureAlgorithm(h.Algorithm)) {
		return c, nil, refuse("algorithm")
	}
	// jku, x5u, x5c and jwk would choose the key; nothing of them is followed.
	if err := keyset.Plain(h, ""); err != nil {
		return c, nil, refuse("key")
	}
	named, believed := false, false
	for again := true; again && !believed; again = !believed && !named && i.keys.renewed(ctx) {
		var found []any
		found, named, err = i.keys.find(ctx, h.KeyID, h.Algorithm)
		if errors.Is(err, keyset.ErrKey) {
			return c, nil, refuse("key")
		}
		if err != nil {
			return c, nil, err
		}
		believed = slices.ContainsFunc(found, func(key any) bool { return signed.Claims(key, &c, &all) == nil })
	}
	if !believed {
		return c, nil, refuse("signature")
	}
	if c.Issuer != i.URL {
		return c, nil, refuse("issuer")
	}
	return c, all, i.timely(c)
}

// timely checks exp, nbf and iat (RFC 7519 §4.1). A clock may be a little
// behind the issuer's; what has expired has expired.
func (i *Issuer) timely(c jwt.Claims) error {
	now := i.now()
	switch latest := now.Add(i.Skew); {
	case c.Expiry == nil, c.IssuedAt == nil:
		return refuse("times")
	case !c.Expiry.Time().After(now):
		return &Refusal{"expired", token.ErrExpired}
	case c.NotBefore != nil && c.NotBefore.Time().After(latest), c.IssuedAt.Time().After(latest):
		return refuse("early")
	}
	return nil
}

// methodsOf says by which methods somebody authenticated. Only words that the
// settings map count: what an issuer says besides is no second factor.
func (i *Issuer) methodsOf(all map[string]any) (amr []string) {
	add := func(means []string) {
		for _, word := range means {
			if !slices.Contains(amr, word) {
				amr = append(amr, word)
			}
		}
	}
	if words, ok := all["amr"].([]any); ok {
		for _, word := range words {
			if text, ok := word.(string); ok {
				add(i.AMR[text])
			}
		}
	}
	if text, ok := all["acr"].(string); ok {
		add(i.ACR[text])
	}
	return amr
}

// authTime is when somebody authenticated at the issuer; zero when it does not
// say. A time that is still to come is refused.
func (i *Issuer) authTime(all map[string]any) (time.Time, error) {
	value, given := all["auth_time"]
	if !given {
		return time.Time{}, nil
	}
	seconds, ok := value.(float64)
	if !ok || seconds <= 0 || seconds > 1<<40 {
		return time.Time{}, refuse("auth-time")
	}
	t := time.Unix(int64(seconds), 0)
	if t.After(i.now().Add(i.Skew)) {
		return time.Time{}, refuse("auth-time")
	}
	return t, nil
}
