package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/fhir"
)

var _ token.External = (*Set)(nil)

// External implements token.External: what an access token of an issuer on the
// list says of the account that its iss and sub are linked to.
func (s *Set) External(ctx context.Context, bearer string) (none token.Claims, expires time.Time, err error) {
	signed, err := parse(bearer)
	if err != nil {
		return none, expires, err
	}
	var says struct {
		Issuer string `json:"iss"`
	}
	if err := signed.UnsafeClaimsWithoutVerification(&says); err != nil {
		return none, expires, refuse("form")
	}
	i := s.bearerOf(says.Issuer)
	if i == nil {
		return none, expires, refuse("issuer")
	}
	c, all, err := i.verify(ctx, signed)
	if err != nil {
		return none, expires, err
	}
	if err := i.accessToken(signed.Headers[0], c, all); err != nil {
		return none, expires, err
	}
	who, err := s.accounts.Identified(ctx, account.Identity{Issuer: i.URL, Subject: c.Subject})
	if errors.Is(err, account.ErrUnknown) || err == nil && who.Ended(s.now()) {
		return none, expires, refuse("account")
	}
	if err != nil {
		return none, expires, err
	}
	claims, err := s.claims(i, who, c, all)
	if err != nil {
		return none, expires, err
	}
	expires = c.Expiry.Time()
	if end := s.now().Add(claims.Lifetime); end.Before(expires) {
		expires = end // the account or a delegation ends before
	}
	claims.Lifetime = 0
	return claims, expires, nil
}

// accessToken refuses what an issuer signs for other ends or for others: tokens
// of another audience, id_tokens, refresh and logout tokens (RFC 9068 §2 and §4,
// RFC 8725 §3.12), and tokens that are bound to a key which nobody proves here
// (RFC 7800).
func (i *Issuer) accessToken(h jose.Header, c jwt.Claims, all map[string]any) error {
	if !slices.Contains(c.Audience, i.Bearer.Audience) {
		return refuse("audience")
	}
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.ToLower(strings.TrimPrefix(strings.ToLower(typ), "application/"))
	if typ != "at+jwt" && (i.Bearer.Typ != "jwt" || typ != "" && typ != "jwt") {
		return refuse("type")
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if _, given := all[name]; given {
			return refuse("type")
		}
	}
	for name, kinds := range map[string][]string{"typ": {"ID", "Refresh", "Offline", "Logout"}, "token_use": {"id", "refresh"}} {
		if kind, _ := all[name].(string); slices.Contains(kinds, kind) {
			return refuse("type")
		}
	}
	if _, bound := all["cnf"]; bound {
		return refuse("bound")
	}
	if c.Expiry.Time().Sub(c.IssuedAt.Time()) > token.MaxLifetime || c.Expiry.Time().After(i.now().Add(token.MaxLifetime+i.Skew)) {
		return refuse("lifetime")
	}
	return nil
}

// claims are those of the local account in the session that the token is.
func (s *Set) claims(i *Issuer, who account.Account, c jwt.Claims, all map[string]any) (none token.Claims, err error) {
	purpose, besides := s.purposeOf(i, who)
	session := account.Session{AMR: i.methodsOf(all), Purpose: purpose, Lifetime: c.Expiry.Time().Sub(s.now())}
	if session.Client, err = i.client(all); err != nil {
		return none, err
	}
	if session.AuthTime, err = i.authTime(all); err != nil {
		return none, err
	}
	if session.Scopes, err = scopes(all[i.Bearer.ScopeClaim], strings.HasPrefix(who.Subject, account.Client)); err != nil {
		return none, err
	}
	if session.Patient, err = i.patient(all, session.Scopes); err != nil {
		return none, err
	}
	if err := s.user(i, who, all, session.Scopes); err != nil {
		return none, err
	}
	claims, err := who.Claims(session, s.now())
	if errors.Is(err, account.ErrDisabled) || errors.Is(err, account.ErrContext) {
		return none, refuse("context")
	}
	if claims.Purpose == purpose { // a proxy has one of its own
		claims.Purposes = besides
	}
	return claims, err
}

// client names the issuer's client after the issuer, so that none can be called
// like one that was registered here.
func (i *Issuer) client(all map[string]any) (string, error) {
	for _, name := range []string{"client_id", "azp"} { // RFC 9068 §2.2, OpenID Connect Core §2
		value, given := all[name]
		if !given {
			continue
		}
		id, ok := value.(string)
		if !ok || id == "" || len(id) > 200 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return "", refuse("client")
		}
		return i.Name + "/" + id, nil
	}
	return i.Name, nil
}

// purposeOf is the purpose of use of a token: what the settings say, or what is
// usual for the account.
func (s *Set) purposeOf(i *Issuer, who account.Account) (usual string, besides []string) {
	switch {
	case i.Bearer.Purpose != "":
		return i.Bearer.Purpose, nil
	case strings.HasPrefix(who.Subject, account.Client):
		return "TREAT", nil
	}
	return s.purposes(who)
}

// maxScopes bounds what every decision goes through.
const maxScopes = 200

// scopes are those of SMART among the token's, a text with spaces (RFC 9068
// §2.2.3) or a list. Others are for other services, and administration is for
// tokens of our own. A person has no system scope, a service no other.
func scopes(value any, service bool) (out []string, err error) {
	var words []string
	switch v := value.(type) {
	case string:
		words = strings.Fields(v)
	case []any:
		for _, w := range v {
			text, ok := w.(string)
			if !ok {
				return nil, refuse("scope")
			}
			words = append(words, text)
		}
	default:
		return nil, refuse("scope")
	}
	if len(words) > maxScopes {
		return nil, refuse("scope")
	}
	for _, text := range words {
		parsed, err := smart.Parse(text)
		if err == nil && (parsed.Level == smart.System) == service || smart.Contextual(text) && !service {
			out = append(out, text)
		}
	}
	return out, nil
}

// patient is the patient in context. A scope for a patient without one is
// refused, and never means the next best.
func (i *Issuer) patient(all map[string]any, scopes []string) (string, error) {
	value, given := all[i.Bearer.PatientClaim]
	id, _ := value.(string)
	if given && !fhir.ValidID(id) {
		return "", refuse("patient")
	}
	needed := slices.ContainsFunc(scopes, func(text string) bool {
		s, err := smart.Parse(text)
		return err == nil && s.Level == smart.Patient || text == smart.LaunchPatient
	})
	if needed && !given {
		return "", refuse("patient")
	}
	return id, nil
}

// user checks who the token says that the user is. What counts is the account's
// own link; a token that names another resource, or none where a scope is for
// what a user may see, is refused.
func (s *Set) user(i *Issuer, who account.Account, all map[string]any, scopes []string) error {
	needed := slices.ContainsFunc(scopes, func(text string) bool {
		s, err := smart.Parse(text)
		return err == nil && s.Level == smart.User || text == smart.FHIRUser
	})
	if i.Bearer.AccountUser {
		if needed && len(who.Links) == 0 {
			return refuse("user")
		}
		return nil
	}
	value, given := all[i.Bearer.UserClaim]
	if !given {
		if needed {
			return refuse("user")
		}
		return nil
	}
	reference, ok := value.(string)
	if !ok || !slices.Contains(who.Links, s.local(reference)) {
		return refuse("user")
	}
	return nil
}
