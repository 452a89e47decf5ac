package office

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
)

// AccountRequest creates an account.
type AccountRequest struct {
	Account account.Account `json:"account"`
	Reason  string          `json:"reason"`
}

func (o *Office) createAccount(ctx context.Context, a Actor, in AccountRequest) (any, error) {
	if err := o.mayChange(a, in.Account.Subject, in.Reason); err != nil {
		return nil, err
	}
	if len(in.Account.Delegations)+len(in.Account.Identities) > 0 {
		return nil, refuse("delegations and identities are given by operations of their own")
	}
	if err := in.Account.Check(); err != nil {
		return nil, err
	}
	err := o.did(ctx, a, "account-create", "to "+described(in.Account)+"; reason: "+in.Reason, func() error {
		return o.Accounts.Create(ctx, in.Account)
	})
	return in.Account, err
}

// mayChange wants a reason and, where two persons are needed, another person
// than the account's own: who could give himself a role needs no second person
// for anything.
func (o *Office) mayChange(a Actor, subject, reason string) error {
	if err := archive.CheckReason(reason); err != nil {
		return err
	}
	if o.TwoPersons && a.account == subject {
		return refuse("nobody changes the own account")
	}
	return nil
}

// described is an account in the audit trail: what it may, not whose it is.
func described(a account.Account) string {
	s := fmt.Sprintf("%s with roles [%s] groups [%s] links %d orgs %d", a.Subject, strings.Join(a.Roles, " "), strings.Join(a.Groups, " "), len(a.Links), len(a.Orgs))
	if a.Disabled {
		s += " disabled"
	}
	if !a.Until.IsZero() {
		s += " until " + a.Until.UTC().Format(time.RFC3339)
	}
	return s
}

// ChangeRequest changes an account: lists are added to and removed from.
type ChangeRequest struct {
	Subject string     `json:"subject"`
	Reason  string     `json:"reason"`
	Add     Lists      `json:"add,omitzero"`
	Remove  Lists      `json:"remove,omitzero"`
	Disable *bool      `json:"disable,omitempty"`
	Until   *time.Time `json:"until,omitempty"` // the zero time: no end
}

// Lists are what an account has several of.
type Lists struct {
	Roles  []string `json:"roles,omitempty"`
	Groups []string `json:"groups,omitempty"`
	Links  []string `json:"links,omitempty"`
	Orgs   []string `json:"orgs,omitempty"`
}

func (in *ChangeRequest) to(a *account.Account) error {
	for _, c := range []struct {
		list        *[]string
		add, remove []string
	}{{&a.Roles, in.Add.Roles, in.Remove.Roles}, {&a.Groups, in.Add.Groups, in.Remove.Groups},
		{&a.Links, in.Add.Links, in.Remove.Links}, {&a.Orgs, in.Add.Orgs, in.Remove.Orgs}} {
		out := slices.DeleteFunc(slices.Clone(*c.list), func(s string) bool { return slices.Contains(c.remove, s) })
		for _, s := range c.add {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		*c.list = out
	}
	if in.Disable != nil {
		a.Disabled = *in.Disable
	}
	if in.Until != nil {
		a.Until = in.Until.UTC()
	}
	return a.Check()
}

// changeAccount changes an account and ends its tokens, so that the next login
// has what is in force then.
func (o *Office) changeAccount(ctx context.Context, a Actor, in ChangeRequest) (any, error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return nil, err
	}
	before, err := o.Accounts.Get(ctx, in.Subject)
	if err != nil {
		return nil, err
	}
	after := before
	if err := in.to(&after); err != nil {
		return nil, err
	}
	if err := o.keepsOfficers(ctx, before, after); err != nil {
		return nil, err
	}
	reason := "from " + described(before) + " to " + described(after) + "; reason: " + in.Reason
	err = o.did(ctx, a, "account-change", reason, func() error { return o.change(ctx, in.Subject, &after, in.to) })
	return after, err
}

// change stores a change and ends the tokens of the account. One that is disabled
// is out for good: enabled again it logs in and authorises anew.
func (o *Office) change(ctx context.Context, subject string, after *account.Account, f func(*account.Account) error) (err error) {
	if *after, err = o.Accounts.Change(ctx, subject, f); err != nil {
		return err
	}
	if after.Disabled {
		return o.shutOut(ctx, subject)
	}
	_, err = o.Tokens.RevokeAccount(ctx, subject)
	return err
}

// shutOut ends the sessions of an account and all that it gave to apps.
func (o *Office) shutOut(ctx context.Context, subject string) error {
	if err := o.Credentials.EndAll(ctx, subject); err != nil {
		return err
	}
	return o.endTokens(ctx, subject)
}

// endTokens ends every token of an account: first what new ones come from.
func (o *Office) endTokens(ctx context.Context, subject string) error {
	if _, err := o.Grants.EndGrants(ctx, subject); err != nil {
		return err
	}
	_, err := o.Tokens.RevokeAccount(ctx, subject)
	return err
}

// SubjectRequest names an account.
type SubjectRequest struct {
	Subject string `json:"subject"`
}

func (o *Office) showAccount(ctx context.Context, a Actor, in SubjectRequest) (any, error) {
	if err := o.note(ctx, a, "account-show", in.Subject, audit.Success); err != nil {
		return nil, err
	}
	rec, err := o.Accounts.Get(ctx, in.Subject)
	return rec, err
}

// Listed is an account in a list, without whose it is.
type Listed struct {
	Subject  string    `json:"subject"`
	Roles    []string  `json:"roles,omitempty"`
	Groups   []string  `json:"groups,omitempty"`
	Disabled bool      `json:"disabled,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

func (o *Office) listAccounts(ctx context.Context, a Actor, _ struct{}) (any, error) {
	if err := o.note(ctx, a, "account-list", "", audit.Success); err != nil {
		return nil, err
	}
	out := []Listed{}
	for rec, err := range o.Accounts.All(ctx) {
		if err != nil {
			return nil, err
		}
		out = append(out, Listed{rec.Subject, rec.Roles, rec.Groups, rec.Disabled, rec.Until})
	}
	slices.SortFunc(out, func(a, b Listed) int { return strings.Compare(a.Subject, b.Subject) })
	return out, nil
}

// DelegateRequest lets a related person's account read for a patient.
type DelegateRequest struct {
	Subject string    `json:"subject"`
	Patient string    `json:"patient"`
	Scopes  []string  `json:"scopes"`
	Until   time.Time `json:"until"`
	Reason  string    `json:"reason"`
}

func (o *Office) delegate(ctx context.Context, a Actor, in DelegateRequest) (any, error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return nil, err
	}
	if !in.Until.After(o.Now()) {
		return nil, refuse("a delegation ends in the future")
	}
	read := policy.Question{Request: authz.Request{Action: authz.Read, Type: "Patient"}}
	if _, _, err := o.Resources.Facts(ctx, read.Nothing(), in.Patient); err != nil {
		return nil, &Refusal{Text: "there is no such patient", cause: err}
	}
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("naming a delegation: %w", err)
	}
	d := account.Delegation{ID: hex.EncodeToString(id[:]), Patient: in.Patient, Scopes: in.Scopes, Until: in.Until.UTC(), By: a.person(), Reason: in.Reason}
	add := func(rec *account.Account) error {
		if !slices.ContainsFunc(rec.Links, func(l string) bool { return strings.HasPrefix(l, "RelatedPerson/") }) {
			return refuse("the account is not linked to a RelatedPerson")
		}
		rec.Delegations = append(slices.Clone(rec.Delegations), d)
		return rec.Check()
	}
	rec, err := o.Accounts.Get(ctx, in.Subject)
	if err == nil {
		err = add(&rec)
	}
	if err != nil {
		return nil, err
	}
	reason := fmt.Sprintf("to %s, scopes [%s], until %s; reason: %s", in.Subject, strings.Join(d.Scopes, " "), d.Until.Format(time.RFC3339), in.Reason)
	err = o.did(ctx, a, "delegation-grant", reason, func() error { return o.change(ctx, in.Subject, &rec, add) }, o.patient(in.Patient))
	return d, err
}

// patient is the entity by which a patient finds who was let in.
func (o *Office) patient(id string) audit.Entity {
	owner := o.Resources.Owner(id)
	return audit.Entity{Type: "Patient", ID: id, Key: owner, Patients: []audit.Owner{owner}, PatientIDs: []string{id}}
}

// UndelegateRequest ends a delegation.
type UndelegateRequest struct {
	Subject    string `json:"subject"`
	Delegation string `json:"delegation"`
	Reason     string `json:"reason"`
}

func (o *Office) undelegate(ctx context.Context, a Actor, in UndelegateRequest) (any, error) {
	if err := o.mayChange(a, in.Subject, in.Reason); err != nil {
		return nil, err
	}
	rec, err := o.Accounts.Get(ctx, in.Subject)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(rec.Delegations, func(d account.Delegation) bool { return d.ID == in.Delegation })
	if i < 0 {
		return nil, account.ErrUnknown
	}
	end := func(rec *account.Account) error {
		rec.Delegations = slices.Clone(rec.Delegations)
		for i := range rec.Delegations {
			if d := &rec.Delegations[i]; d.ID == in.Delegation && d.Revoked.IsZero() {
				d.Revoked = o.Now().UTC().Truncate(time.Second)
			}
		}
		return nil
	}
	patient := rec.Delegations[i].Patient
	err = o.did(ctx, a, "delegation-revoke", fmt.Sprintf("of %s; reason: %s", in.Subject, in.Reason), func() error {
		return o.change(ctx, in.Subject, &rec, end)
	}, o.patient(patient))
	if err != nil {
		return nil, err
	}
	return rec.Delegations[i], nil
}
