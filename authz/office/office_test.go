package office

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/token"
)

// Who is let in over HTTP, and why others are not.
func TestOnlyFreshOfficersAreAdmitted(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	good := token.Claims{Account: "user:ann", Roles: []string{"role:security-officer"}, Scopes: []string{policy.AdminScope},
		Purpose: "HSYSADMIN", AMR: []string{"mfa"}, AuthTime: d.clock}
	for _, c := range []struct {
		name   string
		change func(*token.Claims)
		want   error
	}{
		{"officer", func(*token.Claims) {}, nil},
		{"server administrator", func(c *token.Claims) { c.Roles = []string{"role:admin"} }, authz.ErrDenied},
		{"clinician with the scope", func(c *token.Claims) { c.Roles = []string{"role:clinician"} }, authz.ErrDenied},
		{"officer whose client lacks the scope", func(c *token.Claims) { c.Scopes = []string{"user/*.cruds"} }, authz.ErrDenied},
		{"password only", func(c *token.Claims) { c.AMR = []string{"pwd"} }, ErrStepUp},
		{"authenticated an hour ago", func(c *token.Claims) { c.AuthTime = d.clock.Add(-time.Hour) }, ErrStepUp},
		{"time of authentication unknown", func(c *token.Claims) { c.AuthTime = time.Time{} }, ErrStepUp},
	} {
		claims := good
		c.change(&claims)
		before := len(d.trail.events)
		a, err := d.Admit(t.Context(), d.subject(claims))
		if !errors.Is(err, c.want) || (err == nil) != (a.person() == "user:ann") {
			t.Errorf("%s: %+v %v", c.name, a, err)
		}
		if (len(d.trail.events) > before) != (c.want != nil) {
			t.Errorf("%s: %d events", c.name, len(d.trail.events)-before)
		}
	}
	if _, err := d.Do(t.Context(), Actor{}, "policy/history", []byte("{}")); !errors.Is(err, authz.ErrDenied) {
		t.Errorf("nobody asks: %v", err)
	}
}

func TestAtTheSocketProductionNeedsANamedOfficer(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	_, err := d.Accounts.Change(t.Context(), "user:bob", func(a *account.Account) error { a.Disabled = true; return nil })
	d.must(err)
	for _, c := range []struct {
		name, system, account string
		want                  bool
	}{
		{"named officer", "root", "user:ann", true},
		{"nobody named", "root", "", false},
		{"unknown account", "root", "user:eve", false},
		{"account without the right", "root", "user:nurse", false},
		{"disabled account", "root", "user:bob", false},
		{"no system user", "", "user:ann", false},
	} {
		if a, err := d.AdmitLocal(t.Context(), c.system, c.account); (err == nil) != c.want || c.want && a.person() != "os:root as user:ann" {
			t.Errorf("%s: %q %v", c.name, a.person(), err)
		}
	}
	if a, err := newDesk(t, false).AdmitLocal(t.Context(), "root", ""); err != nil || a.person() != "os:root" {
		t.Errorf("development: %q %v", a.person(), err)
	}
}

// The two-person rule, and the ways around it that must fail.
func TestAuthorDoesNotApprove(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	local := func(system, name string) Actor {
		a, err := d.AdmitLocal(t.Context(), system, name)
		d.must(err)
		return a
	}
	for _, c := range []struct {
		name             string
		author, approver Actor
		want             bool
	}{
		{"two accounts", d.officer("user:ann"), d.officer("user:bob"), true},
		{"the same account", d.officer("user:ann"), d.officer("user:ann"), false},
		{"the same account at the socket", d.officer("user:ann"), local("root", "user:ann"), false},
		{"two names of one system user", local("root", "user:ann"), local("root", "user:bob"), false},
		{"two system users", local("root", "user:ann"), local("fieldseal", "user:bob"), true},
		{"one name of two system users", local("root", "user:ann"), local("fieldseal", "user:ann"), false},
		{"token and socket", d.officer("user:ann"), local("root", "user:bob"), true},
	} {
		text := draft17 + "# " + c.name + "\n"
		applied, err := do[Applied](d, c.author, "policy/apply", ApplyRequest{Text: text, Reason: "project"})
		d.must(err)
		if !applied.NeedsApproval || applied.Version != 0 || d.Policies.Status().Version != mustVersion(d) {
			t.Fatalf("%s: %+v", c.name, applied)
		}
		before := mustVersion(d)
		got, err := do[Applied](d, c.approver, "policy/approve", ProposalRequest{Proposal: applied.Proposal})
		if (err == nil) != c.want || !c.want && (!isRefused(err) || mustVersion(d) != before) {
			t.Errorf("%s: %+v %v", c.name, got, err)
		}
		if !c.want {
			continue
		}
		v, _, err := d.Policies.Active()
		d.must(err)
		if v.Author != c.author.person() || v.Approver != c.approver.person() || v.Text != text || v.Number != before+1 {
			t.Errorf("%s: %+v", c.name, v)
		}
		e := d.trail.last("policy-activate")
		if e == nil || !strings.Contains(e.Reason, "author "+v.Author) || !strings.Contains(e.Reason, "approver "+v.Approver) ||
			!strings.Contains(e.Reason, "to "+got.Revision) || !strings.Contains(e.Reason, "reason: project") || e.Agent.Subject != c.approver.agent.Subject {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func mustVersion(d *desk) uint64 {
	v, _, err := d.Policies.Active()
	d.must(err)
	return v.Number
}

// A refused draft changes nothing and says why.
func TestRefusedDraftsLeaveThePolicy(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	for name, c := range map[string]struct {
		in   ApplyRequest
		says string
	}{
		"unknown predicate": {ApplyRequest{Text: draft17 + "p, role:nurse, Patient, read, *, *, nonesuch, deny\n", Reason: "x"}, `unknown predicate "nonesuch"`},
		"cyclic role":       {ApplyRequest{Text: draft17 + "g, role:nurse, role:project-17\ng, role:project-17, role:nurse\n", Reason: "x"}, "leads back to itself"},
		"named like a role": {ApplyRequest{Text: draft17 + "g, user:clinician, role:nurse\n", Reason: "x"}, "is named like the role"},
		"empty action":      {ApplyRequest{Text: draft17 + "p, role:nurse, Patient, , *, *, org, deny\n", Reason: "x"}, "action is empty"},
		"lock-out":          {ApplyRequest{Text: draft17 + "p, role:security-officer, Policy, admin, *, *, all_patients, deny\n", Reason: "x"}, "nobody could change the policy"},
		"golden decision":   {ApplyRequest{Text: draft17 + "p, role:patient, Observation, read, clinical, PATRQT, all_patients, allow\n", Reason: "x"}, "patient-reads-other-Observation"},
		"no reason":         {ApplyRequest{Text: draft17}, "a reason is needed"},
		"empty":             {ApplyRequest{Reason: "x"}, "no rule"},
	} {
		_, err := do[Applied](d, ann, "policy/apply", c.in)
		if !isRefused(err) || !strings.Contains(err.Error(), c.says) || mustVersion(d) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, body := range []string{"", "[]", `{"text":"x","force":true}`, `{} {}`} {
		if _, err := d.Do(t.Context(), ann, "policy/apply", []byte(body)); !isRefused(err) {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := d.Do(t.Context(), ann, "policy/erase", []byte("{}")); !errors.Is(err, ErrNoOperation) {
		t.Errorf("unknown operation: %v", err)
	}
}

// Nothing happens and nothing is told without a durable event.
func TestWithoutTheTrailNothingHappens(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	d.trail.err = audit.ErrUnavailable
	for _, name := range Operations() {
		body := map[string]string{
			"policy/apply": `{"text":"` + strings.ReplaceAll(strings.ReplaceAll(draft17, "\"", ""), "\n", `\n`) + `","reason":"x"}`, "policy/approve": `{"proposal":"x"}`,
			"policy/discard": `{"proposal":"x","reason":"x"}`, "policy/rollback": `{"version":1,"reason":"x"}`, "policy/dry-run": `{"policy":{"version":1},"days":1}`,
			"policy/explain": `{"type":"Patient","action":"read","roles":["role:nurse"]}`,
			"user/create":    `{"account":{"subject":"user:new"},"reason":"x"}`, "user/change": `{"subject":"user:nurse","reason":"x","disable":true}`,
			"user/show": `{"subject":"user:nurse"}`, "user/delegate": `{"subject":"user:nurse","patient":"p1","scopes":["patient/*.rs"],"until":"2030-01-01T00:00:00Z","reason":"x"}`,
			"user/undelegate": `{"subject":"user:nurse","delegation":"x","reason":"x"}`,
			"user/link":       `{"subject":"user:nurse","identity":{"issuer":"https://idp.example","sub":"1"},"reason":"x"}`,
		}[name]
		if body == "" {
			body = "{}"
		}
		out, err := d.Do(t.Context(), ann, name, []byte(body))
		if err == nil {
			t.Errorf("%s answers %+v", name, out)
		}
	}
	d.trail.err = nil
	if _, err := d.Accounts.Get(t.Context(), "user:new"); !errors.Is(err, account.ErrUnknown) || mustVersion(d) != 1 {
		t.Errorf("something happened: %v, version %d", err, mustVersion(d))
	}
	if ps, err := d.Policies.Proposals(t.Context()); err != nil || len(ps) > 0 {
		t.Errorf("%v %v", ps, err)
	}
}

func TestLifeOfAPolicy(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	checked, err := do[Checked](d, ann, "policy/check", Source{Text: draft17})
	d.must(err)
	if len(checked.Warnings) > 0 || checked.Revision == "" {
		t.Errorf("%+v", checked)
	}
	diff, err := do[DiffReply](d, ann, "policy/diff", DiffRequest{To: Source{Text: draft17}})
	d.must(err)
	if len(diff.Changes) != 2 || !strings.Contains(diff.Changes[1], "role:project-17 gains read, search of administrative, clinical on Observation for HRESCH, when adult") {
		t.Errorf("%q", diff.Changes)
	}
	applied, err := do[Applied](d, ann, "policy/apply", ApplyRequest{Text: draft17, Reason: "project 17"})
	d.must(err)
	if applied.Version != 2 || applied.NeedsApproval {
		t.Errorf("%+v", applied)
	}
	applied, err = do[Applied](d, ann, "policy/rollback", RollbackRequest{Version: 1, Reason: "too early"})
	d.must(err)
	h, err := do[History](d, ann, "policy/history", struct{}{})
	d.must(err)
	if len(h.Versions) != 3 || h.Active != 3 || h.Versions[2].Previous != h.Versions[1].Hash || h.Versions[2].Reason != "back to version 1: too early" {
		t.Errorf("%+v", h)
	}
	shown, err := do[Summary](d, ann, "policy/show", Source{})
	d.must(err)
	if shown.Text != string(policy.Default()) || !shown.Active || shown.Version != 3 || applied.Version != 3 {
		t.Errorf("%+v", shown)
	}
	if _, err := do[Summary](d, ann, "policy/show", Source{Version: 9}); !isRefused(err) {
		t.Errorf("unknown version: %v", err)
	}
	if _, err := do[DiffReply](d, ann, "policy/diff", DiffRequest{To: Source{Version: 1, Proposal: "x"}}); !isRefused(err) {
		t.Errorf("two sources: %v", err)
	}
}

// In profile production the first officers are created by whoever has the
// server's account, who can do nothing else meanwhile and nothing afterwards.
func TestFirstOfficersAreCreatedAtTheSocket(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	yes := true
	for _, name := range []string{"user:ann", "user:bob"} {
		_, err := d.Accounts.Change(t.Context(), name, func(a *account.Account) error { a.Disabled = yes; return nil })
		d.must(err)
	}
	founder, err := d.AdmitLocal(t.Context(), "root", "")
	d.must(err)
	for _, name := range Operations() {
		_, err := d.Do(t.Context(), founder, name, []byte("{}"))
		if allowed := strings.HasPrefix(name, "user/create") || name == "user/list" || name == "user/show" || name == "user/bootstrap" || strings.HasPrefix(name, "client/"); !allowed && (!isRefused(err) || !strings.Contains(err.Error(), "first")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = do[account.Account](d, founder, "user/create", AccountRequest{Reason: "first", Account: account.Account{Subject: "user:eve", Roles: []string{"role:security-officer"}}})
	d.must(err)
	if a, err := d.AdmitLocal(t.Context(), "root", ""); !isRefused(err) {
		t.Errorf("nobody is named though there is an officer: %+v %v", a, err)
	}
	if _, err := d.AdmitLocal(t.Context(), "root", "user:eve"); err != nil {
		t.Errorf("the first officer: %v", err)
	}
}
