package office

import (
	"context"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
)

// Credentials are what people prove themselves with (authz/login).
type Credentials interface {
	// Invite makes a one-time link on which the person sets a password.
	Invite(ctx context.Context, subject string) (link string, expires time.Time, err error)
	// Reset takes password and factors, and ends the account's sessions.
	Reset(ctx context.Context, subject string) error
	// EndAll ends the account's sessions.
	EndAll(ctx context.Context, subject string) error
	// Unlock forgets failed attempts.
	Unlock(ctx context.Context, subject string) error
	// HasPassword reports whether anybody of the accounts can log in.
	HasPassword(ctx context.Context, of func(account.Account) bool) (bool, error)
	// Enrolled describes what an account has enrolled, as JSON shows it.
	Enrolled(ctx context.Context, subject string) (any, error)
}

// PersonRequest is about the credentials of one account.
type PersonRequest struct {
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
}

// Invitation is a link that leads a person to a page on which to set a password.
// It is shown once.
type Invitation struct {
	Subject string    `json:"subject"`
	Link    string    `json:"link"`
	Expires time.Time `json:"expires"`
}

func (o *Office) invite(ctx context.Context, a Actor, in PersonRequest) (out Invitation, err error) {
	out.Subject = in.Subject
	out.Link, out.Expires, err = o.Credentials.Invite(ctx, in.Subject)
	return out, err
}

func (o *Office) invitePerson(ctx context.Context, a Actor, in PersonRequest) (out any, err error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return nil, err
	}
	err = o.did(ctx, a, "account-invite", "to "+in.Subject+"; reason: "+in.Reason, func() (err error) {
		out, err = o.invite(ctx, a, in)
		return err
	})
	return out, err
}

// resetPerson is for lost or stolen factors: everything is taken, tokens and
// sessions end, and a new link is made.
func (o *Office) resetPerson(ctx context.Context, a Actor, in PersonRequest) (out any, err error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return nil, err
	}
	if _, err := o.Accounts.Get(ctx, in.Subject); err != nil {
		return nil, err
	}
	err = o.did(ctx, a, "account-reset", "to "+in.Subject+"; reason: "+in.Reason, func() error {
		if err := o.Credentials.Reset(ctx, in.Subject); err != nil {
			return err
		}
		if err := o.endTokens(ctx, in.Subject); err != nil {
			return err
		}
		out, err = o.invite(ctx, a, in)
		return err
	})
	return out, err
}

func (o *Office) logoutPerson(ctx context.Context, a Actor, in PersonRequest) (any, error) {
	return o.toPerson(ctx, a, in, "account-logout", func() error { return o.shutOut(ctx, in.Subject) })
}

func (o *Office) unlockPerson(ctx context.Context, a Actor, in PersonRequest) (any, error) {
	return o.toPerson(ctx, a, in, "account-unlock", func() error { return o.Credentials.Unlock(ctx, in.Subject) })
}

func (o *Office) toPerson(ctx context.Context, a Actor, in PersonRequest, subtype string, effect func() error) (any, error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return nil, err
	}
	if _, err := o.Accounts.Get(ctx, in.Subject); err != nil {
		return nil, err
	}
	err := o.did(ctx, a, subtype, "to "+in.Subject+"; reason: "+in.Reason, effect)
	return SubjectRequest{in.Subject}, err
}

func (o *Office) showFactors(ctx context.Context, a Actor, in SubjectRequest) (any, error) {
	if err := o.note(ctx, a, "account-show", in.Subject, audit.Success); err != nil {
		return nil, err
	}
	if _, err := o.Accounts.Get(ctx, in.Subject); err != nil {
		return nil, err
	}
	return o.Credentials.Enrolled(ctx, in.Subject)
}

// BootstrapRequest makes the first administrator.
type BootstrapRequest struct {
	Subject string   `json:"subject"`
	Roles   []string `json:"roles"`
}

// bootstrap creates the first administrator, or finds the account, and makes its
// link. It works at the machine alone and until an administrator has a
// password, so that whoever comes later cannot found the installation again.
func (o *Office) bootstrap(ctx context.Context, a Actor, in BootstrapRequest) (out any, err error) {
	if a.system == "" {
		return nil, refuse("the first administrator is made at the machine")
	}
	started, err := o.Started(ctx)
	if err != nil {
		return nil, err
	}
	if started {
		return nil, refuse("an administrator can log in already: ask for an invitation (user invite)")
	}
	acct := account.Account{Subject: in.Subject, Roles: in.Roles}
	if err := acct.Check(); err != nil {
		return nil, err
	}
	if err := o.mayAdminister(acct); err != nil {
		return nil, err
	}
	err = o.did(ctx, a, "bootstrap", "to "+described(acct), func() error {
		if err := o.Accounts.Create(ctx, acct); errors.Is(err, account.ErrExists) {
			have, err := o.Accounts.Get(ctx, in.Subject)
			if err == nil {
				err = o.mayAdminister(have)
			}
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		out, err = o.invite(ctx, a, PersonRequest{Subject: in.Subject})
		return err
	})
	return out, err
}

// Started reports whether an account that may administer the policy can log in
// with a password.
func (o *Office) Started(ctx context.Context) (bool, error) {
	return o.Credentials.HasPassword(ctx, func(rec account.Account) bool { return o.mayAdminister(rec) == nil })
}

// demanding are requests whose roles must prove a second factor at login.
var demanding = []struct {
	purpose string
	request authz.Request
}{
	{"HSYSADMIN", authz.Request{Action: authz.Admin, Type: authz.Policy}},
	{"HSYSADMIN", authz.Request{Action: authz.Admin, Type: authz.Server}},
	{"TREAT", authz.Request{Action: authz.Relabel, Type: "Patient"}},
}

// NeedsFactor reports whether the roles of an account must prove a second
// factor: those that administer, lower labels, read the audit trail of others or
// break the glass. Without a policy everybody must.
func (o *Office) NeedsFactor(rec account.Account) bool {
	_, d, err := o.Policies.Active()
	if err != nil {
		return true
	}
	claims := o.claimsOf(rec)
	for _, q := range demanding {
		c := claims
		c.Purpose = q.purpose
		if d.Judge(policy.Question{Claims: c, Request: q.request}) != 0 {
			return true
		}
	}
	audited := policy.Question{Claims: claims, Request: authz.Request{Action: authz.Search, Type: "AuditEvent"}, Facts: &authz.Facts{}}
	emergency := policy.Question{Claims: claims, Request: authz.Request{Action: authz.Read, Type: "Patient"}, Glass: &authz.Glass{ID: "supposed", Reason: "supposed", Until: o.Now().Add(time.Minute)}}
	return d.Judge(audited) != 0 || d.Emergency(emergency)
}
