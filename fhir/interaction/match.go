package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// condition is the result of a conditional interaction's criteria.
type condition struct {
	found []*sealed.Stored // visible matches, as many as were asked for at most
	// expect are guards that make "none found" safe to act on, bump what the
	// write must touch so that others notice (decision 29).
	expect []repository.Guard
	bump   []repository.Token
}

// matches evaluates the criteria of a conditional interaction. The caller needs
// to be allowed to search the type and to see every class that the criteria
// read, so that a condition is no oracle (decision 20). At most most matches are
// looked for; two are enough to know that there is not one.
func (s *Service) matches(ctx context.Context, c Call, resourceType, rawQuery string, most int) (m condition, err error) {
	x, e, err := s.criteria(ctx, c, resourceType, rawQuery)
	if err != nil {
		return m, err
	}
	return x.matching(ctx, e, most, func(*sealed.Stored) bool { return true })
}

// criteria reads the criteria of a conditional interaction and decides whether
// the caller may use them.
func (s *Service) criteria(ctx context.Context, c Call, resourceType, rawQuery string) (*finder, *search.Expression, error) {
	if !s.Definitions.IsResource(resourceType) {
		return nil, nil, fail(NotFound, nil, "unknown resource type")
	}
	e, err := s.Catalog.ParseConditions(resourceType, rawQuery)
	if err != nil {
		return nil, nil, searchFailure(err)
	}
	x := s.newFinder(c, within{})
	return x, e, x.permit(ctx, e)
}

// matching finds matches that count.
func (x *finder) matching(ctx context.Context, e *search.Expression, most int, counts func(*sealed.Stored) bool) (m condition, err error) {
	s := x.Service
	if m.expect, m.bump, err = s.Vault.PlanGuards(ctx, e); err != nil {
		return m, err
	}
	if err := x.resolve(ctx, []*search.Expression{e}); err != nil {
		return m, err
	}
	err = x.find(ctx, e, 0, "", func() int { return most - len(m.found) }, func(h hit, _ string) bool {
		if counts(h.stored) {
			m.found = append(m.found, h.stored)
		}
		return len(m.found) < most
	})
	return m, err
}
