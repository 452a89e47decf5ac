package authz

import (
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/crypto/field"
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
