package office

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Bounds of a dry-run.
const (
	maxDays      = 366
	maxDecisions = 200_000 // judged in some seconds
	maxFacts     = 50_000  // resources whose facts are kept meanwhile
)

// DryRunRequest replays recorded decisions against a policy.
type DryRunRequest struct {
	Policy Source `json:"policy"`
	Days   int    `json:"days"`
	// As replays what was done with one role as if it had been done with
	// another, which may be new: old role to new role.
	As map[string]string `json:"as,omitempty"`
}

// DryRunReply lists what would have been decided otherwise.
type DryRunReply struct {
	Policy    string    `json:"policy"`
	Since     time.Time `json:"since"`
	Decisions int       `json:"decisions"` // recorded and judged by both policies
	Same      int       `json:"same"`
	// Untold are recorded decisions on resources that were deleted or erased
	// since, or whose event names none.
	Untold  int      `json:"untold"`
	Cut     bool     `json:"cut,omitempty"` // there were more decisions than one run judges
	Changes []Change `json:"changes"`
}

// Change is what differs for decisions that are alike.
type Change struct {
	Roles     string   `json:"roles"`
	Purpose   string   `json:"purpose"`
	Action    string   `json:"action"`
	Type      string   `json:"type"`
	Gains     []string `json:"gains,omitempty"`
	Loses     []string `json:"loses,omitempty"`
	Becomes   string   `json:"becomes,omitempty"` // allowed or denied
	Decisions int      `json:"decisions"`
}

// replay is one dry-run under way.
type replay struct {
	*Office
	in       DryRunRequest
	now, new *policy.Decider
	out      DryRunReply
	facts    map[string]*authz.Facts
	orgs     map[string][]field.StorageID
	changes  map[string]*Change
}

// dryRun replays. The trail names subject, roles, purpose and what was
// disclosed; facts are read again from the store and are those of today. Scopes
// of tokens are not recorded and count as the widest for both policies.
func (o *Office) dryRun(ctx context.Context, a Actor, in DryRunRequest) (any, error) {
	if in.Days < 1 || in.Days > maxDays {
		return nil, refuse("the days to replay are 1 to %d", maxDays)
	}
	next, err := o.read(ctx, in.Policy)
	if err != nil {
		return nil, err
	}
	_, active, err := o.Policies.Active()
	if err != nil {
		return nil, err
	}
	for old, as := range in.As {
		if !slices.Contains(active.Roles(), old) || !slices.Contains(next.decider.Roles(), as) {
			return nil, refuse("%s must be a role of the policy in force and %s one of the draft", old, as)
		}
	}
	if err := o.note(ctx, a, "policy-dry-run", fmt.Sprintf("%d days against %s", in.Days, next.decider.Revision()), audit.Success); err != nil {
		return nil, err
	}
	r := &replay{Office: o, in: in, now: active, new: next.decider, facts: map[string]*authz.Facts{}, orgs: map[string][]field.StorageID{},
		changes: map[string]*Change{}, out: DryRunReply{Policy: next.name, Since: o.Now().AddDate(0, 0, -in.Days).UTC().Truncate(time.Second)}}
	if err := r.run(ctx); err != nil {
		return nil, err
	}
	return r.report(), nil
}

func (r *replay) run(ctx context.Context) error {
	q := trail.Query{From: r.out.Since, Kinds: []audit.Kind{audit.REST}, Limit: trail.MaxLimit}
	for {
		entries, err := r.Trail.Search(ctx, q)
		if err != nil {
			return fmt.Errorf("reading recorded decisions: %w", err)
		}
		for i := range entries {
			if r.out.Decisions >= maxDecisions {
				r.out.Cut = true
				return nil
			}
			if err := r.event(ctx, &entries[i]); err != nil {
				return err
			}
		}
		if len(entries) < trail.MaxLimit {
			return nil
		}
		q.Before = trail.PositionOf(entries[len(entries)-1])
	}
}

// actionOf is the action that was decided for an event.
func actionOf(e *audit.Entry) authz.Action {
	switch {
	case e.Action == audit.Create:
		return authz.Create
	case e.Action == audit.Update:
		return authz.Update
	case e.Action == audit.Delete:
		return authz.Delete
	case e.Action == audit.Read && (e.Event.Subtype == "history-type" || e.Event.Subtype == "history-system"), strings.HasPrefix(e.Event.Subtype, "search"):
		return authz.Search
	}
	return authz.Read
}

// event judges every resource that an event names by both policies.
func (r *replay) event(ctx context.Context, e *audit.Entry) error {
	if e.Outcome == audit.Intent || e.IntentSeq != 0 && len(e.Entities) == 0 {
		return nil // its outcome follows, or stands with its intent
	}
	if len(e.Entities) == 0 {
		r.out.Untold++
		return nil
	}
	claims, err := r.claims(ctx, &e.Agent)
	if err != nil {
		return err
	}
	for i := range e.Entities {
		n := &e.Entities[i]
		request := authz.Request{Action: actionOf(e), Type: n.Type}
		f, err := r.factsOf(ctx, claims, request, n.ID)
		if err != nil {
			return err
		}
		if f == nil {
			r.out.Untold++
			continue
		}
		r.judge(policy.Question{Claims: claims, Request: request, Facts: f})
	}
	return nil
}

// claims are those of the recorded agent.
func (r *replay) claims(ctx context.Context, g *audit.Agent) (authz.SubjectClaims, error) {
	c := authz.SubjectClaims{ID: g.Subject, Roles: g.Roles, Client: g.Client, Who: g.Who, Purpose: g.Purpose, Scopes: everyScope, Address: g.Address}
	if id, ok := strings.CutPrefix(g.Who, "Patient/"); ok {
		r.inContext(&c, id)
	}
	orgs, known := r.orgs[g.Subject]
	if !known {
		rec, err := r.Accounts.Get(ctx, g.Subject)
		if err == nil {
			orgs = r.claimsOf(rec).Orgs
		} else if refusal := refused(err); !isRefusal(refusal) {
			return c, err
		}
		r.orgs[g.Subject] = orgs
	}
	c.Orgs = orgs
	return c, nil
}

func isRefusal(err error) bool { _, ok := err.(*Refusal); return ok }

// factsOf reads facts once for each resource and kind of question; nil: they
// cannot be told any more.
func (r *replay) factsOf(ctx context.Context, c authz.SubjectClaims, req authz.Request, id string) (*authz.Facts, error) {
	if id == "" {
		return nil, nil
	}
	key := strings.Join([]string{c.ID, c.Purpose, string(req.Action), req.Type, id}, "\x00")
	if f, known := r.facts[key]; known {
		return f, nil
	}
	got, _, err := r.Resources.Facts(ctx, policy.Question{Claims: c, Request: req}.Nothing(), id)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var f *authz.Facts
	if err == nil {
		f = &got
	}
	if len(r.facts) < maxFacts {
		r.facts[key] = f
	}
	return f, nil
}

// judge compares the two policies on one decision.
func (r *replay) judge(q policy.Question) {
	r.out.Decisions++
	was := r.now.Judge(q)
	roles := make([]string, len(q.Claims.Roles))
	for i, role := range q.Claims.Roles {
		if roles[i] = role; r.in.As[role] != "" {
			roles[i] = r.in.As[role]
		}
	}
	q.Claims.Roles = roles
	is := r.new.Judge(q)
	if was == is {
		r.out.Same++
		return
	}
	c := Change{Roles: strings.Join(roles, ", "), Purpose: q.Claims.Purpose, Action: string(q.Request.Action), Type: q.Request.Type,
		Gains: classNames(is &^ was), Loses: classNames(was &^ is)}
	switch {
	case was == 0:
		c.Becomes = "allowed"
	case is == 0:
		c.Becomes = "denied"
	}
	key := fmt.Sprintf("%+v", c)
	if r.changes[key] == nil {
		r.changes[key] = &c
	}
	r.changes[key].Decisions++
}

func classNames(set field.ClassSet) (out []string) {
	for _, c := range set.Classes() {
		out = append(out, c.String())
	}
	return out
}

// report lists the changes, the most frequent first.
func (r *replay) report() DryRunReply {
	r.out.Changes = []Change{}
	for _, c := range r.changes {
		r.out.Changes = append(r.out.Changes, *c)
	}
	slices.SortFunc(r.out.Changes, func(a, b Change) int {
		return cmp.Or(b.Decisions-a.Decisions, strings.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	return r.out
}
