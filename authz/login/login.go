// Package login knows who sits in front of a browser: passwords, second factors
// (passkeys after WebAuthn, time-based codes after RFC 6238, recovery codes),
// enrolment by a one-time link, and the sessions of the pages.
//
// Start with Service. Accounts and their roles are authz/account's; what a token
// says is made by authz/account and authz/token; internal/pages asks people.
//
// Security notes: a refused password says the same, and does the same work,
// whether the account is unknown, ended, without a password, or has another one.
// Attempts are counted before they are checked, per account and network, per
// network, and per account; delays grow and are capped, and whoever logged in
// from a network before is not locked out by others elsewhere. What is used once
// (links, recovery codes, time steps, challenges) is consumed by compare-and-set,
// on whatever node it comes. Session rows are named by the hash of their secret
// and sealed under it; a secret is drawn anew at each rise of privilege. A change
// of credentials ends all other sessions of the account, another password what the
// account gave to apps as well. Every login, refusal,
// enrolment and change is an audit event before its effect. No error names what
// was typed.
//
// Kept compatible: the rows (docs/format/login.md), frozen in testdata.
package login

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// Errors that people are told about. Any other error is an outage.
var (
	ErrWrong     = errors.New("the name, password or code is not right")
	ErrTooMany   = errors.New("too many attempts; wait a while")
	ErrNoSession = errors.New("there is no session")
	ErrLink      = errors.New("the link is unknown, used or too old")
	ErrWeak      = errors.New("choose another password")
	ErrStale     = errors.New("a fresh login is needed")
	ErrNoFactor  = errors.New("there is no such factor")
)

// Limits.
const (
	Idle       = 30 * time.Minute // of a session without requests
	Absolute   = 12 * time.Hour   // of a session
	Fresh      = 15 * time.Minute // of a login, for changes of credentials
	LinkLife   = 24 * time.Hour   // of an enrolment link
	maxKeys    = 10               // passkeys of an account
	maxNameLen = 60               // of a passkey, bytes
)

// EnrolPath is the page that an enrolment link leads to; the link's secret is
// its parameter "link".
const EnrolPath = "/oauth/login/enrol"

// Gatekeeper records what is refused before anything is checked, aggregated per
// peer (decision 35).
type Gatekeeper interface {
	RecordPreAuth(peer, reason string)
}

// Grants are what accounts gave to apps (authz/oauth). Whoever knew the password
// may have given them.
type Grants interface {
	EndGrants(ctx context.Context, account string) (int, error)
}

// Options are what a Service needs.
type Options struct {
	Table    repository.Table
	Sealer   account.Sealer
	Accounts *account.Directory
	// Origin is that of the pages, as https://fhir.example.org:8443.
	Origin string
	// NeedsFactor says which accounts must have a second factor.
	NeedsFactor func(account.Account) bool
	Grants      Grants
	Recorder    audit.Recorder
	Gatekeeper  Gatekeeper
	Breached    *Breached        // passwords to refuse; nil: none
	Now         func() time.Time // nil means time.Now
}

// Service keeps credentials and sessions. It is safe for concurrent use, also of
// several nodes, and caches nothing.
type Service struct {
	Options
	webauthn *webauthn.WebAuthn // nil when the origin has no domain
	hashing  chan struct{}      // bounds the memory of password hashing
	cost     cost               // of password hashes
	dummy    passwordHash       // of unknown accounts
}

// New returns a Service; it panics when a required option is missing, which is a
// wiring error. The error is about the origin.
func New(o Options) (*Service, error) {
	if o.Table == nil || o.Sealer == nil || o.Accounts == nil || o.NeedsFactor == nil || o.Grants == nil || o.Recorder == nil || o.Gatekeeper == nil {
		panic("login: a required option is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	origin, err := url.Parse(o.Origin)
	if err != nil || origin.Scheme == "" || origin.Hostname() == "" {
		return nil, fmt.Errorf("login: %q is no origin", o.Origin)
	}
	s := &Service{Options: o, cost: standardCost, hashing: make(chan struct{}, max(2, runtime.NumCPU()))}
	s.dummy = s.cost.hash(token.Draw(""), newSalt())
	if net.ParseIP(origin.Hostname()) != nil {
		return s, nil // WebAuthn names relying parties by domain
	}
	s.webauthn, err = webauthn.New(&webauthn.Config{
		RPID: origin.Hostname(), RPDisplayName: "Fieldseal", RPOrigins: []string{o.Origin},
		AuthenticatorSelection: protocol.AuthenticatorSelection{UserVerification: protocol.VerificationRequired},
		AttestationPreference:  protocol.PreferNoAttestation,
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Enforce: true, Timeout: challengeLife, TimeoutUVD: challengeLife},
			Registration: webauthn.TimeoutConfig{Enforce: true, Timeout: challengeLife, TimeoutUVD: challengeLife}},
	})
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return s, nil
}

// Passkeys reports whether passkeys can be offered: they need an origin with a
// domain.
func (s *Service) Passkeys() bool { return s.webauthn != nil }

// Stage is how far a session has come.
type Stage uint8

// The stages.
const (
	Anonymous      Stage = iota // nobody yet
	NeedsFactor                 // the first factor is proven, a second is enrolled
	NeedsEnrolment              // the first factor is proven, the role demands a second, none is enrolled
	LoggedIn
)

// Session is a browser's session. Its secret is the value of a cookie.
type Session struct {
	Account  string    // user:NAME; empty while anonymous
	AMR      []string  // RFC 8176, and mfa
	AuthTime time.Time // of the login or the last step-up
	Stage    Stage
	CSRF     string // for the forms of this session
	Expires  time.Time
}

// Fresh reports whether the user proved all factors within the last 15 minutes.
func (s Session) Fresh(now time.Time) bool {
	return s.Stage == LoggedIn && now.Sub(s.AuthTime) <= Fresh
}

// Values of amr (RFC 8176).
const (
	amrPassword = "pwd"
	amrOTP      = "otp"
	amrKey      = "pop"
	amrPresence = "user"
	// MFA says that more than one factor was proven.
	MFA = "mfa"
)

// stage derives how far a session is from what was proven and what is enrolled,
// so that a role that comes to demand a factor demands it at once.
func (s *Service) stage(a account.Account, c *credentials, amr []string) Stage {
	switch {
	case slices.Contains(amr, MFA):
		return LoggedIn
	case c.hasFactor():
		return NeedsFactor
	case s.NeedsFactor(a):
		return NeedsEnrolment
	}
	return LoggedIn
}

// with adds factors to an amr.
func with(amr []string, more ...string) []string {
	out := slices.Clone(amr)
	for _, m := range more {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// record makes an event durable before what it covers takes effect.
func (s *Service) record(ctx context.Context, kind audit.Kind, subtype, reason, subject, peer string) error {
	outcome := audit.Success
	if reason != "" && kind == audit.Login {
		outcome = audit.MinorFailure
	}
	_, err := s.Recorder.Record(ctx, audit.Event{Kind: kind, Subtype: subtype, Action: audit.Execute, Outcome: outcome, Reason: reason,
		Agent: audit.Agent{Subject: subject, Address: peer}})
	return err
}
