// Package federation logs people in at an external OpenID provider: the
// authorization code flow with PKCE, state and nonce (OpenID Connect Core §3.1,
// RFC 7636, RFC 9207, RFC 9700).
//
// Start with New. Start makes the address that a browser is sent to; Finish takes
// what the provider sent back. authz/issuer says which providers there are and
// verifies what they sign; authz/login makes the session; internal/pages has the
// pages and the cookie.
//
// Security notes: a state is 256 drawn bits, names a row by its hash, seals it,
// and is consumed by compare-and-set before anything else is looked at: it is
// used once, on whatever node. The row is bound to the secret of the browser's
// session (login CSRF) and to one provider, which has a redirect URI of its own
// and must name itself where it promised to (mix-up). The code is redeemed with a
// verifier that never left the server, and the id_token must hold the nonce of
// the row (code injection). Where the browser goes on to was checked and sealed
// before it left (open redirect). iss and sub lead to an account; nothing else
// that the provider says does.
//
// Kept compatible: the rows (docs/format/federation.md) and the path of the
// redirect URI, which providers register.
package federation

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/issuer"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/internal/limit"
	"github.com/fieldseal/fieldseal/repository"
)

// CallbackPath begins the path that a provider sends browsers back to; its name
// follows.
const CallbackPath = "/oauth/login/callback/"

// nextPrefix begins every path that a login may lead on to.
const nextPrefix = "/oauth/"

// Errors that people are told about. Any other error is an outage.
var (
	ErrRefused  = errors.New("the login at the provider did not work; start again")
	ErrDeclined = errors.New("the provider did not log you in")
	ErrUnknown  = errors.New("nobody here is known by this login; ask your administrator to link it to your account")
	ErrOther    = errors.New("the login is another person's than the one that is logged in here")
	ErrAway     = errors.New("the provider cannot be reached; try again later")
)

// Limits.
const (
	Life         = 10 * time.Minute // between Start and Finish
	maxNext      = 8 << 10
	maxParameter = 4 << 10
)

// often is how often logins may begin, and end, in one network: each costs a row
// here or a call to the provider. A whole hospital may stand behind one address.
var often = limit.Limits{Default: limit.Limit{Rate: 5, Burst: 100}}

// Logins makes sessions (authz/login).
type Logins interface {
	Federated(ctx context.Context, secret, peer, account string, amr []string, authTime time.Time) (newSecret string, _ login.Session, err error)
}

// Gatekeeper records what is refused before anybody is known, aggregated per
// peer (decision 35).
type Gatekeeper interface {
	RecordPreAuth(peer, reason string)
}

// Options are what a Desk needs.
type Options struct {
	Issuers    *issuer.Set
	Accounts   *account.Directory
	Login      Logins
	Table      repository.Table
	Origin     string // of the pages, as https://fhir.example.org
	Recorder   audit.Recorder
	Gatekeeper Gatekeeper
	Now        func() time.Time // nil means time.Now
}

// Desk is where logins elsewhere begin and end. It is safe for concurrent use,
// also of several nodes.
type Desk struct {
	Options
	starts, ends *limit.Limiter
}

// New returns a Desk; it panics when a required option is missing, which is a
// wiring error.
func New(o Options) *Desk {
	if o.Issuers == nil || o.Accounts == nil || o.Login == nil || o.Table == nil || o.Origin == "" || o.Recorder == nil || o.Gatekeeper == nil {
		panic("federation: a required option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Desk{Options: o, starts: limit.New(often), ends: limit.New(often)}
}

// Provider is one at which people may log in.
type Provider struct{ Name, Display string }

// Providers are in the order of the settings.
func (d *Desk) Providers() []Provider {
	var out []Provider
	for _, i := range d.Issuers.Login() {
		out = append(out, Provider{i.Name, i.Display})
	}
	return out
}

func (d *Desk) provider(name string) *issuer.Issuer {
	for _, i := range d.Issuers.Login() {
		if i.Name == name {
			return i
		}
	}
	return nil
}

// client is ours at a provider, as it registered us.
func (d *Desk) client(i *issuer.Issuer, m issuer.Metadata) *oauth2.Config {
	style := oauth2.AuthStyleInHeader
	if i.Settings.Login.SecretInBody || i.Settings.Login.Secret == "" {
		style = oauth2.AuthStyleInParams
	}
	return &oauth2.Config{ClientID: i.Settings.Login.ClientID, ClientSecret: i.Settings.Login.Secret, Scopes: i.Settings.Login.Scopes,
		RedirectURL: d.Origin + CallbackPath + i.Name, Endpoint: oauth2.Endpoint{AuthURL: m.Authorization, TokenURL: m.Token, AuthStyle: style}}
}

// Leave is where people end their session at a provider, or empty when it has no
// such place or cannot be asked (OpenID Connect RP-Initiated Logout §2). Nobody is
// led back: the provider says what happened.
func (d *Desk) Leave(ctx context.Context, provider string) string {
	i := d.provider(provider)
	if i == nil {
		return ""
	}
	m, err := i.Metadata(ctx)
	if err != nil || m.EndSession == "" {
		return ""
	}
	u, err := url.Parse(m.EndSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", i.Settings.Login.ClientID)
	u.RawQuery = q.Encode()
	return u.String()
}

// local reports whether a text is a path of this server's pages and nothing
// else: no scheme, host or backslash (open redirect).
func local(next string) bool {
	return len(next) <= maxNext && strings.HasPrefix(next, nextPrefix) && !strings.HasPrefix(next, "//") &&
		!strings.ContainsFunc(next, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' })
}

// admit takes a turn of the peer's network, or returns login.ErrTooMany.
func (d *Desk) admit(l *limit.Limiter, peer string) error {
	if _, ok := l.Admit(limit.Network(peer), d.Now()); !ok {
		d.Gatekeeper.RecordPreAuth(peer, "federation-too-many")
		return login.ErrTooMany
	}
	return nil
}

// refused counts a failure of somebody who is not known and returns ErrRefused.
func (d *Desk) refused(peer, code string) error {
	d.Gatekeeper.RecordPreAuth(peer, "federation-"+code)
	return ErrRefused
}
