package search

import (
	"slices"

	"github.com/fieldseal/fieldseal/fhir"
)

// Term is one indexed value of a resource. System is empty when the
// identifier has none; Value is empty when it has only a system.
type Term struct {
	Parameter string
	System    string
	Value     string
}

// Extract returns the identifier terms of a resource, each once, in the order
// of parameters and document. The logical id is no term: it is the primary
// key.
func (ps *Parameters) Extract(r *fhir.Resource) []Term {
	var terms []Term
	for i := range ps.types[r.Type()] {
		ps.types[r.Type()][i].walk(r, func(t Term) bool {
			if !slices.Contains(terms, t) {
				terms = append(terms, t)
			}
			return true
		})
	}
	return terms
}

// Match reports whether the resource satisfies the query exactly. System and
// value compare byte by byte: both are always case sensitive
// (R4 datatypes.html#Identifier). A query for another type never matches.
func (ps *Parameters) Match(q Query, r *fhir.Resource) bool {
	if q.Type != r.Type() {
		return false
	}
	for _, c := range q.Criteria {
		if !ps.matches(c, r) {
			return false
		}
	}
	return true
}

func (ps *Parameters) matches(c Criterion, r *fhir.Resource) bool {
	if c.Parameter == ID {
		return c.accepts(Term{Value: r.ID()})
	}
	p := ps.find(r.Type(), c.Parameter)
	if p == nil {
		return false
	}
	// walk returns false when the visitor stopped it, which is a match.
	return !p.walk(r, func(t Term) bool { return !c.accepts(t) })
}

func (c Criterion) accepts(t Term) bool {
	return slices.ContainsFunc(c.Tokens, func(want Token) bool { return want.Accepts(t) })
}

// Accepts compares one alternative with one term.
func (t Token) Accepts(term Term) bool {
	switch t.Form {
	case Exact:
		return t.System == term.System && t.Value == term.Value
	case AnySystem:
		return term.Value != "" && t.Value == term.Value
	case AnyValue:
		return term.System != "" && t.System == term.System
	}
	return false
}

// walk visits the identifiers that hold a system or a value, until visit
// returns false; it reports whether it came to the end.
func (p *parameter) walk(r *fhir.Resource, visit func(Term) bool) bool {
	for _, path := range p.paths {
		complete := path.Walk(r.Root(), func(n *fhir.Node) bool {
			t := Term{Parameter: p.code, System: n.Member("system").Text(), Value: n.Member("value").Text()}
			return t.System == "" && t.Value == "" || visit(t)
		})
		if !complete {
			return false
		}
	}
	return true
}
