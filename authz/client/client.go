// Package client keeps the registered OAuth clients: what each of them may ask
// for and how it proves who it is.
//
// Start with Client and Registry. authz/oauth authenticates clients by what is
// registered here; operators register them through the admin socket.
//
// Security notes: a secret is drawn by the server, shown once and kept as its
// hash. A row carries a keyed checksum over the client: who can write the table
// but has no key can register nobody and widen nothing. A registry caches rows
// for CacheTTL, so that disabling a client is in force everywhere by then.
//
// Kept compatible: the row format (docs/format/oauth.md).
package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// ErrClient means that a client must not be registered as described.
var ErrClient = errors.New("the client is refused")

// Auth is how a client authenticates at the token endpoint (RFC 7591 §2,
// token_endpoint_auth_method).
type Auth string

// The methods. Public clients prove by PKCE alone that a code is theirs.
const (
	Public        Auth = "none"
	SecretBasic   Auth = "client_secret_basic"
	SecretPost    Auth = "client_secret_post"
	PrivateKeyJWT Auth = "private_key_jwt"
)

// Client is a registered client.
type Client struct {
	ID   string `json:"id"`
	Name string `json:"name"` // shown to people who are asked for consent
	Auth Auth   `json:"auth"`
	// SecretHash is SHA-256 of the secret, which has 256 random bits.
	SecretHash []byte `json:"secret_hash,omitempty"`
	// Keys is the client's JSON Web Key Set; KeysURL is where it is read
	// instead.
	Keys    json.RawMessage `json:"jwks,omitempty"`
	KeysURL string          `json:"jwks_uri,omitempty"`
	// Redirects are compared whole. A client without one is a backend service:
	// it gets tokens for itself (client_credentials) and no user's.
	Redirects []string `json:"redirect_uris,omitempty"`
	// Scopes are the widest that the client may ask for.
	Scopes []string `json:"scopes"`
	// Roles are those of a backend service's own account, role:NAME.
	Roles []string `json:"roles,omitempty"`
	// Purpose of a backend service's requests; empty means TREAT.
	Purpose string `json:"purpose,omitempty"`
	// Origins are the web origins whose scripts may call.
	Origins []string `json:"origins,omitempty"`
	// Introspects lets the client ask about tokens of others, as a resource
	// server does.
	Introspects bool `json:"introspects,omitempty"`
	// AccessSeconds and RefreshSeconds are how long its tokens live; 0 is the
	// server's setting.
	AccessSeconds  int64 `json:"access_seconds,omitempty"`
	RefreshSeconds int64 `json:"refresh_seconds,omitempty"`
	// Launches lets the client start apps with context, as an EHR does.
	Launches bool `json:"launches,omitempty"`
	// SelfRegistered says that the client described itself (RFC 7591) and an
	// officer approved it.
	SelfRegistered bool      `json:"self_registered,omitempty"`
	Created        time.Time `json:"created"`
	Disabled       time.Time `json:"disabled,omitzero"`
}

// MaxRefreshLifetime bounds how long a refresh token may live without use.
const MaxRefreshLifetime = 366 * 24 * time.Hour

// AccessLifetime is the client's own, or that of the server. Backend services
// have at most their five minutes (access.md, SMART 9).
func (c Client) AccessLifetime(server time.Duration) time.Duration {
	if c.Service() {
		server = token.ServiceLifetime
	}
	if c.AccessSeconds > 0 {
		return time.Duration(c.AccessSeconds) * time.Second
	}
	return server
}

// RefreshLifetime is the client's own, or that of the server.
func (c Client) RefreshLifetime(server time.Duration) time.Duration {
	if c.RefreshSeconds > 0 {
		return time.Duration(c.RefreshSeconds) * time.Second
	}
	return server
}

// Service reports whether the client is a backend service.
func (c Client) Service() bool { return len(c.Redirects) == 0 }

// Account is the account of a backend service.
func (c Client) Account() string { return "client:" + c.ID }

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate reports every problem at once.
func (c Client) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c.validateSelf(fault)
	c.validateRoles(fault)
	return errors.Join(errs...)
}

// validateSelf checks all that a client can say of itself.
func (c Client) validateSelf(fault func(string, ...any)) {
	if !idForm.MatchString(c.ID) || c.ID == "demo" || strings.HasPrefix(c.ID, "fieldseal") {
		fault("the id is 1 to 64 letters, digits, '.', '_' and '-', and none of the server's own")
	}
	if c.Name == "" || len(c.Name) > 100 || strings.ContainsFunc(c.Name, func(r rune) bool { return r < ' ' }) {
		fault("the name has 1 to 100 characters")
	}
	c.validateAuth(fault)
	for _, u := range c.Redirects {
		if !validRedirect(u) {
			fault("redirect URI %q is not https, a private scheme with a dot, or http on the loopback, or it has a fragment", u)
		}
	}
	for _, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) || u.Host == "" || o != u.Scheme+"://"+u.Host {
			fault("origin %q is not https://host[:port]", o)
		}
	}
	c.validateScopes(fault)
	c.validateLifetimes(fault)
}

func (c Client) validateAuth(fault func(string, ...any)) {
	switch c.Auth {
	case Public:
		if c.Service() {
			fault("a backend service cannot be public")
		}
	case SecretBasic, SecretPost:
		if c.Service() {
			fault("a backend service authenticates with private_key_jwt (SMART Backend Services)")
		}
	case PrivateKeyJWT:
		if (len(c.Keys) == 0) == (c.KeysURL == "") {
			fault("private_key_jwt needs either a JSON Web Key Set or its URL")
		}
	default:
		fault("the authentication method is none, client_secret_basic, client_secret_post or private_key_jwt")
	}
	if c.Auth != PrivateKeyJWT && (len(c.Keys) > 0 || c.KeysURL != "") {
		fault("only private_key_jwt has keys")
	}
	if u, err := url.Parse(c.KeysURL); c.KeysURL != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "") {
		fault("the URL of the key set is not https")
	}
	if c.Launches && slices.Contains(c.Scopes, smart.Launch) {
		fault("a client starts apps or is one that is started")
	}
	if c.Introspects && c.Auth == Public {
		fault("a public client cannot introspect")
	}
}

func (c Client) validateLifetimes(fault func(string, ...any)) {
	most := token.MaxLifetime
	if c.Service() {
		most = token.ServiceLifetime
	}
	if c.AccessSeconds < 0 || c.AccessLifetime(0) > most {
		fault("the lifetime of its access tokens is at most %v", most)
	}
	if c.RefreshSeconds < 0 || c.RefreshLifetime(0) > MaxRefreshLifetime || c.Service() && c.RefreshSeconds != 0 {
		fault("the lifetime of its refresh tokens is at most %v; a backend service has none", MaxRefreshLifetime)
	}
	if !c.Service() && c.Purpose != "" {
		fault("an app asks for the purpose of its user")
	}
}

func (c Client) validateScopes(fault func(string, ...any)) {
	if len(c.Scopes) == 0 {
		fault("at least one scope is needed")
	}
	for _, text := range c.Scopes {
		s, err := smart.Parse(text)
		switch {
		case c.Service() && (err != nil || s.Level != smart.System):
			fault("scope %q is none of a backend service: those begin with system/", text)
		case !c.Service() && err == nil && s.Level == smart.System:
			fault("scope %q is for backend services, which have no redirect URI", text)
		case text == smart.Admin && c.Auth == Public:
			fault("scope %q is for clients that authenticate", text)
		case err != nil && !smart.Contextual(text) && text != smart.Admin:
			fault("scope %q is not understood", text)
		}
	}
}

func (c Client) validateRoles(fault func(string, ...any)) {
	for _, r := range c.Roles {
		if !strings.HasPrefix(r, "role:") || len(r) == len("role:") {
			fault("role %q must be role:NAME", r)
		}
	}
	if c.Service() != (len(c.Roles) > 0) {
		fault("a backend service has roles of its own, an app acts with those of its user")
	}
}

// validRedirect follows RFC 8252 §7 and SMART App Launch 2.2: https, a private
// scheme, or the loopback.
func validRedirect(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Fragment != "" || strings.Contains(text, "#") || u.User != nil || strings.ContainsAny(text, " \t\r\n*") {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		return loopback(u.Hostname())
	}
	return strings.Contains(u.Scheme, ".") // RFC 8252 §7.1: a name that the app's owner controls
}

func loopback(host string) bool {
	return slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, host)
}
