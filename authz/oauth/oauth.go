// Package oauth is the authorization server: SMART App Launch 2.2 and SMART
// Backend Services over OAuth 2.0 (RFC 6749, 6750, 7009, 7523, 7591, 7636, 7662) and
// OpenID Connect.
//
// Start with New and Server. ory/fosite runs the flows; authenticate.go and
// assertion.go say who the client is, store.go keeps what the flows need in one
// repository.Table, authorize.go asks people through Interaction, which the
// pages implement, register.go takes clients that register themselves, launch.go starts apps for an EHR, signing.go has the keys of
// id_tokens, watch.go limits and measures. Access tokens are those of
// authz/token.
//
// Security notes: what is used once (codes, refresh tokens, launches, jti of
// assertions) is consumed by compare-and-set, on whatever node it comes. Rows are named by
// the hash of their secret and sealed under the secret itself: a copy of the
// table redeems nothing. A code or refresh token that comes again ends its whole
// family. No error text repeats what a client sent, and no URL that is made here
// holds more than code, state and an error code. Every token that leaves, every
// refusal of a known client and every reuse is an audit event first; what fails
// before a client is known is counted per peer.
//
// Kept compatible: the rows (docs/format/oauth.md), the paths, the prefixes of
// secrets.
package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/internal/limit"
	"github.com/fieldseal/fieldseal/repository"
)

// Path is where the endpoints lie, beside the FHIR base.
const Path = "/oauth"

// Limits (SMART App Launch 2.2; access.md, SMART 2, 8 and 9).
const (
	CodeLifetime           = 60 * time.Second
	DefaultRefreshLifetime = 92 * 24 * time.Hour // three months
	OnlineLifetime         = 12 * time.Hour      // a refresh token of online_access
	maxFormBytes           = 64 << 10
)

// Gatekeeper records what fails before a client is known, aggregated per peer
// (decision 35).
type Gatekeeper interface {
	RecordPreAuth(peer, reason string)
}

// Options are what a Server needs.
type Options struct {
	Base    string // FHIR base URL, without a slash at the end
	Issuer  string // of the authorization server; its endpoints lie below it
	Table   repository.Table
	Clients *client.Registry
	Tokens  *token.Issuer
	// PRF is a keyed function; it makes pseudonyms and the key of the signing
	// key.
	PRF        func(label, text string) repository.StorageID
	Recorder   audit.Recorder
	Gatekeeper Gatekeeper
	// Interaction asks people; nil offers no authorization endpoint, so that
	// backend services alone get tokens.
	Interaction Interaction
	// ErrorPage tells a person that a request cannot be answered, without a
	// redirect and without anything of the request; nil means a plain page.
	ErrorPage func(w http.ResponseWriter, r *http.Request, status int)
	// Charts say what users may see; nil offers no launch by an EHR.
	Charts Charts
	// Picker is set when the interaction lets people pick a patient.
	Picker bool
	// Manage is the page on which people end what they authorised, below the
	// issuer; empty for none.
	Manage string
	// Registers lets clients register themselves (RFC 7591); they wait for an
	// officer.
	Registers bool
	// ConsentLifetime is how long it is remembered what a user allowed an app; 0:
	// not at all.
	ConsentLifetime time.Duration
	// RefreshLifetime of offline_access; 0 means DefaultRefreshLifetime.
	RefreshLifetime time.Duration
	// AccessLifetime of apps with a user; 0 means token.DefaultLifetime.
	AccessLifetime time.Duration
	// Reachable says which addresses key sets are fetched from; nil means
	// public ones only.
	Reachable func(netip.Addr) bool
	// Limits are those of single clients, taken when a client is authenticated;
	// PerNetwork is that of all who call from one network, taken before anything
	// is looked at. The zero ones do not limit.
	Limits     limit.Limits
	PerNetwork limit.Limit
	// Tracer makes spans; nil makes none.
	Tracer *trace.Tracer
	// Transport is for key sets, with TLS; nil means the system's roots.
	Transport *http.Transport
	// Peer is the network address of the caller; nil means that of the
	// connection.
	Peer func(*http.Request) string
	Log  *slog.Logger
	Now  func() time.Time // nil means time.Now
}

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	Options
	provider  *fosite.Fosite
	config    *fosite.Config
	store     *store
	keys      *keySets
	signing   *signing // nil without OpenID Connect
	paths     map[string]http.HandlerFunc
	origins   origins
	meter     *meter
	byClient  *limit.Limiter
	byNetwork *limit.Limiter

	registering *limit.Limiter // networks from which clients register themselves
}

// New returns a server; it panics when a required option is missing, which is a
// wiring error. With an Interaction it reads the signing key, or makes it.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Base == "" || o.Issuer == "" || o.Table == nil || o.Clients == nil || o.Tokens == nil || o.PRF == nil || o.Recorder == nil || o.Gatekeeper == nil {
		panic("oauth: a required option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RefreshLifetime == 0 {
		o.RefreshLifetime = DefaultRefreshLifetime
	}
	if o.AccessLifetime == 0 {
		o.AccessLifetime = token.DefaultLifetime
	}
	if o.Peer == nil {
		o.Peer = connectionPeer
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, meter: newMeter(), byClient: limit.New(o.Limits), byNetwork: limit.New(limit.Limits{Default: o.PerNetwork}),
		registering: limit.New(limit.Limits{Default: registrations})}
	s.store = &store{Server: s}
	s.keys = newKeySets(o)
	if o.Interaction != nil {
		var err error
		if s.signing, err = s.openSigning(ctx); err != nil {
			return nil, err
		}
	}
	s.configure()
	s.route()
	return s, nil
}

// route lists the endpoints. What people and apps with a user need is there
// only with an Interaction.
func (s *Server) route() {
	s.paths = map[string]http.HandlerFunc{
		s.configurationPath(): s.open(fixed(s.smartConfiguration())),
		Path + "/token":       s.watch(trace.Token, s.private(s.formed(s.token))),
		Path + "/introspect":  s.watch(trace.Introspect, s.private(s.formed(s.introspect))),
		Path + "/revoke":      s.watch(trace.Revoke, s.private(s.formed(s.revoke))),
	}
	if s.Registers {
		s.paths[Path+"/register"] = s.watch(trace.Register, s.private(s.register))
	}
	if s.Interaction != nil {
		s.paths[Path+"/.well-known/openid-configuration"] = s.open(fixed(s.openIDConfiguration()))
		s.paths[Path+"/jwks"] = s.open(s.signing.public)
		s.paths[Path+"/authorize"] = s.watch(trace.Authorize, s.authorize)
		s.paths[Path+"/"+stylePath()] = s.open(fixed(style))
		if s.Charts != nil {
			s.paths[Path+"/launch"] = s.watch(trace.Launch, s.private(s.launch))
		}
	}
}

// Serves reports whether an escaped path is one of this server's. Paths are
// compared whole: what is written in another way is none of them (abuse 18).
func (s *Server) Serves(path string) bool { return s.paths[path] != nil }

// configurationPath is .well-known/smart-configuration below the FHIR base.
func (s *Server) configurationPath() string {
	_, rest, _ := strings.Cut(s.Base, "://")
	_, path, _ := strings.Cut(rest, "/")
	return "/" + strings.TrimSuffix(path+"/", "//") + ".well-known/smart-configuration"
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serve := s.paths[r.URL.EscapedPath()]
	if serve == nil {
		http.NotFound(w, r)
		return
	}
	serve(w, r)
}

func connectionPeer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (s *Server) endpoint(name string) string { return s.Issuer + "/" + name }

// unavailable reports whether an error is that of a part that may come back.
func unavailable(err error) bool {
	return errors.Is(err, repository.ErrUnavailable) || errors.Is(err, audit.ErrUnavailable) || errors.Is(err, authz.ErrNoPolicy)
}
