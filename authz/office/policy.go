package office

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
)

// Source names a policy: a text, a version, a proposal, or, empty, the one in
// force.
type Source struct {
	Text      string            `json:"text,omitempty"`
	Overrides []policy.Override `json:"overrides,omitempty"` // of a text
	Version   uint64            `json:"version,omitempty"`
	Proposal  string            `json:"proposal,omitempty"`
}

// draft is a policy that was read from a source.
type draft struct {
	name      string
	text      string
	overrides []policy.Override
	decider   *policy.Decider
	warnings  policy.Problems
}

// read reads a source with everything that is asked of a policy before it may
// be activated. Versions are read as they are: they were activated once.
func (o *Office) read(ctx context.Context, s Source) (draft, error) {
	named := 0
	for _, given := range []bool{s.Text != "", s.Version != 0, s.Proposal != ""} {
		if given {
			named++
		}
	}
	switch {
	case named > 1:
		return draft{}, refuse("name one policy: a text, a version or a proposal")
	case s.Version != 0:
		v, err := o.Policies.Version(ctx, s.Version)
		if err != nil {
			return draft{}, err
		}
		d, err := o.Policies.Read(v.Text)
		return draft{fmt.Sprintf("version %d", v.Number), v.Text, v.Overrides, d, nil}, err
	case s.Proposal != "":
		p, err := o.Policies.Proposal(ctx, s.Proposal)
		if err != nil {
			return draft{}, err
		}
		d, warnings, err := o.Policies.Review(p.Text, p.Overrides)
		return draft{"proposal " + p.ID, p.Text, p.Overrides, d, warnings}, err
	case s.Text != "":
		d, warnings, err := o.Policies.Review(s.Text, s.Overrides)
		return draft{"the draft", s.Text, s.Overrides, d, warnings}, err
	}
	v, d, err := o.Policies.Active()
	return draft{fmt.Sprintf("version %d", v.Number), v.Text, v.Overrides, d, nil}, err
}

// Checked is the answer of policy/check.
type Checked struct {
	Revision string   `json:"revision"`
	Roles    []string `json:"roles"`
	Warnings []string `json:"warnings"`
}

func (o *Office) check(ctx context.Context, a Actor, in Source) (any, error) {
	if err := o.note(ctx, a, "policy-check", "", audit.Success); err != nil {
		return nil, err
	}
	d, err := o.read(ctx, in)
	if err != nil {
		return nil, err
	}
	return Checked{d.decider.Revision(), d.decider.Roles(), lines(d.warnings)}, nil
}

func lines(ps policy.Problems) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, fmt.Sprintf("line %d: %s", p.Line, p.Reason))
	}
	return out
}

// Summary is a version or proposal without its text.
type Summary struct {
	Version   uint64            `json:"version,omitempty"`
	Proposal  string            `json:"proposal,omitempty"`
	Active    bool              `json:"active,omitempty"`
	Author    string            `json:"author"`
	Approver  string            `json:"approver,omitempty"`
	Reason    string            `json:"reason"`
	Time      time.Time         `json:"time"`
	Overrides []policy.Override `json:"overrides,omitempty"`
	Hash      string            `json:"hash,omitempty"`
	Previous  string            `json:"previous,omitempty"`
	Text      string            `json:"text,omitempty"`
}

func summary(v archive.Version) Summary {
	return Summary{Version: v.Number, Author: v.Author, Approver: v.Approver, Reason: v.Reason, Time: v.Time, Overrides: v.Overrides,
		Hash: v.Hash, Previous: v.Previous}
}

func proposed(p archive.Proposal) Summary {
	return Summary{Proposal: p.ID, Author: p.Author, Reason: p.Reason, Time: p.Time, Overrides: p.Overrides}
}

// show returns a version or proposal with its text.
func (o *Office) show(ctx context.Context, a Actor, in Source) (any, error) {
	if err := o.note(ctx, a, "policy-show", "", audit.Success); err != nil {
		return nil, err
	}
	if in.Proposal != "" {
		p, err := o.Policies.Proposal(ctx, in.Proposal)
		s := proposed(p)
		s.Text = p.Text
		return s, err
	}
	active, _, err := o.Policies.Active()
	v := active
	if in.Version != 0 {
		v, err = o.Policies.Version(ctx, in.Version)
	}
	s := summary(v)
	s.Text, s.Active = v.Text, v.Number == active.Number
	return s, err
}

// History is the answer of policy/history.
type History struct {
	Active    uint64    `json:"active"`
	Trouble   string    `json:"trouble,omitempty"` // why this node cannot follow the pointer
	Versions  []Summary `json:"versions"`
	Proposals []Summary `json:"proposals"`
}

func (o *Office) history(ctx context.Context, a Actor, _ struct{}) (any, error) {
	if err := o.note(ctx, a, "policy-history", "", audit.Success); err != nil {
		return nil, err
	}
	st := o.Policies.Status()
	out := History{Active: st.Version, Versions: []Summary{}, Proposals: []Summary{}}
	if st.Trouble != nil {
		out.Trouble = st.Trouble.Error()
	}
	for v, err := range o.Policies.History(ctx) {
		if err != nil {
			return nil, err
		}
		s := summary(v)
		s.Active = v.Number == st.Version
		out.Versions = append(out.Versions, s)
	}
	ps, err := o.Policies.Proposals(ctx)
	for _, p := range ps {
		out.Proposals = append(out.Proposals, proposed(p))
	}
	return out, err
}

// DiffRequest compares two policies; an empty source is the one in force.
type DiffRequest struct {
	From Source `json:"from"`
	To   Source `json:"to"`
}

// DiffReply says what changes, in sentences.
type DiffReply struct {
	From    string   `json:"from"`
	To      string   `json:"to"`
	Changes []string `json:"changes"`
}

func (o *Office) diff(ctx context.Context, a Actor, in DiffRequest) (any, error) {
	if err := o.note(ctx, a, "policy-diff", "", audit.Success); err != nil {
		return nil, err
	}
	from, err := o.read(ctx, in.From)
	if err != nil {
		return nil, err
	}
	to, err := o.read(ctx, in.To)
	if err != nil {
		return nil, err
	}
	return DiffReply{from.name, to.name, append([]string{}, policy.Diff(from.decider, to.decider)...)}, nil
}
