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
	"fmt"

	"github.com/fieldseal/fieldseal/crypto/field"
)

// ErrDenied means that no rule allows the request for the type at all.
var ErrDenied = errors.New("access denied")

// ErrScope is the ErrDenied of a token whose scopes do not reach the request,
// whatever the rules say (RFC 6750 §3.1, insufficient_scope).
var ErrScope = fmt.Errorf("no scope reaches it: %w", ErrDenied)

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
