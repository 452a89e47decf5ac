package office

import (
	"context"
	"fmt"

	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
)

// ApplyRequest proposes a policy.
type ApplyRequest struct {
	Text      string            `json:"text"`
	Reason    string            `json:"reason"`
	Overrides []policy.Override `json:"overrides,omitempty"`
}

// Applied says what became of a proposal.
type Applied struct {
	Proposal      string   `json:"proposal"`
	NeedsApproval bool     `json:"needs_approval,omitempty"`
	Version       uint64   `json:"version,omitempty"` // once it is in force
	Revision      string   `json:"revision"`
	Changes       []string `json:"changes"`
	Warnings      []string `json:"warnings"`
}

// apply proposes a text. Where no second person is needed it is activated at
// once.
func (o *Office) apply(ctx context.Context, a Actor, in ApplyRequest) (any, error) {
	d, warnings, err := o.Policies.Review(in.Text, in.Overrides)
	if err != nil {
		return nil, err
	}
	out := Applied{NeedsApproval: o.TwoPersons, Revision: d.Revision(), Changes: []string{}, Warnings: lines(warnings)}
	before := "none"
	if _, active, err := o.Policies.Active(); err == nil {
		before = active.Revision()
		out.Changes = append(out.Changes, policy.Diff(active, d)...)
	}
	p := archive.Proposal{Text: in.Text, Author: a.person(), Reason: in.Reason, Overrides: in.Overrides}
	if err := archive.CheckReason(in.Reason); err != nil {
		return nil, err
	}
	err = o.did(ctx, a, "policy-propose", told(before, d.Revision(), p, ""), func() (err error) {
		p, err = o.Policies.Propose(ctx, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	if out.Proposal = p.ID; o.TwoPersons {
		return out, nil
	}
	v, err := o.activate(ctx, a, p)
	out.Version = v.Number
	return out, err
}

// told is what the audit trail says of a change: before and after, by whom and
// why.
func told(before, after string, p archive.Proposal, approver string) string {
	s := fmt.Sprintf("from %s to %s; author %s", before, after, p.Author)
	if approver != "" {
		s += "; approver " + approver
	}
	for _, v := range p.Overrides {
		s += fmt.Sprintf("; overrides %s: %s", v.Golden, v.Reason)
	}
	return s + "; reason: " + p.Reason
}

// ProposalRequest names a proposal.
type ProposalRequest struct {
	Proposal string `json:"proposal"`
	Reason   string `json:"reason,omitempty"`
}

// approve activates somebody else's proposal.
func (o *Office) approve(ctx context.Context, a Actor, in ProposalRequest) (any, error) {
	p, err := o.Policies.Proposal(ctx, in.Proposal)
	if err != nil {
		return nil, err
	}
	if o.TwoPersons && samePerson(p.Author, a.person()) {
		return nil, refuse("author and approver must be two persons: %s proposed this", p.Author)
	}
	v, err := o.activate(ctx, a, p)
	if err != nil {
		return nil, err
	}
	return Applied{Proposal: p.ID, Version: v.Number, Revision: o.revision(), Changes: []string{}, Warnings: []string{}}, nil
}

func (o *Office) revision() string {
	if _, d, err := o.Policies.Active(); err == nil {
		return d.Revision()
	}
	return "none"
}

func (o *Office) activate(ctx context.Context, a Actor, p archive.Proposal) (v archive.Version, err error) {
	d, _, err := o.Policies.Review(p.Text, p.Overrides)
	if err != nil {
		return v, err
	}
	err = o.did(ctx, a, "policy-activate", told(o.revision(), d.Revision(), p, a.person()), func() (err error) {
		v, err = o.Policies.Activate(ctx, p.ID, a.person())
		return err
	})
	return v, err
}

// discard removes a proposal.
func (o *Office) discard(ctx context.Context, a Actor, in ProposalRequest) (any, error) {
	p, err := o.Policies.Proposal(ctx, in.Proposal)
	if err != nil {
		return nil, err
	}
	if err := archive.CheckReason(in.Reason); err != nil {
		return nil, err
	}
	err = o.did(ctx, a, "policy-discard", fmt.Sprintf("proposal %s of %s; reason: %s", p.ID, p.Author, in.Reason), func() error {
		return o.Policies.Discard(ctx, p.ID)
	})
	return proposed(p), err
}

// RollbackRequest names the version whose text is to be in force again.
type RollbackRequest struct {
	Version uint64 `json:"version"`
	Reason  string `json:"reason"`
}

// rollback proposes the text of an older version, on the same way as any other
// change.
func (o *Office) rollback(ctx context.Context, a Actor, in RollbackRequest) (any, error) {
	v, err := o.Policies.Version(ctx, in.Version)
	if err != nil {
		return nil, err
	}
	if err := archive.CheckReason(in.Reason); err != nil {
		return nil, err
	}
	return o.apply(ctx, a, ApplyRequest{Text: v.Text, Overrides: v.Overrides,
		Reason: fmt.Sprintf("back to version %d: %s", v.Number, in.Reason)})
}
