// Package account keeps who may log in: users and service accounts, their roles
// and groups, the FHIR resource that stands for them, the organizations they act
// for, and whose proxy they are.
//
// Start with Directory. Link says who an account is at another issuer. Claims turns an account into what a token says;
// authz/token issues it.
//
// Security notes: rows are sealed, since an account of a patient or of a proxy
// names patients; whoever reads the table sees how many accounts there are.
// A disabled or ended account yields no claims. A proxy reads as role:proxy
// only, never with the roles that the account has otherwise, within the scopes
// and until the end of the delegation.
//
// Kept compatible: the rows (docs/format/account.md), frozen in testdata.
package account

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/fhir"
)

// Errors that callers tell apart.
var (
	// ErrUnknown means that there is no such account or delegation.
	ErrUnknown = errors.New("there is no such account or delegation")
	// ErrExists means that the account exists already.
	ErrExists = errors.New("the account exists already")
	// ErrDisabled means that the account is disabled or has ended.
	ErrDisabled = errors.New("the account is disabled or has ended")
	// ErrContext means that the account may not act for the patient.
	ErrContext = errors.New("the account may not act for this patient")
	// ErrLinked means that the identity belongs to another account.
	ErrLinked = errors.New("the identity belongs to another account")
	// ErrInvalid means that a record breaks a rule.
	ErrInvalid = errors.New("the account is refused")
)

// Prefixes of names. Every name carries its kind, so that no account can be
// called like a role.
const (
	User   = "user:"
	Client = "client:"
	Role   = "role:"
	Group  = "group:"
)

// ProxyRole is the only role of an account that acts for another patient.
const ProxyRole = Role + "proxy"

// Account is one user or service account.
type Account struct {
	Subject string   `json:"subject"` // user:NAME or client:NAME
	Roles   []string `json:"roles,omitempty"`
	Groups  []string `json:"groups,omitempty"`
	// Links are references to the resources that stand for the account:
	// Practitioner, PractitionerRole, Patient, RelatedPerson or Device. The
	// first one is who the account is in tokens and in the audit trail.
	Links       []string     `json:"links,omitempty"`
	Orgs        []string     `json:"orgs,omitempty"` // logical ids of Organizations
	Disabled    bool         `json:"disabled,omitempty"`
	Until       time.Time    `json:"until,omitzero"` // zero: no end
	Delegations []Delegation `json:"delegations,omitempty"`
	// Identities are who the account is at other issuers.
	Identities []Identity `json:"identities,omitempty"`
}

// Identity is a person or service as another issuer knows it (OpenID Connect
// Core §2: iss and sub together are unique and never reassigned; an e-mail
// address is neither).
type Identity struct {
	Issuer  string `json:"issuer"` // URL, exactly as in the issuer's tokens
	Subject string `json:"sub"`
}

// maxIdentities bounds the row of an account.
const maxIdentities = 20

func (i Identity) check() error {
	u, err := url.Parse(i.Issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(i.Issuer) > 500 {
		return errors.New("an issuer is an https URL without query and fragment")
	}
	if i.Subject == "" || len(i.Subject) > 255 || strings.ContainsFunc(i.Subject, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("a sub has 1 to 255 ASCII characters (OpenID Connect Core §2)")
	}
	return nil
}

// Delegation lets a related person read for a patient.
type Delegation struct {
	ID      string    `json:"id"`
	Patient string    `json:"patient"` // logical id
	Scopes  []string  `json:"scopes"`  // patient/TYPE.rs and narrower
	Until   time.Time `json:"until"`   // never without an end
	By      string    `json:"by"`      // who granted it
	Reason  string    `json:"reason"`
	Revoked time.Time `json:"revoked,omitzero"`
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$`)

// ValidName reports whether a text is the prefix and a name.
func ValidName(prefix, text string) bool {
	name, ok := strings.CutPrefix(text, prefix)
	return ok && namePattern.MatchString(name)
}

// linkTypes are the resources that stand for users and service accounts.
var linkTypes = []string{"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Device"}

// Check reports every problem of a record at once.
func (a *Account) Check() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !ValidName(User, a.Subject) && !ValidName(Client, a.Subject) {
		fault("the account must be user:NAME or client:NAME, the name of letters, digits, dots, dashes, underlines and @")
	}
	for _, r := range a.Roles {
		if !ValidName(Role, r) {
			fault("role %q must be role:NAME", r)
		}
	}
	for _, g := range a.Groups {
		if !ValidName(Group, g) {
			fault("group %q must be group:NAME", g)
		}
	}
	for _, l := range a.Links {
		typ, id, _ := strings.Cut(l, "/")
		if !slices.Contains(linkTypes, typ) || !fhir.ValidID(id) {
			fault("a link must be %s and a logical id", strings.Join(linkTypes, "/, ")+"/")
		}
	}
	for _, o := range a.Orgs {
		if !fhir.ValidID(o) {
			fault("an organization is named by its logical id")
		}
	}
	for i := range a.Delegations {
		if err := a.Delegations[i].check(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(a.Identities) > maxIdentities {
		fault("an account has at most %d identities at other issuers", maxIdentities)
	}
	for _, i := range a.Identities {
		if err := i.check(); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(errs...))
	}
	return nil
}

// check refuses a delegation without a patient, an end or a scope, and one that
// would let its holder change something.
func (d *Delegation) check() error {
	if !fhir.ValidID(d.Patient) || d.Until.IsZero() || len(d.Scopes) == 0 || d.By == "" || d.Reason == "" {
		return errors.New("a delegation needs patient, scopes, end, who granted it and why")
	}
	for _, text := range d.Scopes {
		if s, err := smart.Parse(text); err != nil || s.Level != smart.Patient || strings.ContainsAny(s.Letters, "cud") {
			return fmt.Errorf("scope %q of a delegation must be patient/TYPE.r, .s or .rs", text)
		}
	}
	return nil
}

// Ended reports whether the account yields no claims any more.
func (a *Account) Ended(now time.Time) bool {
	return a.Disabled || (!a.Until.IsZero() && !now.Before(a.Until))
}

// inForce finds the delegation for a patient that ends last.
func (a *Account) inForce(patient string, now time.Time) (best *Delegation) {
	for i := range a.Delegations {
		d := &a.Delegations[i]
		if d.Patient == patient && d.Revoked.IsZero() && now.Before(d.Until) && (best == nil || d.Until.After(best.Until)) {
			best = d
		}
	}
	return best
}

// link returns the first link of one of the types, or of any.
func (a *Account) link(types ...string) string {
	for _, l := range a.Links {
		if typ, _, _ := strings.Cut(l, "/"); len(types) == 0 || slices.Contains(types, typ) {
			return l
		}
	}
	return ""
}
