package interaction

import (
	"context"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Explanation says how a search is answered. It holds no value of the query and
// none of the records; its numbers are those that the caller could count.
type Explanation struct {
	Parts []ExplainedPart `json:"parts"`
}

// ExplainedPart is one expression: a searched type or the end of a chain.
type ExplainedPart struct {
	Type         string          `json:"type"`
	Conditions   string          `json:"conditions"`
	Clauses      []sealed.Clause `json:"clauses"`
	Exact        bool            `json:"exact"` // the index alone can count
	Scan         bool            `json:"scan"`  // nothing selective: bounded scan
	IndexEntries int             `json:"indexEntries"`
	Candidates   int             `json:"candidates"`
	Matches      int             `json:"matches"`
}

// Explain plans and runs a search as the caller and tells what it cost instead
// of what it found. It is audited as a search.
func (s *Service) Explain(ctx context.Context, c Call, query string) (x Explanation, err error) {
	ctx, end := s.start(ctx, &c, trace.Search)
	defer func() { end(err) }()
	ev := begin(c, audit.Execute, "search-explain")
	ev.Query = query
	if x, err = s.explain(ctx, c, &ev, query); err != nil {
		return Explanation{}, s.refuse(ctx, ev, err)
	}
	if _, err := s.durable(ctx, c, ev); err != nil {
		return Explanation{}, failure(err)
	}
	return x, nil
}

func (s *Service) explain(ctx context.Context, c Call, ev *audit.Event, query string) (out Explanation, err error) {
	w, rawQuery, err := s.target(query)
	if err != nil {
		return out, err
	}
	q, err := s.Catalog.ParseSearch(w.types, rawQuery, search.ParseOptions{Lenient: c.Lenient, Bases: []string{s.Base}})
	if err != nil {
		return out, searchFailure(err)
	}
	x := s.newFinder(c, w)
	if err := x.permitSearch(ctx, ev, q); err != nil {
		return out, err
	}
	counting := q.Summary == search.SummaryCount || q.Count == 0
	if err := x.explainAll(ctx, &out, q.Expressions, counting); err != nil {
		return out, err
	}
	x.measure(ctx)
	return out, nil
}

// target reads "Observation?code=x", "Patient/p1/Observation?…" or "?_type=…".
func (s *Service) target(query string) (within, string, error) {
	path, rawQuery, _ := strings.Cut(strings.TrimPrefix(query, "/"), "?")
	switch seg := strings.Split(path, "/"); {
	case path == "":
		return within{}, rawQuery, nil
	case len(seg) == 3:
		w, f := s.compartment(seg[0], seg[1], seg[2])
		if f != nil {
			return w, "", f
		}
		return w, rawQuery, nil
	case len(seg) == 1 && s.Definitions.IsResource(path) && path != auditEvent:
		return within{path: path, types: []string{path}}, rawQuery, nil
	}
	return within{}, "", fail(Malformed, nil, "a search begins with a resource type, a compartment and a type, or with ?")
}

// explainAll explains the ends of links before what leads to them, since the
// plan of the latter needs what the former find. counting is for searches that
// only ask how many there are.
func (x *finder) explainAll(ctx context.Context, out *Explanation, expressions []*search.Expression, counting bool) error {
	for _, e := range expressions {
		for _, c := range e.Conditions {
			if c.Link == nil {
				continue
			}
			if err := x.explainAll(ctx, out, c.Link.Targets, false); err != nil {
				return err
			}
		}
		if err := x.resolve(ctx, []*search.Expression{e}); err != nil {
			return err
		}
		part, err := x.explainOne(ctx, e, counting)
		if err != nil {
			return err
		}
		out.Parts = append(out.Parts, part)
	}
	return nil
}

func (x *finder) explainOne(ctx context.Context, e *search.Expression, counting bool) (ExplainedPart, error) {
	g, err := x.grant(ctx, authz.Search, e.Type)
	if err != nil {
		return ExplainedPart{}, err
	}
	plan, err := x.plan(ctx, g, e, true)
	if err != nil {
		return ExplainedPart{}, err
	}
	part := ExplainedPart{Type: e.Type, Conditions: e.Describe(), Clauses: plan.Clauses, Exact: plan.Exact, Scan: plan.Scan}
	read, checked, matched := x.read, x.checked, x.matched
	if counting {
		part.Matches, err = x.count(ctx, e)
	} else {
		err = x.find(ctx, e, 0, "", func() int { return candidatePage }, func(hit, string) bool { return true })
		part.Matches = x.matched - matched
	}
	part.IndexEntries, part.Candidates = x.read-read, x.checked-checked
	return part, err
}
