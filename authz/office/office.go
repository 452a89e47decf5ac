// Package office is what security officers can ask and do: the life of
// policies, explanations, dry-runs, accounts, delegations and the review of
// emergency accesses. Every face (the
// admin socket, the admin API over HTTP, commands in their own process) comes
// through it, so that checks and audit events are the same.
//
// Start with New, Admit or AdmitLocal, and Do.
//
// Security notes: an operation runs for an admitted Actor only. Over HTTP that
// is an account whose token the policy lets administer the policy, freshly
// authenticated with a second factor. At the socket it is an operating-system
// user; where two persons are needed it names an account that may administer
// the policy as well. Every operation leaves an audit event before it has an
// effect or an answer leaves.
//
// Kept compatible: the names of operations and the members of their JSON.
package office

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
)

// Refusal is an error that callers may read: what they asked for breaks a rule.
type Refusal struct {
	Text     string
	Conflict bool // somebody else changed the same
	cause    error
}

func (r *Refusal) Error() string { return r.Text }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.cause }

func refuse(format string, args ...any) error { return &Refusal{Text: fmt.Sprintf(format, args...)} }

// refused classes the errors of the layers below that say what is wrong with
// the request; the others are faults of the server.
func refused(err error) error {
	var faults policy.Problems
	for _, known := range []error{archive.ErrUnknown, archive.ErrStale, account.ErrUnknown, account.ErrExists, account.ErrLinked, account.ErrInvalid, account.ErrDisabled,
		account.ErrContext, client.ErrUnknown, client.ErrClient, policy.ErrSelfTest, archive.ErrReason, authz.ErrNoPolicy} {
		if errors.Is(err, known) {
			return &Refusal{Text: err.Error(), Conflict: errors.Is(err, archive.ErrStale) || errors.Is(err, account.ErrExists) || errors.Is(err, account.ErrLinked), cause: err}
		}
	}
	if errors.As(err, &faults) {
		return &Refusal{Text: err.Error(), cause: err}
	}
	return err
}

// Trail is the audit trail, as dry-runs read it.
type Trail interface {
	audit.Recorder
	Search(ctx context.Context, q trail.Query) ([]audit.Entry, error)
}

// Resources tell the facts of stored resources, as rules see them.
type Resources interface {
	// Facts returns an error for what cannot be told any more. The grant says
	// for whom and what for, and permits nothing. withheld names, once the facts
	// were judged, the consents that withhold the resource.
	Facts(ctx context.Context, g authz.Grant, id string) (f authz.Facts, withheld func() []string, err error)
	// Owner is the clear pseudonym of a patient.
	Owner(patient string) audit.Owner
}

// Tokens ends the tokens of accounts and clients that changed.
type Tokens interface {
	RevokeAccount(ctx context.Context, account string) (int, error)
	RevokeClient(ctx context.Context, client string) (int, error)
}

// Grants are what accounts gave to apps (authz/oauth).
type Grants interface {
	// EndGrants ends all that an account gave: refresh tokens, codes under way and
	// access tokens.
	EndGrants(ctx context.Context, account string) (int, error)
}

// Reasoner adds what a part of the decision beside rules and consents has to
// say.
type Reasoner interface {
	Reasons(ctx context.Context, q policy.Question) []policy.Reason
}

// Options are what an Office needs; Reasoners may be empty.
type Options struct {
	Policies    *archive.Archive
	Accounts    *account.Directory
	Trail       Trail
	Resources   Resources
	Tokens      Tokens
	Grants      Grants
	Glasses     Glasses
	Credentials Credentials
	Clients     *client.Registry
	Signing     Signing
	Reasoners   []Reasoner
	// PRF is the keyed function that makes storage ids.
	PRF func(resourceType, id string) [16]byte
	// TwoPersons asks for an approver who is not the author.
	TwoPersons bool
	Now        func() time.Time
}

// Office is safe for concurrent use.
type Office struct{ Options }

// New returns an Office.
func New(o Options) *Office {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Office{o}
}

// operation is one thing that can be asked or done.
type operation func(o *Office, ctx context.Context, a Actor, body []byte) (any, error)

// take reads the JSON of an operation strictly.
func take[In any](run func(o *Office, ctx context.Context, a Actor, in In) (any, error)) operation {
	return func(o *Office, ctx context.Context, a Actor, body []byte) (any, error) {
		var in In
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil || dec.More() {
			return nil, refuse("the request is not the JSON that this operation takes")
		}
		return run(o, ctx, a, in)
	}
}

func operations() map[string]operation {
	return map[string]operation{
		"policy/check":       take((*Office).check),
		"policy/show":        take((*Office).show),
		"policy/history":     take((*Office).history),
		"policy/diff":        take((*Office).diff),
		"policy/explain":     take((*Office).explain),
		"policy/dry-run":     take((*Office).dryRun),
		"policy/apply":       take((*Office).apply),
		"policy/approve":     take((*Office).approve),
		"policy/discard":     take((*Office).discard),
		"policy/rollback":    take((*Office).rollback),
		"break-glass/list":   take((*Office).listGlasses),
		"break-glass/review": take((*Office).reviewGlass),

		"user/create":               take((*Office).createAccount),
		"user/change":               take((*Office).changeAccount),
		"user/show":                 take((*Office).showAccount),
		"user/list":                 take((*Office).listAccounts),
		"user/delegate":             take((*Office).delegate),
		"user/undelegate":           take((*Office).undelegate),
		"user/link":                 take((*Office).link),
		"user/unlink":               take((*Office).unlink),
		"group/list":                take((*Office).listGroups),
		"group/show":                take((*Office).showGroup),
		"group/add":                 take((*Office).addMembers),
		"group/remove":              take((*Office).removeMembers),
		"client/add":                take((*Office).addClient),
		"client/list":               take((*Office).listClients),
		"client/show":               take((*Office).showClient),
		"client/rotate-secret":      take((*Office).rotateClientSecret),
		"client/disable":            take((*Office).disableClient),
		"client/waiting":            take((*Office).waitingClients),
		"client/approve":            take((*Office).approveClient),
		"client/reject":             take((*Office).rejectClient),
		"client/rotate-signing-key": take((*Office).rotateSigningKey),

		"user/bootstrap": take((*Office).bootstrap),
		"user/invite":    take((*Office).invitePerson),
		"user/reset":     take((*Office).resetPerson),
		"user/logout":    take((*Office).logoutPerson),
		"user/unlock":    take((*Office).unlockPerson),
		"user/factors":   take((*Office).showFactors),
	}
}

// Operations are the names that Do knows, sorted.
func Operations() []string {
	var names []string
	for n := range operations() {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// founding are the operations of an installation that has no officers yet.
// Backend services need none.
var founding = []string{"user/bootstrap", "user/create", "user/list", "user/show",
	"client/add", "client/list", "client/show", "client/rotate-secret", "client/disable", "client/rotate-signing-key"}

// ErrNoOperation means that Do does not know the name.
var ErrNoOperation = errors.New("there is no such operation")

// Do runs an operation for an admitted actor. A *Refusal may be shown; every
// other error is a fault of the server.
func (o *Office) Do(ctx context.Context, a Actor, name string, body []byte) (any, error) {
	run, known := operations()[name]
	if !known {
		return nil, ErrNoOperation
	}
	if a.person() == "" {
		return nil, authz.ErrDenied
	}
	if a.founding && !slices.Contains(founding, name) {
		return nil, refuse("no account may administer the policy yet: create those of two security officers first")
	}
	out, err := run(o, ctx, a, body)
	if err != nil {
		return nil, refused(err)
	}
	return out, nil
}
