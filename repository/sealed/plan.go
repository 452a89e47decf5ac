package sealed

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// maxTokens bounds the tokens of one clause. A condition that needs more is
// left to the recheck.
const maxTokens = 500

// maxKeys bounds how many resources a _has asks for one by one, when nothing
// else selects.
const maxKeys = 10_000

// LinkSet are the resolved ends of a search.Link: for a chain what was found,
// for _has what was referred to.
type LinkSet map[repository.Key]struct{}

// Scope is what a plan knows besides the expression.
type Scope struct {
	Links map[*search.Link]LinkSet
	// Codes are all codes that a condition with :in, :above or :below can match,
	// where they can be listed.
	Codes map[*search.Condition][]string
	// Patients, when not nil: every result must lie in the compartment of one of
	// them.
	Patients []repository.Owner
	// Now is what ap measures the distance of a date from.
	Now time.Time
	// Estimate asks for the number of resources of each clause.
	Estimate bool
}

// Clause is one condition as the index answers it. It holds no value.
type Clause struct {
	Parameter string `json:"parameter"`
	Scope     string `json:"scope"` // population, patient, key or updated
	Tokens    int    `json:"tokens"`
	Estimate  int    `json:"estimate,omitempty"`
	Used      bool   `json:"used"`
	Why       string `json:"why,omitempty"` // of a clause that is not used
}

// Plan is an expression translated for the engine. It may select too much,
// never too little; a Matcher decides.
type Plan struct {
	Query repository.Query
	// Keys, when not nil, are the only resources to look at, in their order.
	Keys []repository.Key
	// Exact: the query selects exactly the matches (decision 24).
	Exact bool
	// Scan: nothing selects, every resource of the type is looked at.
	Scan    bool
	Clauses []Clause
}

// Plan translates an expression, whose links must be resolved in the scope.
func (v *Vault) Plan(ctx context.Context, e *search.Expression, s Scope) (Plan, error) {
	b := &planner{v: v, ctx: ctx, e: e, scope: s, index: v.index.Load()}
	b.Query.Type, b.Exact = e.Type, v.wholeTokens
	if err := b.pin(); err != nil {
		return Plan{}, err
	}
	for _, c := range e.Conditions {
		b.condition(c)
	}
	b.dates()
	if s.Patients != nil {
		b.members(s.Patients)
	}
	b.Scan = len(b.Query.All) == 0 && b.Keys == nil && b.Query.Since == 0 && b.Query.Until == 0
	return b.Plan, b.estimate()
}

// planner builds one plan.
type planner struct {
	Plan
	v     *Vault
	ctx   context.Context
	e     *search.Expression
	scope Scope
	index *indexKeys // one for the whole plan: an epoch may end meanwhile
	// inside makes the tokens of the patient whose records alone can match;
	// nil when no condition names one.
	inside *blind.Tokenizer
	ranges []*search.Condition // conditions on dates, planned together
}

// pin looks for a condition that names the owner of whatever matches: then the
// patient's own tokens select as well.
func (b *planner) pin() error {
	path := b.v.comp.FirstOwnerPath(b.e.Type)
	if path == "" {
		return nil
	}
	for _, c := range b.e.Conditions {
		if c.Link != nil || c.Modifier != search.NoModifier || len(c.Operands) != 1 || c.Parameter.Kind != search.ReferenceKind {
			continue
		}
		o := &c.Operands[0]
		if o.ID == "" || !b.v.owns(c.Parameter, path) || o.Type != "Patient" && !onlyPatients(c.Parameter, o) {
			continue
		}
		keys, err := b.v.ring.Owner(b.ctx, b.v.PatientOwner(o.ID))
		if err != nil {
			return nobody(err) // the reference's own token finds nothing either
		}
		b.inside = b.v.tokenizer(keys.IndexKey(), b.v.ring.Tenant())
		return nil
	}
	return nil
}

// onlyPatients reports whether a bare id can mean a patient only.
func onlyPatients(p *search.Parameter, o *search.Operand) bool {
	return o.Type == "" && len(p.Targets) == 1 && p.Targets[0] == "Patient"
}

// owns reports whether the value of a parameter is the patient whose keys seal
// the record.
func (v *Vault) owns(p *search.Parameter, path string) bool { return p.Single && p.SelectsOnly(path) }

// condition plans one condition, or leaves it to the recheck.
func (b *planner) condition(c *search.Condition) {
	switch {
	case c.Link != nil:
		b.link(c)
	case c.Modifier == search.Missing, c.Modifier == search.Not, c.Modifier == search.NotIn:
		b.leave(c, "what lacks a value has no token")
	case c.Parameter.Code == search.ID:
		b.ids(c)
	case c.Parameter.Code == "_lastUpdated":
		b.updated(c)
	case c.Parameter.Kind == search.Date:
		b.ranges = append(b.ranges, c)
	case c.Parameter.Kind == search.Composite:
		b.composite(c)
	case b.scope.Codes[c] != nil:
		b.clause(c, b.parts(c.Parameter), func(q *query) { q.codes(b.scope.Codes[c]) })
	default:
		b.clause(c, b.parts(c.Parameter), func(q *query) { q.operands(c) })
	}
}

// leave notes that a condition does not select.
func (b *planner) leave(c *search.Condition, why string) {
	b.Exact = false
	b.Clauses = append(b.Clauses, Clause{Parameter: c.Name, Why: why})
}

// parts are the parameters whose tokens stand for this one's.
func (b *planner) parts(p *search.Parameter) []*search.Parameter {
	codes := b.v.policy.unions[p.Resource][p.Code]
	if len(codes) == 0 {
		codes = []string{p.Code}
	}
	var ps []*search.Parameter
	for _, code := range codes {
		q := b.v.catalog.Parameter(p.Resource, code)
		if q.Covering != "" {
			b.Exact = false
			q = b.v.catalog.Parameter(p.Resource, q.Covering)
		}
		ps = append(ps, q)
	}
	return ps
}

// query collects the tokens of one clause.
type query struct {
	b      *planner
	p      *search.Parameter // whose tokens they are
	makers []*blind.Tokenizer
	tokens []repository.Token
	exact  bool
	fails  string // why there are none
}

func (q *query) add(kind blind.Kind, parts ...string) {
	for _, t := range q.makers {
		q.tokens = append(q.tokens, repository.Token(t.Token(q.p.Resource, q.p.Code, kind, parts...)))
	}
}

// tokenizers are those under which the index has all values of a parameter:
// the patient's when the search is pinned, else every epoch's.
func (b *planner) tokenizers(p *search.Parameter) ([]*blind.Tokenizer, string, string) {
	reach := b.v.policy.reach[p]
	switch {
	case b.index.lacking[b.e.Type]:
		return nil, "", "the index is being rebuilt"
	case reach&patient != 0 && b.inside != nil:
		return []*blind.Tokenizer{b.inside}, "patient", ""
	case reach&population != 0:
		return b.index.ask, "population", ""
	case reach&patient != 0:
		return nil, "", "the index policy lets it be searched inside one patient only"
	}
	return nil, "", "it has no tokens"
}

// clause adds the union of what fill makes for each part.
func (b *planner) clause(c *search.Condition, parts []*search.Parameter, fill func(*query)) {
	var tokens []repository.Token
	scope := ""
	for _, p := range parts {
		makers, reach, why := b.tokenizers(p)
		if why != "" {
			b.leave(c, why)
			return
		}
		q := query{b: b, p: p, makers: makers, exact: true}
		fill(&q)
		if q.fails != "" {
			b.leave(c, q.fails)
			return
		}
		b.Exact = b.Exact && q.exact
		tokens, scope = append(tokens, q.tokens...), reach
	}
	slices.Sort(tokens)
	if tokens = slices.Compact(tokens); len(tokens) > maxTokens {
		b.leave(c, "it would need too many tokens")
		return
	}
	b.Query.All = append(b.Query.All, tokens)
	b.Clauses = append(b.Clauses, Clause{Parameter: c.Name, Scope: scope, Tokens: len(tokens), Used: true})
}

// ids restricts the plan to the resources with the ids.
func (b *planner) ids(c *search.Condition) {
	set := LinkSet{}
	for i := range c.Operands {
		set[b.v.Key(b.e.Type, c.Operands[i].Code)] = struct{}{}
	}
	b.keys(c, set)
}

// keys restricts the plan to the resources of a set.
func (b *planner) keys(c *search.Condition, set LinkSet) {
	b.Exact = false
	next := make([]repository.Key, 0, len(set))
	for k := range set {
		if b.Keys == nil || slices.Contains(b.Keys, k) {
			next = append(next, k)
		}
	}
	slices.SortFunc(next, func(x, y repository.Key) int { return bytes.Compare(x.ID[:], y.ID[:]) })
	b.Keys = next
	b.Clauses = append(b.Clauses, Clause{Parameter: c.Name, Scope: "key", Tokens: len(set), Used: true})
}

// link plans a resolved chain or _has.
func (b *planner) link(c *search.Condition) {
	set := b.scope.Links[c.Link]
	switch {
	case len(set) == 0, c.Link.Reverse && len(set) <= maxKeys:
		b.keys(c, set)
	case c.Link.Reverse || len(set) > maxTokens:
		b.leave(c, "it leads to too many resources")
	default:
		b.clause(c, b.parts(c.Link.Reference), func(q *query) {
			for k := range set {
				q.referenceKey(k.Type, k.ID)
			}
		})
	}
}

// members restricts the plan to the compartments of some patients.
func (b *planner) members(owners []repository.Owner) {
	switch {
	case len(owners) == 0:
		b.Exact, b.Keys = false, []repository.Key{}
		return
	case b.index.lacking[b.e.Type], len(owners)*len(b.index.ask) > maxTokens:
		b.Exact = false
		return
	}
	tokens := make([]repository.Token, 0, len(owners)*len(b.index.ask))
	for _, t := range b.index.ask {
		for i := range owners {
			tokens = append(tokens, repository.Token(t.TokenBytes(b.e.Type, memberParameter, blind.Member, owners[i][:])))
		}
	}
	slices.Sort(tokens)
	tokens = slices.Compact(tokens)
	b.Query.All = append(b.Query.All, tokens)
	b.Clauses = append(b.Clauses, Clause{Parameter: memberParameter, Scope: "population", Tokens: len(tokens), Used: true})
}

// composite narrows by those of its components that are parameters of their
// own; only the recheck knows whether they meet in one element.
func (b *planner) composite(c *search.Condition) {
	b.Exact = false
	for i, component := range c.Parameter.Components {
		p := b.v.catalog.Parameter(b.e.Type, component.Code)
		if p == nil || p.Kind != component.Kind || p.URL != component.URL {
			continue
		}
		part := &search.Condition{Name: c.Name, Parameter: p}
		for k := range c.Operands {
			part.Operands = append(part.Operands, c.Operands[k].Parts[i])
		}
		b.condition(part)
	}
	if len(c.Parameter.Components) == 0 {
		b.leave(c, "its components have no tokens")
	}
}

// estimate fills in the estimates where they were asked for.
func (b *planner) estimate() error {
	counter, ok := b.v.store.(repository.Counter)
	if !ok || !b.scope.Estimate {
		return nil
	}
	n := 0
	for i := range b.Clauses {
		c := &b.Clauses[i]
		if !c.Used || c.Scope != "population" && c.Scope != "patient" {
			continue
		}
		var err error
		if c.Estimate, err = counter.Estimate(b.ctx, b.e.Type, b.Query.All[n]); err != nil {
			return err
		}
		n++
	}
	return nil
}

// nobody drops the error for a patient who has no keys, and so no records.
func nobody(err error) error {
	if errors.Is(err, keyring.ErrNoKey) || errors.Is(err, keyring.ErrErased) {
		return nil
	}
	return err
}

// SealLink and OpenLink seal what a page link holds (keyring.Ring.SealLink).
func (v *Vault) SealLink(plain []byte, bind string) (string, error) {
	return v.ring.SealLink(plain, bind)
}

// OpenLink returns what SealLink sealed, or keyring.ErrLink.
func (v *Vault) OpenLink(text, bind string) ([]byte, error) { return v.ring.OpenLink(text, bind) }
