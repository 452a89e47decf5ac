package policy

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Question is a decision that somebody wants explained.
type Question struct {
	Claims  authz.SubjectClaims
	Request authz.Request
	// Facts of the resource; nil asks about the type as a whole.
	Facts *authz.Facts
	// Glass, when set, is an emergency access as if it were in force.
	Glass *authz.Glass
	// Class narrows the verdict to one class; zero asks about all.
	Class field.ClassSet
}

// Nothing is a grant for the question that permits nothing: it says for whom
// and what for facts are wanted.
func (q Question) Nothing() authz.Grant { return authz.NewGrant(supposeGlass(q), q.Request, nil) }

// Verdict is the answer in one word.
type Verdict string

// The verdicts. Conditional: the request may proceed, and what is visible
// depends on the resource.
const (
	Allow       Verdict = "allow"
	Mask        Verdict = "mask" // some classes are visible and others hidden
	Deny        Verdict = "deny"
	Conditional Verdict = "conditional"
)

// Row is a rule that has to do with a decision.
type Row struct {
	Line   int    `json:"line"`
	Text   string `json:"text"`
	Effect string `json:"effect"`
	// Applies is unknown (nil) when it depends on the resource and none was
	// named.
	Applies *bool `json:"applies,omitempty"`
	// Decisive marks the rows that brought the visible classes about, or that
	// took others away.
	Decisive bool `json:"decisive,omitempty"`
}

// Bit is the result of one predicate, with its reason.
type Bit struct {
	Predicate string `json:"predicate"`
	Holds     *bool  `json:"holds,omitempty"` // nil: depends on the resource
	Reason    string `json:"reason"`
}

// Reason is what another part of a decision has to say: a consent, a
// break-glass, a scope.
type Reason struct {
	Source string `json:"source"`
	Effect string `json:"effect"`
	Text   string `json:"text"`
}

// Explanation says how a decision came about. It holds no patient data.
type Explanation struct {
	Revision   string   `json:"revision"`
	Verdict    Verdict  `json:"verdict"`
	Roles      []string `json:"roles"` // all that are in force
	Request    string   `json:"request"`
	Purpose    string   `json:"purpose"`
	Scopes     string   `json:"scopes"` // how far they reach
	Visible    []string `json:"visible"`
	Hidden     []string `json:"hidden"`
	Rows       []Row    `json:"rows"`
	Predicates []Bit    `json:"predicates"`
	Reasons    []Reason `json:"reasons,omitempty"`
}

var reaches = map[reach]string{reachNone: "no scope permits it", reachPatient: "the patient in context only", reachAll: "all that the rules allow"}

// Explain answers a question without serving anything.
func (d *Decider) Explain(q Question) Explanation {
	s := supposeGlass(q)
	feat := featuresOf(&s)
	e := d.compile(&s, q.Request, feat)
	x := Explanation{Revision: d.revision, Roles: d.Effective(s.ID(), s.Roles()), Purpose: s.Purpose(),
		Request: string(q.Request.Action) + " " + q.Request.Type}
	if !d.known(&s, q.Request, feat) {
		x.Verdict = Deny
		x.Reasons = append(x.Reasons, Reason{"request", "deny", "the account, action, type or purpose is none that rules can name"})
		return x
	}
	scope := scopesOf(e.scopes, feat, q.Request.Action, q.Request.Type)
	x.Scopes = scope.describe()
	asked := q.Class
	if asked == 0 {
		asked = field.AllClasses
	}
	visible := e.program.Ceiling()
	if q.Facts != nil {
		visible = e.program.Mask(s, *q.Facts)
	}
	in := d.askedOf(&s, q)
	d.rowsOf(&x, e, feat, in, asked)
	d.bitsOf(&x, feat, in, scope.furthest())
	x.Visible, x.Hidden = classNames(visible&asked), classNames(asked&^visible)
	x.Verdict = verdict(visible&asked, asked, q.Facts == nil && !e.program.Unconditional())
	return x
}

func verdict(visible, asked field.ClassSet, open bool) Verdict {
	switch {
	case visible == 0:
		return Deny
	case open:
		return Conditional
	case visible == asked:
		return Allow
	}
	return Mask
}

// askedOf is what the predicates look at, or nil without a resource.
func (d *Decider) askedOf(s *authz.Subject, q Question) *input {
	if q.Facts == nil {
		return nil
	}
	in := inputOf(s, d.patientType(q.Request.Type), *q.Facts, d.env)
	return &in
}

func classNames(set field.ClassSet) []string {
	out := []string{}
	for _, c := range set.Classes() {
		out = append(out, c.String())
	}
	return out
}

// rowsOf lists the rows of the request, one for each line, in the order of the
// file.
func (d *Decider) rowsOf(x *Explanation, e *entry, feat feature, in *input, asked field.ClassSet) {
	byLine := map[int]int{}
	for _, role := range x.Roles {
		for _, i := range d.index[rowKey{role, string(e.action)}] {
			r := &d.doc.rows[i]
			if !covers(r.typ, e.typ) || (r.purpose != "*" && r.purpose != e.purpose) || r.classes&asked == 0 {
				continue
			}
			if _, seen := byLine[r.line]; seen {
				continue
			}
			byLine[r.line] = len(x.Rows)
			met := applies(r, feat, in)
			x.Rows = append(x.Rows, Row{Line: r.line, Text: d.Line(r.line), Effect: r.fields()[6], Applies: met,
				Decisive: met != nil && *met})
		}
	}
	slices.SortFunc(x.Rows, func(a, b Row) int { return a.Line - b.Line })
}

// applies reports whether the condition of a row is met; nil when that depends
// on the resource. What is unknown of the resource meets denials only.
func applies(r *row, feat feature, in *input) *bool {
	met, not := true, false
	open := false
	for _, c := range r.conds {
		switch {
		case !feat.has(c.needs):
			return &not
		case c.constant():
		case in == nil:
			open = true
		default:
			if t := c.decide(*in); t == no || t == unknown && !r.deny {
				return &not
			}
		}
	}
	if open {
		return nil
	}
	return &met
}

// bitsOf evaluates the conditions that the listed rows or the scopes name.
func (d *Decider) bitsOf(x *Explanation, feat feature, in *input, scope reach) {
	var named []*condition
	add := func(conds ...*condition) {
		for _, c := range conds {
			if !slices.Contains(named, c) {
				named = append(named, c)
			}
		}
	}
	if scope == reachPatient {
		add(d.doc.condition(ownCompartment.name), d.doc.condition(notPatientData.name))
	}
	for _, r := range x.Rows {
		add(d.condsAt(r.Line)...)
	}
	for _, c := range named {
		x.Predicates = append(x.Predicates, bitOf(c, feat, in))
	}
}

// bitOf evaluates one condition and says why.
func bitOf(c *condition, feat feature, in *input) Bit {
	b, held, not := Bit{Predicate: c.text, Reason: c.doc}, true, false
	switch {
	case !feat.has(c.needs):
		b.Holds, b.Reason = &not, "the account has nothing that it could hold for: "+c.doc
		return b
	case c.constant():
		b.Holds = &held
		return b
	case in == nil:
		b.Reason = "depends on the resource: " + c.doc
		return b
	}
	switch c.decide(*in) {
	case yes:
		b.Holds = &held
	case no:
		b.Holds, b.Reason = &not, "not so: "+c.doc
	case unknown:
		b.Reason = "cannot be told, so that it meets no allowing rule and every denying one: " + c.doc
	}
	return b
}

func (d *Decider) condsAt(line int) []*condition {
	for i := range d.doc.rows {
		if d.doc.rows[i].line == line {
			return d.doc.rows[i].conds
		}
	}
	return nil
}

// Line is one line of the policy's text, without the blanks around it.
func (d *Decider) Line(n int) string {
	i := 0
	for line := range strings.Lines(d.text) {
		if i++; i == n {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return ""
}

// Judge is the classes that the policy leaves visible on a resource, or for
// the type as a whole when facts is nil.
func (d *Decider) Judge(q Question) field.ClassSet {
	s := supposeGlass(q)
	p := d.compile(&s, q.Request, featuresOf(&s)).program
	if q.Facts == nil {
		return p.Ceiling()
	}
	return p.Mask(s, *q.Facts)
}

// Emergency reports whether a rule for broken glass would answer the question.
func (d *Decider) Emergency(q Question) bool {
	s := supposeGlass(q)
	return d.compile(&s, q.Request, featuresOf(&s)).program.Emergency()
}

// Text is the policy as it was written.
func (d *Decider) Text() string { return d.text }
