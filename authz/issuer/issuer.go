// Package issuer trusts a fixed list of external OpenID Connect and OAuth
// issuers: it finds their keys, verifies what they sign, and says which local
// account a bearer token of theirs stands for.
//
// Start with Load, which reads the list, and New. Set.External is what
// authz/token asks; authz/federation logs people in at the same issuers.
//
// Security notes: nothing that a token says chooses where something is fetched
// or which key verifies it: its issuer selects an entry of the list, its kid one
// of that entry's keys; without one, a few of its keys are tried. Algorithms are
// RS, ES, PS and EdDSA only. Who the token is for
// is decided by iss and sub, which an operator linked to an account; roles,
// groups and e-mail addresses of the issuer grant nothing. What is not mapped
// says of no second factor. Keys that cannot be fetched anew serve for KeyGrace,
// then nobody is admitted.
//
// Kept compatible: the members of the file (docs/issuers.md).
package issuer

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/keyset"
)

// Options are what a Set needs.
type Options struct {
	Issuers  []Settings
	Accounts *account.Directory
	// Base is the FHIR base URL: the audience of bearer tokens that name none of
	// their own, and what a fhirUser may begin with.
	Base string
	// Purposes are the usual purpose of use of a person, and those that requests may
	// name besides; nil means TREAT and no other.
	Purposes func(account.Account) (usual string, besides []string)
	// Log gets an alert when keys cannot be fetched; nil discards it.
	Log *slog.Logger
	Now func() time.Time // nil means time.Now
}

// Set is the issuers of one server. It is safe for concurrent use.
type Set struct {
	accounts *account.Directory
	purposes func(account.Account) (usual string, besides []string)
	base     string
	now      func() time.Time
	issuers  []*Issuer
}

// Issuer is one of them.
type Issuer struct {
	Settings
	keys *keys
	now  func() time.Time
}

// New returns the set; the settings were checked by Load or Check.
func New(o Options) (*Set, error) {
	if o.Accounts == nil || o.Base == "" {
		return nil, errors.New("issuer: Options.Accounts and Options.Base are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Purposes == nil {
		o.Purposes = func(account.Account) (string, []string) { return "TREAT", nil }
	}
	s := &Set{accounts: o.Accounts, purposes: o.Purposes, base: o.Base, now: o.Now}
	for _, settings := range o.Issuers {
		i := &Issuer{Settings: settings, now: o.Now}
		i.keys = &keys{settings: &i.Settings, now: o.Now, fetcher: keyset.NewFetcher(i.reachable, i.transport), outcome: watched(i.Name, alert(o.Log, i.Name))}
		if b := i.Bearer; b != nil && b.Audience == "" {
			own := *b
			own.Audience = o.Base
			i.Bearer = &own
		}
		s.issuers = append(s.issuers, i)
	}
	return s, nil
}

// alert tells an operator that an issuer's keys cannot be fetched, and whether
// anybody is admitted meanwhile. Neither a URL nor what was answered is told.
func alert(log *slog.Logger, name string) func(error, bool) {
	return func(err error, serving bool) {
		if serving {
			log.Warn("the keys of an external issuer cannot be fetched; those in hand serve", "component", "issuer/"+name, "error", err.Error())
			return
		}
		log.Error("the keys of an external issuer cannot be fetched; its tokens and logins are refused", "component", "issuer/"+name, "error", err.Error())
	}
}

// Login are the issuers at which people may log in, in the order of the file.
func (s *Set) Login() []*Issuer {
	var out []*Issuer
	for _, i := range s.issuers {
		if i.Settings.Login != nil {
			out = append(out, i)
		}
	}
	return out
}

// Accepts reports whether bearer tokens of any issuer are accepted.
func (s *Set) Accepts() bool {
	return slices.ContainsFunc(s.issuers, func(i *Issuer) bool { return i.Bearer != nil })
}

// bearerOf finds the issuer of a bearer token by the exact text of its iss.
func (s *Set) bearerOf(iss string) *Issuer {
	for _, i := range s.issuers {
		if i.Bearer != nil && i.URL == iss {
			return i
		}
	}
	return nil
}

// local is the part of a fhirUser reference below our own base.
func (s *Set) local(reference string) string {
	return strings.TrimPrefix(reference, s.base+"/")
}
