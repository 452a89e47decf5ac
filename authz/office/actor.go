package office

import (
	"context"
	"errors"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
)

// ErrStepUp means that the account may do it after a fresh authentication with
// a second factor.
var ErrStepUp = errors.New("a fresh authentication with a second factor is needed")

// Actor is who asks. The zero Actor is nobody.
type Actor struct {
	account string // user:NAME, authenticated by its token or named at the socket
	system  string // operating-system user at the socket
	// founding is set for a system user who names nobody while no account may
	// administer the policy yet: it creates the first accounts and nothing else.
	founding bool
	agent    audit.Agent
}

// person is how an actor stands in versions and in the audit trail.
func (a Actor) person() string {
	switch {
	case a.system == "":
		return a.account
	case a.account == "":
		return systemPrefix + a.system
	}
	return systemPrefix + a.system + asAccount + a.account
}

const (
	systemPrefix = "os:"
	asAccount    = " as "
)

// samePerson reports whether two names of persons may be one person: the same
// account, or the same operating-system user whatever accounts it names.
func samePerson(a, b string) bool {
	systemA, accountA := parts(a)
	systemB, accountB := parts(b)
	return systemA != "" && systemA == systemB || accountA != "" && accountA == accountB
}

func parts(person string) (system, acct string) {
	rest, atSocket := strings.CutPrefix(person, systemPrefix)
	if !atSocket {
		return "", person
	}
	system, acct, _ = strings.Cut(rest, asAccount)
	return system, acct
}

// administers is the request that every operation is.
var administers = authz.Request{Action: authz.Admin, Type: authz.Policy}

// Admit lets the holder of a token in, or returns authz.ErrDenied or ErrStepUp;
// both are recorded. Any other error means that nothing can be decided.
func (o *Office) Admit(ctx context.Context, s authz.Subject) (Actor, error) {
	a := Actor{account: s.ID(), agent: audit.Agent{Subject: s.ID(), Who: s.Who(), Client: s.Client(), Roles: s.Roles(),
		Purpose: s.Purpose(), Address: s.Address()}}
	g, err := o.Policies.Decide(ctx, s, administers)
	if err == nil && g.Mask(authz.Facts{}) == 0 {
		err = authz.ErrDenied
	}
	if err == nil && !s.SteppedUp(o.Now()) {
		err = ErrStepUp
	}
	if errors.Is(err, authz.ErrDenied) || errors.Is(err, ErrStepUp) {
		reason := "denied"
		if errors.Is(err, ErrStepUp) {
			reason = "step-up"
		}
		if rerr := o.note(ctx, a, "policy-admin", reason, audit.MinorFailure); rerr != nil {
			return Actor{}, rerr
		}
	}
	if err != nil {
		return Actor{}, err
	}
	return a, nil
}

// AdmitLocal lets an operating-system user in that could read every file of
// the server anyway. It may name the account of the person who sits there;
// where two persons are needed it must, and the account must be one that may
// administer the policy.
func (o *Office) AdmitLocal(ctx context.Context, system, acct string) (Actor, error) {
	a := Actor{system: system, agent: audit.Agent{Subject: systemPrefix + system, Client: "fieldseal-cli", Address: "local"}}
	if system == "" {
		return Actor{}, authz.ErrDenied
	}
	if acct == "" && o.TwoPersons {
		officers, err := o.officers(ctx)
		if err != nil {
			return Actor{}, err
		}
		if officers {
			return Actor{}, refuse("name the account of the person who does this: profile production needs to know author and approver")
		}
		a.founding = true
	}
	if acct != "" {
		rec, err := o.Accounts.Get(ctx, acct)
		if err != nil {
			return Actor{}, refused(err)
		}
		if err := o.mayAdminister(rec); err != nil {
			return Actor{}, errors.Join(err, o.note(ctx, a, "policy-admin", "denied: "+acct, audit.MinorFailure))
		}
		a.account, a.agent.Roles = acct, rec.Roles
	}
	a.agent.Subject = a.person()
	return a, nil
}

// officers reports whether any account may administer the policy.
func (o *Office) officers(ctx context.Context) (bool, error) {
	for rec, err := range o.Accounts.All(ctx) {
		if err != nil {
			return false, err
		}
		if o.mayAdminister(rec) == nil {
			return true, nil
		}
	}
	return false, nil
}

// mayAdminister asks the policy in force; without one, accounts that are in
// force may, since somebody has to mend it.
func (o *Office) mayAdminister(rec account.Account) error {
	if rec.Ended(o.Now()) {
		return refused(account.ErrDisabled)
	}
	_, d, err := o.Policies.Active()
	if err != nil {
		return nil
	}
	claims := o.claimsOf(rec)
	if claims.Purpose = "HSYSADMIN"; d.Judge(policy.Question{Claims: claims, Request: administers, Facts: &authz.Facts{}}) == 0 {
		return refuse("the account %s may not administer the policy", rec.Subject)
	}
	return nil
}

// note records an event of an actor.
func (o *Office) note(ctx context.Context, a Actor, subtype, reason string, outcome audit.Outcome, entities ...audit.Entity) error {
	ev := audit.Event{Kind: audit.Security, Subtype: subtype, Action: audit.Execute, Outcome: outcome, Reason: reason, Agent: a.agent, Entities: entities}
	if _, d, err := o.Policies.Active(); err == nil {
		ev.PolicyRevision = d.Revision()
	}
	_, err := o.Trail.Record(ctx, ev)
	return err
}

// did runs an effect that was recorded before, and records its failure.
func (o *Office) did(ctx context.Context, a Actor, subtype, reason string, effect func() error, entities ...audit.Entity) error {
	if err := o.note(ctx, a, subtype, reason, audit.Success, entities...); err != nil {
		return err
	}
	err := effect()
	if err != nil {
		return errors.Join(err, o.note(context.WithoutCancel(ctx), a, subtype, "not done: "+reason, audit.MajorFailure, entities...))
	}
	return nil
}
