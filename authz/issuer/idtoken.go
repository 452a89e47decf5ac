package issuer

import (
	"context"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// Metadata returns the endpoints of the issuer, or ErrAway.
func (i *Issuer) Metadata(ctx context.Context) (Metadata, error) { return i.keys.metadata(ctx) }

// Client calls the issuer's endpoints: under the rules for its keys.
func (i *Issuer) Client() *http.Client { return i.keys.fetcher.Client() }

// Proof is what an id_token proves.
type Proof struct {
	Subject  string    // at the issuer
	AMR      []string  // as the settings map them
	AuthTime time.Time // zero: the issuer does not say
}

// Identify verifies the id_token of a login (OpenID Connect Core §3.1.3.7): for
// our client, of this very request by its nonce, and of an authentication that
// is no older than since, unless that is zero. A refusal is a *Refusal; other
// errors mean that nobody could tell.
func (i *Issuer) Identify(ctx context.Context, text, nonce string, since time.Time) (p Proof, err error) {
	signed, err := parse(text)
	if err != nil {
		return p, err
	}
	c, all, err := i.verify(ctx, signed)
	if err != nil {
		return p, err
	}
	if err := i.forUs(signed.Headers[0], c, all, nonce); err != nil {
		return p, err
	}
	p = Proof{Subject: c.Subject, AMR: i.methodsOf(all)}
	if p.AuthTime, err = i.authTime(all); err != nil {
		return Proof{}, err
	}
	if !since.IsZero() && p.AuthTime.Before(since.Add(-i.Skew)) {
		return Proof{}, refuse("auth-time")
	}
	return p, nil
}

// forUs refuses what is no id_token for our client and this request.
func (i *Issuer) forUs(h jose.Header, c jwt.Claims, all map[string]any, nonce string) error {
	if i.Login == nil || !slices.Contains(c.Audience, i.Login.ClientID) {
		return refuse("audience")
	}
	azp, given := all["azp"]
	if given && azp != i.Login.ClientID || !given && len(c.Audience) > 1 {
		return refuse("audience")
	}
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	if typ != "" && !strings.EqualFold(typ, "JWT") {
		return refuse("type")
	}
	if kind, _ := all["typ"].(string); kind != "" && kind != "ID" {
		return refuse("type")
	}
	if _, logout := all["events"]; logout || c.Subject == "" {
		return refuse("type")
	}
	said, _ := all["nonce"].(string)
	if nonce == "" || subtle.ConstantTimeCompare([]byte(said), []byte(nonce)) != 1 {
		return refuse("nonce")
	}
	return nil
}
