package federation

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/fieldseal/fieldseal/authz/issuer"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/token"
)

// Flow is a login that is to begin.
type Flow struct {
	Provider string
	Session  string // the secret of the browser's session, an anonymous one too
	Account  string // when somebody is logged in and steps up: who must come back
	Next     string // path to go on to, below /oauth/
	// MaxAge of the authentication, when it matters; the provider has people
	// authenticate again who did so earlier.
	MaxAge time.Duration
	// Again has them authenticate whatever they did before (prompt=login).
	Again bool
}

// Start begins a login and returns the address to send the browser to, or
// ErrAway, or login.ErrTooMany. The caller has checked that the request came
// from a page of the session (CSRF).
func (d *Desk) Start(ctx context.Context, peer string, f Flow) (url string, err error) {
	i := d.provider(f.Provider)
	if i == nil || f.Session == "" || !local(f.Next) {
		return "", d.refused(peer, "request")
	}
	if err := d.admit(d.starts, peer); err != nil {
		return "", err
	}
	m, err := i.Metadata(ctx)
	if errors.Is(err, issuer.ErrAway) {
		return "", ErrAway
	}
	if err != nil {
		return "", err
	}
	now := d.Now()
	p := pending{Provider: i.Name, Nonce: token.Draw(""), Verifier: oauth2.GenerateVerifier(), Browser: browser(f.Session), Account: f.Account,
		Next: f.Next, Expires: now.Add(Life)}
	// A provider that is asked for a max_age must say when it authenticated
	// (OpenID Connect Core §3.1.2.1), so it is asked always.
	maxAge := login.Absolute
	switch {
	case f.Again:
		maxAge, p.Since = 0, now
	case f.MaxAge > 0:
		maxAge, p.Since = f.MaxAge, now.Add(-f.MaxAge)
	}
	state, err := d.put(ctx, p)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(p.Verifier), oauth2.SetAuthURLParam("nonce", p.Nonce),
		oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(maxAge.Seconds())))}
	if f.Again {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	if acr := i.Settings.Login.ACRValues; len(acr) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(acr, " ")))
	}
	return d.client(i, m).AuthCodeURL(state, options...), nil
}
