package office

import (
	"context"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
)

const groupPrefix = "group:"

// Group is a group as rules and accounts name it: nothing of it is stored by
// itself. Roles are those that the policy in force gives its members.
type Group struct {
	Name    string   `json:"name"`
	Roles   []string `json:"roles"`
	Members []Listed `json:"members"`
	// Assigned are the accounts and groups that a rule of the policy makes
	// members; they are changed with the policy.
	Assigned []string `json:"assigned"`
}

// groups are all that some account or the policy names, by name.
func (o *Office) groups(ctx context.Context) ([]Group, error) {
	byName := map[string]*Group{}
	of := func(name string) *Group {
		g := byName[name]
		if g == nil {
			g = &Group{Name: name, Roles: []string{}, Members: []Listed{}, Assigned: []string{}}
			byName[name] = g
		}
		return g
	}
	for rec, err := range o.Accounts.All(ctx) {
		if err != nil {
			return nil, err
		}
		for _, name := range rec.Groups {
			g := of(name)
			g.Members = append(g.Members, Listed{rec.Subject, rec.Roles, rec.Groups, rec.Disabled, rec.Until})
		}
	}
	_, d, err := o.Policies.Active()
	if err != nil {
		return nil, err
	}
	for name, members := range d.Groups() {
		of(name).Assigned = append(of(name).Assigned, members...)
	}
	out := make([]Group, 0, len(byName))
	for name, g := range byName {
		g.Roles = append(g.Roles, slices.Sorted(slices.Values(d.Effective("", []string{name})))...)
		slices.SortFunc(g.Members, func(a, b Listed) int { return strings.Compare(a.Subject, b.Subject) })
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (o *Office) listGroups(ctx context.Context, a Actor, _ struct{}) (any, error) {
	if err := o.note(ctx, a, "group-list", "", audit.Success); err != nil {
		return nil, err
	}
	return o.groups(ctx)
}

// GroupRequest names a group.
type GroupRequest struct {
	Group string `json:"group"`
}

func (o *Office) showGroup(ctx context.Context, a Actor, in GroupRequest) (any, error) {
	if err := o.note(ctx, a, "group-show", in.Group, audit.Success); err != nil {
		return nil, err
	}
	all, err := o.groups(ctx)
	if err != nil {
		return nil, err
	}
	for _, g := range all {
		if g.Name == in.Group {
			return g, nil
		}
	}
	return nil, refuse("no account and no rule of the policy names %s", in.Group)
}

// MembersRequest gives accounts a group, or takes it from them.
type MembersRequest struct {
	Group    string   `json:"group"`
	Accounts []string `json:"accounts"`
	Reason   string   `json:"reason"`
}

func (o *Office) addMembers(ctx context.Context, a Actor, in MembersRequest) (any, error) {
	return o.changeMembers(ctx, a, in, true)
}

func (o *Office) removeMembers(ctx context.Context, a Actor, in MembersRequest) (any, error) {
	return o.changeMembers(ctx, a, in, false)
}

// changeMembers changes each account as changeAccount does: on the record with
// before and after, and with the end of its tokens. All are looked at before the
// first is changed.
func (o *Office) changeMembers(ctx context.Context, a Actor, in MembersRequest, add bool) (any, error) {
	if !strings.HasPrefix(in.Group, groupPrefix) || len(in.Accounts) == 0 {
		return nil, refuse("name a group as group:NAME, and the accounts")
	}
	changes := make([]ChangeRequest, len(in.Accounts))
	for i, subject := range in.Accounts {
		rec, err := o.Accounts.Get(ctx, subject)
		switch {
		case err != nil:
			return nil, err
		case slices.Contains(rec.Groups, in.Group) == add && add:
			return nil, refuse("%s is a member of %s already", subject, in.Group)
		case slices.Contains(rec.Groups, in.Group) == add:
			return nil, refuse("%s is not a member of %s; what a rule of the policy assigns is changed with the policy", subject, in.Group)
		}
		changes[i] = ChangeRequest{Subject: subject, Reason: in.Reason}
		if lists := (Lists{Groups: []string{in.Group}}); add {
			changes[i].Add = lists
		} else {
			changes[i].Remove = lists
		}
		if err := o.mayChange(a, subject, in.Reason); err != nil {
			return nil, err
		}
		if err := changes[i].to(&rec); err != nil {
			return nil, err
		}
	}
	out := []account.Account{}
	for _, c := range changes {
		after, err := o.changeAccount(ctx, a, c)
		if err != nil {
			return nil, err
		}
		out = append(out, after.(account.Account))
	}
	return out, nil
}

// keepsOfficers refuses a change by which the last account that may administer
// the policy no longer may: nobody could mend anything but who owns the server.
func (o *Office) keepsOfficers(ctx context.Context, before, after account.Account) error {
	if o.mayAdminister(before) != nil || o.mayAdminister(after) == nil {
		return nil
	}
	for rec, err := range o.Accounts.All(ctx) {
		if err != nil {
			return err
		}
		if rec.Subject != before.Subject && o.mayAdminister(rec) == nil {
			return nil
		}
	}
	return refuse("nobody could administer the policy any more: give another account that right first")
}
