package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// total counts the visible matches (decision 24): in the index when its tokens
// say exactly what was asked and the caller sees every resource of the type
// alike, else one by one.
func (x *finder) total(ctx context.Context, q *search.Search) (*int, error) {
	sum := 0
	for _, e := range q.Expressions {
		n, err := x.count(ctx, e)
		if err != nil {
			if f := failure(err); q.Total == search.TotalEstimate && q.Summary != search.SummaryCount && f.Issues[0].Code == "too-costly" {
				return nil, nil // an estimate is a favour: no number is better than a refused page
			}
			return nil, err
		}
		sum += n
	}
	return &sum, nil
}

func (x *finder) count(ctx context.Context, e *search.Expression) (n int, err error) {
	g, err := x.grant(ctx, authz.Search, e.Type)
	if err != nil {
		return 0, err
	}
	if counter, ok := x.Store.(repository.Counter); ok && x.where.compartment == nil && g.Unrestricted() && g.Ceiling().Contains(field.AllClasses) {
		plan, err := x.plan(ctx, g, e, false)
		if err != nil {
			return 0, err
		}
		if plan.Exact && plan.Keys == nil {
			return counter.Count(ctx, plan.Query, countLimit)
		}
	}
	err = x.find(ctx, e, 0, "", func() int { return candidatePage }, func(hit, string) bool { n++; return true })
	return n, err
}

// countLimit bounds a count in the index: about a second of reading.
const countLimit = 5_000_000
