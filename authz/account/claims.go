package account

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// Session is what a login adds to an account.
type Session struct {
	Client   string   // OAuth client id
	Scopes   []string // what the client asked for and may have
	AMR      []string
	AuthTime time.Time
	Purpose  string
	Patient  string // logical id of the patient in context, if any
	Lifetime time.Duration
}

// Claims are what a token of the account says in this session. A patient in
// context is the account's own one or one whose proxy it is; who treats may
// have any, since roles decide what of it is seen.
func (a *Account) Claims(s Session, now time.Time) (token.Claims, error) {
	if a.Ended(now) {
		return token.Claims{}, ErrDisabled
	}
	c := token.Claims{Account: a.Subject, Client: s.Client, Roles: slices.Concat(a.Roles, a.Groups), Scopes: s.Scopes,
		Who: a.link(), Orgs: a.Orgs, AMR: s.AMR, AuthTime: s.AuthTime, Purpose: s.Purpose, Patient: s.Patient, Lifetime: s.Lifetime}
	own := strings.TrimPrefix(a.link("Patient"), "Patient/")
	treats := a.link("Practitioner", "PractitionerRole") != ""
	switch d := a.inForce(s.Patient, now); {
	case s.Patient == "" && !treats:
		c.Patient = own
	case s.Patient == "" || s.Patient == own:
	case d != nil:
		return a.proxy(c, d, now)
	case !treats && (own != "" || a.link("RelatedPerson") != ""):
		return token.Claims{}, ErrContext
	}
	c.Lifetime = bounded(c.Lifetime, a.Until, now)
	return c, nil
}

// Context is a patient for whom an account may act.
type Context struct {
	Patient string // logical id
	Own     bool
}

// Contexts are the patients for whom the account acts: its own one and those
// whose proxy it is now. search says that it may have any patient in context
// instead, as who treats may: roles decide what of it is seen.
func (a *Account) Contexts(now time.Time) (of []Context, search bool) {
	own := strings.TrimPrefix(a.link("Patient"), "Patient/")
	if own != "" {
		of = append(of, Context{own, true})
	}
	for _, d := range a.Delegations {
		known := slices.ContainsFunc(of, func(c Context) bool { return c.Patient == d.Patient })
		if !known && a.inForce(d.Patient, now) != nil {
			of = append(of, Context{Patient: d.Patient})
		}
	}
	treats := a.link("Practitioner", "PractitionerRole") != ""
	return of, treats || own == "" && a.link("RelatedPerson") == ""
}

// proxy narrows claims to a delegation.
func (a *Account) proxy(c token.Claims, d *Delegation, now time.Time) (token.Claims, error) {
	who := a.link("RelatedPerson")
	if who == "" {
		return token.Claims{}, ErrContext
	}
	c.Scopes = common(c.Scopes, d.Scopes)
	if !slices.ContainsFunc(c.Scopes, func(scope string) bool { return !smart.Contextual(scope) }) {
		return token.Claims{}, fmt.Errorf("none of the scopes is within the delegation: %w", ErrContext)
	}
	c.Roles, c.Who, c.Orgs, c.Purpose = []string{ProxyRole}, who, nil, "PATRQT"
	c.Lifetime = bounded(bounded(c.Lifetime, a.Until, now), d.Until, now)
	return c, nil
}

// common are the asked scopes that the delegation covers, and what it grants of
// wider ones.
func common(asked, granted []string) (out []string) {
	for _, scope := range asked {
		if smart.Contextual(scope) || smart.Covered(granted, scope) {
			out = append(out, scope)
		}
	}
	for _, scope := range granted {
		if smart.Covered(asked, scope) && !slices.Contains(out, scope) {
			out = append(out, scope)
		}
	}
	return out
}

// bounded is a lifetime that ends with the account or delegation. Zero is the
// default of the kind of account.
func bounded(lifetime time.Duration, until, now time.Time) time.Duration {
	if until.IsZero() {
		return lifetime
	}
	left := until.Sub(now)
	if lifetime == 0 {
		lifetime = token.DefaultLifetime
	}
	return min(lifetime, left)
}
