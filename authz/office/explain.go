package office

import (
	"context"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// ExplainRequest asks how a decision comes about: of an account, or of roles as
// if somebody had them.
type ExplainRequest struct {
	Policy  Source   `json:"policy,omitzero"` // empty: the one in force
	Account string   `json:"account,omitempty"`
	Roles   []string `json:"roles,omitempty"` // instead of an account's, or for an account that has no record
	Purpose string   `json:"purpose,omitempty"`
	Scopes  []string `json:"scopes,omitempty"` // empty: all that the kind of account can have
	Patient string   `json:"patient,omitempty"`
	Who     string   `json:"who,omitempty"`
	Type    string   `json:"type"`
	Action  string   `json:"action"`
	Class   string   `json:"class,omitempty"`
	// BreakGlass is the logical id of a patient for whom the glass is supposed
	// to be broken.
	BreakGlass string `json:"break_glass,omitempty"`
	ID         string `json:"id,omitempty"` // logical id of a resource; empty: the type as a whole
}

// everyScope are the widest scopes of users and service accounts.
var everyScope = []string{"user/*.cruds", "system/*.cruds", "fieldseal/admin"}

// claimsOf are the claims of an account with the widest scopes.
func (o *Office) claimsOf(rec account.Account) authz.SubjectClaims {
	c := authz.SubjectClaims{ID: rec.Subject, Roles: append(append([]string{}, rec.Roles...), rec.Groups...), Purpose: "TREAT", Scopes: everyScope}
	if len(rec.Links) > 0 {
		c.Who = rec.Links[0]
	}
	for _, l := range rec.Links {
		if id, ok := strings.CutPrefix(l, "Patient/"); ok && c.Patient == "" {
			o.inContext(&c, id)
		}
	}
	for _, org := range rec.Orgs {
		c.Orgs = append(c.Orgs, o.PRF("Organization", org))
	}
	return c
}

func (o *Office) inContext(c *authz.SubjectClaims, patient string) {
	c.Patient, c.PatientKey = patient, o.PRF("Patient", patient)
}

// question turns a request into what the policy can answer.
func (o *Office) question(ctx context.Context, in ExplainRequest) (q policy.Question, err error) {
	q.Claims = authz.SubjectClaims{ID: "user:somebody", Purpose: "TREAT", Scopes: everyScope}
	if in.Account != "" {
		rec, err := o.Accounts.Get(ctx, in.Account)
		switch {
		case err == nil && rec.Ended(o.Now()):
			return q, refuse("the account is disabled or has ended: it is denied everything")
		case err == nil:
			q.Claims = o.claimsOf(rec)
		case len(in.Roles) == 0:
			return q, refuse("there is no record of this account: name the roles that its token has")
		default:
			q.Claims.ID = in.Account
		}
	}
	if len(in.Roles) > 0 {
		q.Claims.Roles = in.Roles
	}
	if in.Purpose != "" {
		q.Claims.Purpose = in.Purpose
	}
	if len(in.Scopes) > 0 {
		q.Claims.Scopes = in.Scopes
	}
	if in.Patient != "" {
		o.inContext(&q.Claims, in.Patient)
	}
	if in.Who != "" {
		q.Claims.Who = in.Who
	}
	if in.BreakGlass != "" {
		q.Glass = &authz.Glass{ID: "explain", Patient: o.PRF("Patient", in.BreakGlass), Until: o.Now().Add(authz.StepUpAge)}
	}
	q.Request = authz.Request{Action: authz.Action(in.Action), Type: in.Type}
	if in.Class != "" {
		c, err := field.ParseClass(in.Class)
		if err != nil {
			return q, refuse("unknown class %q", in.Class)
		}
		q.Class = field.Set(c)
	}
	return q, nil
}

// explain says how a decision comes about, and leaves an event that names the
// resource, since the answer tells that it exists.
func (o *Office) explain(ctx context.Context, a Actor, in ExplainRequest) (any, error) {
	q, err := o.question(ctx, in)
	if err != nil {
		return nil, err
	}
	d, err := o.read(ctx, in.Policy)
	if err != nil {
		return nil, err
	}
	var entities []audit.Entity
	withheld := func() []string { return nil }
	if in.ID != "" {
		f, by, err := o.Resources.Facts(ctx, q.Nothing(), in.ID)
		if err != nil {
			return nil, o.missing(ctx, a, in, err)
		}
		withheld = by
		q.Facts = &f
		entities = []audit.Entity{{Type: in.Type, ID: in.ID, Key: f.Owner}}
	}
	reason := "of " + q.Claims.ID + " with " + strings.Join(q.Claims.Roles, ", ")
	if err := o.note(ctx, a, "policy-explain", reason, audit.Success, entities...); err != nil {
		return nil, err
	}
	x := d.decider.Explain(q)
	for _, text := range withheld() {
		x.Reasons = append(x.Reasons, policy.Reason{Source: "consent", Effect: "deny", Text: text})
	}
	for _, r := range o.Reasoners {
		x.Reasons = append(x.Reasons, r.Reasons(ctx, q)...)
	}
	return x, nil
}

// missing records a question about a resource that cannot be told of.
func (o *Office) missing(ctx context.Context, a Actor, in ExplainRequest, err error) error {
	if rerr := o.note(ctx, a, "policy-explain", "unknown "+in.Type, audit.MinorFailure); rerr != nil {
		return rerr
	}
	return &Refusal{Text: "there is no such resource, or it was erased", cause: err}
}
