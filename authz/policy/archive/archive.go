// Package archive keeps policies as immutable versions in a compare-and-set
// table, and decides by the one that a pointer names.
//
// Start with New, Bootstrap and Run; an Archive is the authz.Decider of a node.
// Officers' changes come through Propose and Activate (package office).
//
// Security notes: every version and the pointer are authenticated by a key of
// the keystore, and versions form a hash chain that is verified before one is
// followed, so that whoever writes to the database makes no policy. A node that
// cannot read or verify keeps the last verified version and reports trouble;
// without any it decides nothing (authz.ErrNoPolicy). It never follows a
// pointer that is older than the one it has.
//
// Kept compatible: the rows (docs/format/policy.md), frozen in testdata.
package archive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/repository"
)

// PollEvery is how often a node looks whether another one activated a version.
const PollEvery = 2 * time.Second

// MaxTextBytes bounds a policy: it is one row, and one document of MongoDB.
const MaxTextBytes = 10 << 20

// Errors that callers tell apart.
var (
	// ErrStale means that another version was activated meanwhile.
	ErrStale = errors.New("another policy was activated meanwhile; look at it and propose again")
	// ErrForged means that a row is not what this server wrote.
	ErrForged = errors.New("a stored policy is not authentic")
	// ErrReason means that a change lacks a reason, or has too long a one.
	ErrReason = errors.New("a reason is needed")
	// ErrUnknown means that there is no such version or proposal.
	ErrUnknown = errors.New("there is no such policy version or proposal")
)

// Options are what an Archive needs.
type Options struct {
	Table repository.Table
	// PRF is a keyed function of the keystore; it authenticates rows.
	PRF func(purpose, value string) repository.StorageID
	// Policy says how texts are read; its Policy field is not used.
	Policy policy.Options
	// OnTrouble hears of each change between trouble (an error) and none (nil).
	OnTrouble func(error)
	// Now is time.Now when nil.
	Now func() time.Time
}

// Archive implements authz.Decider. It is safe for concurrent use.
type Archive struct {
	opt     Options
	current atomic.Pointer[loaded]

	mu      sync.Mutex // serialises Refresh
	chain   []string   // hashes of the verified versions, from version 1
	trouble atomic.Pointer[error]
	checked atomic.Int64
}

// loaded is a version in force on this node.
type loaded struct {
	pointer pointer
	version Version
	decider *policy.Decider
}

var _ authz.Decider = (*Archive)(nil)

// New returns an Archive that has read nothing yet.
func New(o Options) (*Archive, error) {
	if o.Table == nil || o.PRF == nil {
		return nil, errors.New("archive: Options.Table and Options.PRF are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnTrouble == nil {
		o.OnTrouble = func(error) {}
	}
	return &Archive{opt: o}, nil
}

// Decide implements authz.Decider by the version in force.
func (a *Archive) Decide(ctx context.Context, s authz.Subject, r authz.Request) (authz.Grant, error) {
	if l := a.current.Load(); l != nil {
		return l.decider.Decide(ctx, s, r)
	}
	return authz.Grant{}, authz.ErrNoPolicy
}

// Traits implements authz.Decider; without a version everything is concealed.
func (a *Archive) Traits(s authz.Subject) authz.Traits {
	if l := a.current.Load(); l != nil {
		return l.decider.Traits(s)
	}
	return authz.Traits{ConcealChanges: true, Project: "none"}
}

// Active returns the version in force on this node and its decider.
func (a *Archive) Active() (Version, *policy.Decider, error) {
	if l := a.current.Load(); l != nil {
		return l.version, l.decider, nil
	}
	return Version{}, nil, authz.ErrNoPolicy
}

// Status says which policy this node follows and what keeps it from following
// a newer one.
type Status struct {
	Version  uint64
	Sequence uint64
	Checked  time.Time // when the pointer was last read and verified
	Trouble  error
}

// Status of this node.
func (a *Archive) Status() Status {
	var s Status
	if l := a.current.Load(); l != nil {
		s.Version, s.Sequence = l.version.Number, l.pointer.Sequence
	}
	if t := a.trouble.Load(); t != nil {
		s.Trouble = *t
	}
	if at := a.checked.Load(); at != 0 {
		s.Checked = time.Unix(0, at)
	}
	return s
}

// Run refreshes until ctx ends. The caller owns the goroutine.
func (a *Archive) Run(ctx context.Context) {
	tick := time.NewTicker(PollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = a.Refresh(ctx) // OnTrouble has heard of it
		}
	}
}

// Refresh follows the pointer. After an error the version in force is the one
// that was before.
func (a *Archive) Refresh(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.follow(ctx)
	if ctx.Err() != nil && err != nil {
		return err // the node is stopping
	}
	a.report(err)
	return err
}

// report tells of changes between trouble and none.
func (a *Archive) report(err error) {
	was := a.trouble.Load()
	if err == nil {
		a.checked.Store(a.opt.Now().UnixNano())
		if a.trouble.Store(nil); was != nil {
			a.opt.OnTrouble(nil)
		}
		return
	}
	if a.trouble.Store(&err); was == nil || (*was).Error() != err.Error() {
		a.opt.OnTrouble(err)
	}
}

func (a *Archive) follow(ctx context.Context) error {
	p, _, err := a.readPointer(ctx)
	if errors.Is(err, repository.ErrNotFound) {
		return fmt.Errorf("reading the policy pointer: %w", authz.ErrNoPolicy)
	}
	if err != nil {
		return err
	}
	l := a.current.Load()
	switch {
	case l != nil && p == l.pointer:
		return nil
	case l != nil && p.Sequence <= l.pointer.Sequence:
		return fmt.Errorf("the policy pointer went back from %d to %d: %w", l.pointer.Sequence, p.Sequence, ErrForged)
	}
	v, err := a.verify(ctx, p)
	if err != nil {
		return err
	}
	d, err := a.Read(v.Text)
	if err != nil {
		return fmt.Errorf("reading policy version %d: %w", v.Number, err)
	}
	a.current.Store(&loaded{p, v, d})
	return nil
}

// Read makes a decider of a text that was reviewed before.
func (a *Archive) Read(text string) (*policy.Decider, error) {
	o := a.opt.Policy
	o.Policy = []byte(text)
	return policy.New(o)
}

// verify goes through the chain up to the version that the pointer names and
// returns that version. What was verified before is not read again.
func (a *Archive) verify(ctx context.Context, p pointer) (Version, error) {
	for n := uint64(len(a.chain)) + 1; n <= p.Version; n++ {
		v, err := a.Version(ctx, n)
		if err != nil {
			return Version{}, fmt.Errorf("verifying the chain of policies: %w", err)
		}
		if n > 1 && v.Previous != a.chain[n-2] {
			return Version{}, fmt.Errorf("policy version %d does not follow the one before it: %w", n, ErrForged)
		}
		a.chain = append(a.chain, v.Hash)
	}
	v, err := a.Version(ctx, p.Version)
	if err != nil {
		return Version{}, err
	}
	if v.Hash != p.Hash || v.Hash != a.chain[p.Version-1] {
		return Version{}, fmt.Errorf("policy version %d is not the one that was activated: %w", p.Version, ErrForged)
	}
	return v, nil
}
