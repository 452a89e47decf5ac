// Package authz holds the vocabulary of access decisions: Subject, Request,
// Facts, Grant and Decider. Rules live in authz/policy, subjects are built in
// authz/token, masks are applied by authz/redact.
//
// Everything denies by default: the zero Subject is nobody, the zero Grant
// permits nothing, an unknown role, type, action or predicate denies. A
// Decider that cannot decide returns an error, and the error denies too.
package authz

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/crypto/field"
)

// ErrDenied means that no rule allows the request for the type at all.
var ErrDenied = errors.New("access denied")

// ErrNoPolicy means that a node has no verified policy to decide by: it serves
// nothing (503).
var ErrNoPolicy = errors.New("no policy can be read")

// Action is what a subject wants to do, by FHIR interaction.
type Action string

// The actions that rules name.
const (
	Read     Action = "read" // read, vread, instance history
	Search   Action = "search"
	Create   Action = "create"
	Update   Action = "update"
	Delete   Action = "delete"
	Reassign Action = "reassign" // move a resource to another patient's keys
	Relabel  Action = "relabel"  // lower or remove a security label
	Admin    Action = "admin"    // of the types Server and Policy
)

// The types of requests that concern no FHIR resource: the Admin action and
// nothing else. They are two, so that who runs the server need not be who
// decides what may be seen.
const (
	Server = "Server" // tokens, keys, erasure
	Policy = "Policy" // rules, accounts, delegations
)

// Subject is an authenticated caller. Only authz/token builds one (a test over
// the import table enforces it). It is one pointer, since every decision and
// every grant carries it; what it points to does not change.
type Subject struct{ of *identity }

type identity struct {
	id       string
	roles    []string
	client   string
	who      string
	patient  field.StorageID
	patientS string
	orgs     []field.StorageID
	scopes   []string
	amr      []string
	authTime time.Time
	purpose  string
	purposes []string
	address  string
	hash     uint64
	kind     Kind
	glass    *Glass
}

// nobody is whom the zero Subject stands for.
var nobody identity

func (s Subject) identity() *identity {
	if s.of == nil {
		return &nobody
	}
	return s.of
}

// BreakGlassPurpose is the purpose of use of emergency access (HL7 v3
// PurposeOfUse). It is in force under a Glass alone; no token gives it.
const BreakGlassPurpose = "BTG"

// Glass is an emergency access in force: who broke the glass reads the record
// of one patient, for a reason that is reviewed later.
type Glass struct {
	ID      string // of the grant, for the audit trail
	Reason  string // code
	Patient field.StorageID
	Until   time.Time
	Usual   string // the purpose of the token: rules that deny under it still do
}

// Kind is what a decision is compiled for beside roles, scopes and purpose: what
// the account is, and what its context holds.
type Kind uint8

// The bits of a Kind.
const (
	IsUser Kind = 1 << iota
	IsClient
	HasPatient
	HasOrgs
	HasPractitioner // Who is a Practitioner or PractitionerRole
	HasWho
	HasGlass
)

// kindOf needs a name behind the prefix: "user:" alone is nobody.
func kindOf(c *SubjectClaims) (k Kind) {
	set := func(bit Kind, holds bool) {
		if holds {
			k |= bit
		}
	}
	set(IsUser, strings.HasPrefix(c.ID, "user:") && len(c.ID) > len("user:"))
	set(IsClient, strings.HasPrefix(c.ID, "client:") && len(c.ID) > len("client:"))
	set(HasPatient, c.Patient != "")
	set(HasOrgs, len(c.Orgs) > 0)
	set(HasPractitioner, strings.HasPrefix(c.Who, "Practitioner/") || strings.HasPrefix(c.Who, "PractitionerRole/"))
	set(HasWho, c.Who != "")
	return k
}

var subjectSeed = maphash.MakeSeed()

// SubjectClaims is what a verified token says.
type SubjectClaims struct {
	ID         string   // user:NAME or client:NAME
	Roles      []string // role:NAME, and group:NAME for what policy assigns to groups
	Client     string
	Who        string // FHIR reference of the user: Practitioner/x, Patient/y
	Patient    string // logical id of the patient in context, if any
	PatientKey field.StorageID
	Orgs       []field.StorageID
	Scopes     []string // SMART v2
	AMR        []string
	AuthTime   time.Time
	Purpose    string
	Purposes   []string // that the subject may act for besides Purpose
	Address    string
}

// NewSubject is for authz/token only. The slices must not change any more.
func NewSubject(c SubjectClaims) Subject {
	return Subject{&identity{kind: kindOf(&c), hash: fingerprint(c.Purpose, c.Roles, c.Scopes), id: c.ID, roles: c.Roles, client: c.Client, who: c.Who, patient: c.PatientKey, patientS: c.Patient,
		orgs: c.Orgs, scopes: c.Scopes, amr: c.AMR, authTime: c.AuthTime, purpose: c.Purpose, purposes: c.Purposes, address: c.Address}}
}

func fingerprint(purpose string, roles, scopes []string) uint64 {
	hash := maphash.String(subjectSeed, purpose)
	for _, r := range roles {
		hash = hash*31 + maphash.String(subjectSeed, r)
	}
	for _, s := range scopes {
		hash = hash*31 + maphash.String(subjectSeed, s)
	}
	return hash
}

// Valid reports whether the subject is authenticated.
func (s Subject) Valid() bool { return s.identity().id != "" }

// ID is the account, user:NAME or client:NAME.
func (s Subject) ID() string { return s.identity().id }

// Roles are what the account has: role:NAME, and group:NAME for groups whose
// roles the policy assigns.
func (s Subject) Roles() []string { return s.identity().roles }

// Client is the OAuth client id.
func (s Subject) Client() string { return s.identity().client }

// Who is the FHIR reference of the user.
func (s Subject) Who() string { return s.identity().who }

// Patient is the logical id of the patient in context, or empty.
func (s Subject) Patient() string { return s.identity().patientS }

// PatientKey is the storage id of the patient in context.
func (s Subject) PatientKey() (field.StorageID, bool) {
	return s.identity().patient, s.identity().patientS != ""
}

// Orgs are the storage ids of the organizations the user acts for.
func (s Subject) Orgs() []field.StorageID { return s.identity().orgs }

// Scopes are the SMART v2 scopes of the token.
func (s Subject) Scopes() []string { return s.identity().scopes }

// StepUpAge is how old an authentication may be for administration,
// break-glass, export and signature.
const StepUpAge = 15 * time.Minute

// SteppedUp reports whether the user authenticated with a second factor, at
// most StepUpAge before now.
func (s Subject) SteppedUp(now time.Time) bool {
	return Strong(s.identity().amr, s.identity().authTime, now, StepUpAge)
}

// strongMethods are the amr values (RFC 8176 §2) that say of a second factor.
var strongMethods = []string{"mfa", "otp", "hwk", "sc"}

// Strong reports whether an authentication had a second factor and is no older
// than most. A time that is unknown, or more than a minute ahead, is no time.
func Strong(amr []string, authTime, now time.Time, most time.Duration) bool {
	age := now.Sub(authTime)
	return slices.ContainsFunc(amr, func(m string) bool { return slices.Contains(strongMethods, m) }) &&
		!authTime.IsZero() && age <= most && age >= -time.Minute
}

// Purpose is the purpose of use, TREAT unless said otherwise.
func (s Subject) Purpose() string { return s.identity().purpose }

// System reports whether the account is a client of its own, not a person.
func (s Subject) System() bool { return strings.HasPrefix(s.identity().id, "client:") }

// AMR are the methods by which the user authenticated (RFC 8176).
func (s Subject) AMR() []string { return s.identity().amr }

// AuthTime is when the user last authenticated; zero when unknown.
func (s Subject) AuthTime() time.Time { return s.identity().authTime }

// For returns the subject acting for another purpose of use, one of those that
// its token allows. It is false for any other.
func (s Subject) For(purpose string) (Subject, bool) {
	who := *s.identity()
	if purpose != who.purpose && !slices.Contains(who.purposes, purpose) || purpose == "" {
		return Subject{}, false
	}
	who.purpose, who.hash = purpose, fingerprint(purpose, who.roles, who.scopes)
	return Subject{&who}, true
}

// WithGlass is the subject with the glass broken for one patient. Only
// fhir/interaction calls it, for a grant that it has checked.
func (s Subject) WithGlass(g Glass) Subject {
	who := *s.identity()
	g.Usual = who.purpose
	who.purpose, who.glass, who.kind = BreakGlassPurpose, &g, who.kind|HasGlass
	who.hash = fingerprint(who.purpose, who.roles, who.scopes)
	return Subject{&who}
}

// Kind is what the account is and what its context holds.
func (s Subject) Kind() Kind { return s.identity().kind }

// UsualPurpose is the purpose that the token had before the glass was broken;
// empty when it is whole.
func (s Subject) UsualPurpose() string {
	if s.identity().glass == nil {
		return ""
	}
	return s.identity().glass.Usual
}

// Glass is the emergency access in force, if any.
func (s Subject) Glass() (Glass, bool) {
	if s.identity().glass == nil {
		return Glass{}, false
	}
	return *s.identity().glass, true
}

// Address is the network address of the peer.
func (s Subject) Address() string { return s.identity().address }

// Fingerprint is a hash of roles, scopes and purpose for tables of decisions:
// equal ones hash alike within a process, different ones may.
func (s Subject) Fingerprint() uint64 { return s.identity().hash }

// Request is what is to be decided.
type Request struct {
	Action Action
	Type   string // FHIR resource type, clear
}

// Facts are what rules may know of one resource before any element of it is
// opened: the content of group 0. Selects alone looks further.
type Facts struct {
	Owner    field.StorageID
	Patients []field.StorageID // patient compartments the resource lies in
	Orgs     []field.StorageID // organizations it belongs to
	Security []field.Label     // meta.security
	Deleted  bool
	// More answers what group 0 does not; nil knows nothing, which denies.
	More Attributes
	// Selects reports whether the resource, seen through the classes, satisfies
	// the query of a granular scope. It opens elements, so it is asked only when
	// the answer matters; nil selects nothing.
	Selects func(query string, seen field.ClassSet) bool
}

// Traits are what holds of every answer for the roles in force, whatever the
// type.
type Traits struct {
	// ConcealChanges: versions and times of versions are not shown, and a
	// history tells only what changed visibly (decision 17).
	ConcealChanges bool
	// Project is set when logical ids are shown under pseudonyms, and names
	// whose they are (decision 21).
	Project string
}

// Program is a compiled decision: for each combination of predicate bits the
// classes that are visible. Implementations are immutable.
type Program interface {
	// Ceiling is the union of classes that any facts could make visible.
	Ceiling() field.ClassSet
	// Mask is the classes visible on a resource with these facts; zero denies.
	Mask(s Subject, f Facts) field.ClassSet
	// Unconditional reports whether Mask is Ceiling whatever the facts.
	Unconditional() bool
	// Confined reports whether nothing outside of one patient compartment can
	// be visible, whatever the facts: the subject's own, or that of the patient
	// for whom the glass is broken.
	Confined() bool
	// Emergency reports whether a rule for break-glass allows anything.
	Emergency() bool
	// Related reports whether nothing outside of the subject's own patient
	// compartment and of the patients it cares for can be visible.
	Related() bool
	// Revision names the policy version.
	Revision() string
}

// Grant is a positive decision for one request. The zero Grant denies.
type Grant struct {
	subject Subject
	request Request
	program Program
}

// NewGrant is for implementations of Decider.
func NewGrant(s Subject, r Request, p Program) Grant { return Grant{s, r, p} }

// Allowed reports whether the request may proceed at all.
func (g Grant) Allowed() bool { return g.program != nil && g.program.Ceiling() != 0 }

// Subject is who the grant is for.
func (g Grant) Subject() Subject { return g.subject }

// Request is what was granted.
func (g Grant) Request() Request { return g.request }

// Ceiling is what role and scope leave visible for the type; search
// parameters that read other classes are refused (decision 16).
func (g Grant) Ceiling() field.ClassSet {
	if g.program == nil {
		return 0
	}
	return g.program.Ceiling()
}

// Mask is the classes visible on a resource; zero means the resource does not
// exist for this subject.
func (g Grant) Mask(f Facts) field.ClassSet {
	if g.program == nil {
		return 0
	}
	return g.program.Mask(g.subject, f)
}

// Unrestricted reports whether the grant covers every resource of the type
// with the same mask.
func (g Grant) Unrestricted() bool { return g.program != nil && g.program.Unconditional() }

// Confined reports whether the grant shows nothing outside of one patient
// compartment, and whose it is, so that a search need not look further.
func (g Grant) Confined() (field.StorageID, bool) {
	if g.program == nil || !g.program.Confined() {
		return field.StorageID{}, false
	}
	if g.subject.identity().glass != nil {
		return g.subject.identity().glass.Patient, true
	}
	return g.subject.PatientKey()
}

// Emergency reports whether a rule for break-glass allows anything.
func (g Grant) Emergency() bool { return g.program != nil && g.program.Emergency() }

// Related reports whether the grant shows nothing outside of the subject's own
// patient compartment and those of the patients it cares for.
func (g Grant) Related() bool { return g.program != nil && g.program.Related() }

// Revision names the policy version that decided.
func (g Grant) Revision() string {
	if g.program == nil {
		return ""
	}
	return g.program.Revision()
}

// Decider decides requests. It returns ErrDenied (wrapped) when no rule
// allows, and any other error when it cannot decide: both deny.
type Decider interface {
	Decide(ctx context.Context, s Subject, r Request) (Grant, error)
	// Traits are those of the subject's roles.
	Traits(s Subject) Traits
}
