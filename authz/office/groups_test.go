package office

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/policy"
)

func (d *desk) ask(t *testing.T, a Actor, operation string, in any) (any, error) {
	t.Helper()
	body, err := json.Marshal(in)
	d.must(err)
	return d.Do(t.Context(), a, operation, body)
}

// TestGroupsAreWhatAccountsAndThePolicyName: they are listed with the roles that
// the policy in force gives them; members come and go on the record, and lose
// their tokens.
func TestGroupsAreWhatAccountsAndThePolicyName(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	text := string(policy.Default()) + "g, group:ward-3, role:nurse\ng, user:extern, group:ward-3\ng, group:empty, role:clinician\n"
	_, err := d.ask(t, ann, "policy/apply", ApplyRequest{Text: text, Reason: "wards"})
	d.must(err)
	_, err = d.ask(t, ann, "group/add", MembersRequest{Group: "group:ward-3", Accounts: []string{"user:nurse", "user:bob"}, Reason: "new on ward 3"})
	d.must(err)
	if !slices.Equal(d.revoked, []string{"user:nurse", "user:bob"}) {
		t.Errorf("tokens of %v were ended", d.revoked)
	}
	last := d.trail.events[len(d.trail.events)-1].Event
	if last.Subtype != "account-change" || !strings.Contains(last.Reason, "groups []") || !strings.Contains(last.Reason, "groups [group:ward-3]") || !strings.Contains(last.Reason, "new on ward 3") {
		t.Errorf("the trail says %s: %s", last.Subtype, last.Reason)
	}
	out, err := d.ask(t, ann, "group/list", struct{}{})
	d.must(err)
	groups := out.([]Group)
	if len(groups) != 2 || groups[0].Name != "group:empty" || groups[1].Name != "group:ward-3" || !slices.Equal(groups[1].Roles, []string{"role:nurse"}) ||
		len(groups[1].Members) != 2 || !slices.Equal(groups[1].Assigned, []string{"user:extern"}) || len(groups[0].Members) != 0 {
		t.Errorf("%+v", groups)
	}
	for _, bad := range []MembersRequest{
		{Group: "group:ward-3", Accounts: []string{"user:ann", "user:nurse"}, Reason: "twice"}, // nothing of it happens
		{Group: "group:ward-3", Accounts: []string{"user:nobody"}, Reason: "unknown"},
		{Group: "role:nurse", Accounts: []string{"user:ann"}, Reason: "no group"},
		{Group: "group:a b", Accounts: []string{"user:ann"}, Reason: "no name"},
		{Group: "group:ward-3", Accounts: []string{"user:ann"}},
		{Group: "group:ward-3", Reason: "nobody"},
	} {
		if _, err := d.ask(t, ann, "group/add", bad); !errors.As(err, new(*Refusal)) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	_, err = d.ask(t, ann, "group/remove", MembersRequest{Group: "group:ward-3", Accounts: []string{"user:bob"}, Reason: "moved"})
	d.must(err)
	if _, err = d.ask(t, ann, "group/remove", MembersRequest{Group: "group:ward-3", Accounts: []string{"user:extern"}, Reason: "by rule"}); err == nil {
		t.Error("who is no account's member is removed")
	}
	out, err = d.ask(t, ann, "group/show", GroupRequest{Group: "group:ward-3"})
	d.must(err)
	if g := out.(Group); len(g.Members) != 1 || g.Members[0].Subject != "user:nurse" {
		t.Errorf("%+v", g)
	}
	if _, err = d.ask(t, ann, "group/show", GroupRequest{Group: "group:none"}); !errors.As(err, new(*Refusal)) {
		t.Error(err)
	}
}

// TestTheLastOfficerStays: neither a group, a role nor an account is taken away
// by which the last account could administer the policy.
func TestTheLastOfficerStays(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	_, err := d.ask(t, ann, "policy/apply", ApplyRequest{Text: string(policy.Default()) + "g, group:officers, role:security-officer\n", Reason: "group"})
	d.must(err)
	_, err = d.ask(t, ann, "group/add", MembersRequest{Group: "group:officers", Accounts: []string{"user:nurse"}, Reason: "officer too"})
	d.must(err)
	disable := true
	for _, name := range []string{"user:ann", "user:bob"} {
		_, err = d.ask(t, ann, "user/change", ChangeRequest{Subject: name, Disable: &disable, Reason: "left"})
		d.must(err)
	}
	for name, in := range map[string]any{
		"group/remove": MembersRequest{Group: "group:officers", Accounts: []string{"user:nurse"}, Reason: "left"},
		"user/change":  ChangeRequest{Subject: "user:nurse", Disable: &disable, Reason: "left"},
	} {
		if _, err := d.ask(t, ann, name, in); !errors.As(err, new(*Refusal)) || !strings.Contains(err.Error(), "nobody could administer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
