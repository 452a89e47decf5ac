package office

import (
	"context"
	"slices"

	"github.com/fieldseal/fieldseal/authz/account"
)

// LinkRequest says who an account is at another issuer, or no longer is.
type LinkRequest struct {
	Subject  string           `json:"subject"`
	Identity account.Identity `json:"identity"`
	Reason   string           `json:"reason"`
}

// link lets whoever the issuer calls so act as the account. The event names the
// issuer and not the sub, which is another organisation's name of a person.
func (o *Office) link(ctx context.Context, a Actor, in LinkRequest) (any, error) {
	before, err := o.linkable(ctx, a, in)
	if err != nil {
		return nil, err
	}
	checked := before
	checked.Identities = append(slices.Clone(before.Identities), in.Identity)
	if err := checked.Check(); err != nil {
		return nil, err
	}
	switch holder, err := o.Accounts.Identified(ctx, in.Identity); {
	case err == nil && holder.Subject != in.Subject:
		return nil, account.ErrLinked
	case err == nil:
		return holder, nil // it is linked already
	}
	var after account.Account
	err = o.did(ctx, a, "account-link", in.describe(), func() (err error) {
		after, err = o.Accounts.Link(ctx, in.Subject, in.Identity)
		return err
	})
	return after, err
}

// unlink ends it, with every session and token of the account.
func (o *Office) unlink(ctx context.Context, a Actor, in LinkRequest) (any, error) {
	before, err := o.linkable(ctx, a, in)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(before.Identities, in.Identity) {
		return nil, account.ErrUnknown
	}
	var after account.Account
	err = o.did(ctx, a, "account-unlink", in.describe(), func() (err error) {
		if after, err = o.Accounts.Unlink(ctx, in.Subject, in.Identity); err == nil {
			err = o.shutOut(ctx, in.Subject)
		}
		return err
	})
	return after, err
}

func (o *Office) linkable(ctx context.Context, a Actor, in LinkRequest) (account.Account, error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return account.Account{}, err
	}
	return o.Accounts.Get(ctx, in.Subject)
}

func (in LinkRequest) describe() string {
	return in.Subject + " at " + in.Identity.Issuer + "; reason: " + in.Reason
}
