package office

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
)

type otherSays struct{}

func (otherSays) Reasons(_ context.Context, q policy.Question) []policy.Reason {
	return []policy.Reason{{Source: "other", Effect: "deny", Text: "of " + q.Request.Type}}
}

func TestExplainTellsVerdictRowsAndReasons(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	d.Reasoners = []Reasoner{otherSays{}}
	ann := d.officer("user:ann")
	d.must(d.Accounts.Create(t.Context(), account.Account{Subject: "user:pat", Roles: []string{"role:patient"}, Links: []string{"Patient/p1"}}))
	for _, c := range []struct {
		name    string
		in      ExplainRequest
		verdict policy.Verdict
	}{
		{"allow", ExplainRequest{Account: "user:nurse", Type: "Observation", Action: "read", ID: "o1"}, policy.Allow},
		{"mask", ExplainRequest{Account: "user:nurse", Type: "Observation", Action: "read", ID: "restricted"}, policy.Mask},
		{"deny", ExplainRequest{Account: "user:nurse", Type: "Observation", Action: "update", ID: "o1"}, policy.Deny},
		{"own compartment of an account", ExplainRequest{Account: "user:pat", Type: "Observation", Action: "read", ID: "o1", Purpose: "PATRQT"}, policy.Allow},
		{"foreign resource", ExplainRequest{Account: "user:pat", Type: "Observation", Action: "read", ID: "restricted", Purpose: "PATRQT"}, policy.Deny},
		{"roles without an account", ExplainRequest{Roles: []string{"role:researcher"}, Purpose: "HRESCH", Type: "Patient", Action: "read", Class: "identifier"}, policy.Deny},
		{"draft", ExplainRequest{Policy: Source{Text: draft17}, Roles: []string{"role:project-17"}, Purpose: "HRESCH", Type: "Observation", Action: "read", Class: "clinical"}, policy.Conditional},
		{"account without a record", ExplainRequest{Account: "user:new", Roles: []string{"role:clinician"}, Type: "Patient", Action: "read", ID: "p1"}, policy.Allow},
	} {
		before := len(d.trail.events)
		x, err := do[policy.Explanation](d, ann, "policy/explain", c.in)
		d.must(err)
		if x.Verdict != c.verdict || len(x.Reasons) == 0 || x.Reasons[len(x.Reasons)-1].Source != "other" || (c.in.ID != "") != (x.Reasons[0].Text == "Consent/c1 withholds it") {
			t.Errorf("%s: %+v", c.name, x)
		}
		e := d.trail.events[len(d.trail.events)-1]
		if len(d.trail.events) != before+1 || e.Event.Subtype != "policy-explain" || c.in.ID != "" && (len(e.Entities) != 1 || e.Entities[0].ID != c.in.ID) {
			t.Errorf("%s: event %+v", c.name, e)
		}
	}
	for name, in := range map[string]ExplainRequest{
		"resource that is not there": {Account: "user:nurse", Type: "Observation", Action: "read", ID: "none"},
		"account that is not there":  {Account: "user:eve", Type: "Observation", Action: "read"},
		"unknown class":              {Account: "user:nurse", Type: "Observation", Action: "read", Class: "secret"},
	} {
		if x, err := do[policy.Explanation](d, ann, "policy/explain", in); !isRefused(err) {
			t.Errorf("%s: %+v %v", name, x, err)
		}
	}
}

// recorded adds an event as an interaction leaves it.
func (d *desk) recorded(subject, role, purpose, subtype string, action audit.Action, at time.Time, ids ...string) {
	e := audit.Entry{Seq: uint64(len(d.trail.events) + 1), Time: at, Event: audit.Event{Kind: audit.REST, Subtype: subtype, Action: action, Outcome: audit.Success,
		Agent: audit.Agent{Subject: subject, Roles: []string{role}, Purpose: purpose}}}
	for _, id := range ids {
		typ, id, _ := strings.Cut(id, "/")
		e.Entities = append(e.Entities, audit.Entity{Type: typ, ID: id})
	}
	d.trail.events = append(d.trail.events, e)
}

func TestDryRunReplaysRecordedDecisions(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	now := d.clock
	d.recorded("user:n", "role:nurse", "TREAT", "search-type", audit.Execute, now, "Observation/o1", "Observation/restricted", "Observation/gone")
	d.recorded("user:n", "role:nurse", "TREAT", "read", audit.Read, now, "Observation/o1")
	d.recorded("user:n", "role:nurse", "TREAT", "read", audit.Read, now.AddDate(0, 0, -40), "Observation/o1") // too old
	d.recorded("user:r", "role:researcher", "HRESCH", "search-type", audit.Execute, now, "Observation/o1")
	d.recorded("user:c", "role:clinician", "TREAT", "update", audit.Update, now, "Observation/o1")
	d.recorded("user:c", "role:clinician", "TREAT", "search-type", audit.Execute, now)
	draft := string(policy.Default()) + "p, role:nurse, Observation, search, narrative, *, all_patients, deny\np, role:clinician, Observation, update, *, *, all_patients, deny\n" +
		"role, role:labs, x\np, role:labs, Observation, search, clinical, HRESCH, all_patients, allow\n"
	out, err := do[DryRunReply](d, ann, "policy/dry-run", DryRunRequest{Policy: Source{Text: draft}, Days: 30})
	d.must(err)
	if out.Decisions != 5 || out.Same != 3 || out.Untold != 2 {
		t.Errorf("%+v", out)
	}
	want := []Change{
		{Roles: "role:clinician", Purpose: "TREAT", Action: "update", Type: "Observation", Becomes: "denied", Decisions: 1,
			Loses: []string{"identifier", "demographic", "limited", "contact", "narrative", "clinical", "administrative", "restricted"}},
		{Roles: "role:nurse", Purpose: "TREAT", Action: "search", Type: "Observation", Loses: []string{"narrative"}, Decisions: 1},
	}
	if len(out.Changes) != 2 || !slices.EqualFunc(out.Changes, want, func(a, b Change) bool {
		return a.Roles == b.Roles && a.Action == b.Action && a.Becomes == b.Becomes && a.Decisions == b.Decisions && slices.Equal(a.Loses, b.Loses) && len(a.Gains) == 0
	}) {
		t.Errorf("%+v", out.Changes)
	}
	as, err := do[DryRunReply](d, ann, "policy/dry-run", DryRunRequest{Policy: Source{Text: draft}, Days: 30, As: map[string]string{"role:researcher": "role:labs"}})
	d.must(err)
	if !slices.ContainsFunc(as.Changes, func(c Change) bool {
		return c.Roles == "role:labs" && slices.Equal(c.Loses, []string{"limited", "administrative"}) && c.Becomes == ""
	}) {
		t.Errorf("%+v", as.Changes)
	}
	if e := d.trail.last("policy-dry-run"); e == nil || !strings.Contains(e.Reason, "30 days") {
		t.Errorf("%+v", e)
	}
	for name, in := range map[string]DryRunRequest{
		"no days":              {Policy: Source{Text: draft}},
		"too many days":        {Policy: Source{Text: draft}, Days: 10_000},
		"role of neither":      {Policy: Source{Text: draft}, Days: 1, As: map[string]string{"role:researcher": "role:nobody"}},
		"draft that is faulty": {Policy: Source{Text: "p"}, Days: 1},
	} {
		if _, err := do[DryRunReply](d, ann, "policy/dry-run", in); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAccountsAreChangedOnTheRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	ann := d.officer("user:ann")
	rec, err := do[account.Account](d, ann, "user/create", AccountRequest{Reason: "new", Account: account.Account{Subject: "user:new", Roles: []string{"role:nurse"}}})
	d.must(err)
	yes := true
	rec, err = do[account.Account](d, ann, "user/change", ChangeRequest{Subject: rec.Subject, Reason: "moved", Disable: &yes,
		Add: Lists{Groups: []string{"group:b"}}, Remove: Lists{Roles: []string{"role:nurse"}}})
	d.must(err)
	if len(rec.Roles) > 0 || !slices.Equal(rec.Groups, []string{"group:b"}) || !rec.Disabled || !slices.Equal(d.revoked, []string{"user:new"}) {
		t.Errorf("%+v, tokens revoked of %v", rec, d.revoked)
	}
	if got := strings.Join(d.people().calls, ", "); got != "end user:new" || !slices.Equal(d.ended, []string{"user:new"}) {
		t.Errorf("who was disabled keeps sessions or grants: %s, %v", got, d.ended)
	}
	e := d.trail.last("account-change")
	if e == nil || !strings.Contains(e.Reason, "from user:new with roles [role:nurse]") || !strings.Contains(e.Reason, "to user:new with roles []") || !strings.Contains(e.Reason, "disabled") {
		t.Errorf("%+v", e)
	}
	list, err := do[[]Listed](d, ann, "user/list", struct{}{})
	d.must(err)
	if len(list) != 4 || list[2].Subject != "user:new" {
		t.Errorf("%+v", list)
	}
	for name, try := range map[string]func() error{
		"the own account": func() error {
			_, err := do[account.Account](d, ann, "user/change", ChangeRequest{Subject: "user:ann", Reason: "x", Add: Lists{Roles: []string{"role:clinician"}}})
			return err
		},
		"without a reason": func() error {
			_, err := do[account.Account](d, ann, "user/change", ChangeRequest{Subject: "user:new"})
			return err
		},
		"a name that exists": func() error {
			_, err := do[account.Account](d, ann, "user/create", AccountRequest{Reason: "x", Account: account.Account{Subject: "user:new"}})
			return err
		},
		"a delegation on creation": func() error {
			_, err := do[account.Account](d, ann, "user/create", AccountRequest{Reason: "x", Account: account.Account{Subject: "user:x", Delegations: []account.Delegation{{}}}})
			return err
		},
		"a role that is none": func() error {
			_, err := do[account.Account](d, ann, "user/change", ChangeRequest{Subject: "user:new", Reason: "x", Add: Lists{Roles: []string{"clinician"}}})
			return err
		},
	} {
		if err := try(); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDelegationsAreGrantedAndEnded(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann := d.officer("user:ann")
	d.must(d.Accounts.Create(t.Context(), account.Account{Subject: "user:parent", Links: []string{"RelatedPerson/r1"}}))
	good := DelegateRequest{Subject: "user:parent", Patient: "p1", Scopes: []string{"patient/Observation.rs"}, Until: d.clock.Add(time.Hour), Reason: "custody"}
	for name, change := range map[string]func(*DelegateRequest){
		"patient that is not there":    func(r *DelegateRequest) { r.Patient = "p2" },
		"account that is not there":    func(r *DelegateRequest) { r.Subject = "user:eve" },
		"account of no related person": func(r *DelegateRequest) { r.Subject = "user:nurse" },
		"end in the past":              func(r *DelegateRequest) { r.Until = d.clock },
		"scope that writes":            func(r *DelegateRequest) { r.Scopes = []string{"patient/*.cruds"} },
		"scope beyond the patient":     func(r *DelegateRequest) { r.Scopes = []string{"user/*.rs"} },
		"no reason":                    func(r *DelegateRequest) { r.Reason = "" },
	} {
		bad := good
		change(&bad)
		if _, err := do[account.Delegation](d, ann, "user/delegate", bad); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := do[account.Delegation](d, ann, "user/delegate", good)
	d.must(err)
	rec, err := d.Accounts.Get(t.Context(), "user:parent")
	d.must(err)
	session := account.Session{Client: "app", Scopes: []string{"patient/*.rs"}, Patient: "p1"}
	if c, err := rec.Claims(session, d.clock); err != nil || !slices.Equal(c.Scopes, good.Scopes) {
		t.Errorf("%+v %v", c, err)
	}
	e := d.trail.last("delegation-grant")
	if e == nil || len(e.Entities) != 1 || e.Entities[0].ID != "p1" || len(e.Entities[0].Patients) != 1 {
		t.Errorf("%+v", e)
	}
	d.revoked = nil
	got, err = do[account.Delegation](d, ann, "user/undelegate", UndelegateRequest{Subject: "user:parent", Delegation: got.ID, Reason: "over"})
	d.must(err)
	rec, err = d.Accounts.Get(t.Context(), "user:parent")
	d.must(err)
	if _, err := rec.Claims(session, d.clock); err == nil || got.Revoked.IsZero() || !slices.Equal(d.revoked, []string{"user:parent"}) {
		t.Errorf("%+v %v, tokens revoked of %v", got, err, d.revoked)
	}
	if _, err := do[account.Delegation](d, ann, "user/undelegate", UndelegateRequest{Subject: "user:parent", Delegation: "none", Reason: "over"}); !isRefused(err) {
		t.Errorf("unknown delegation: %v", err)
	}
}
