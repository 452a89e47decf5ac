package interaction

import (
	"context"
	"errors"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// maxCandidates bounds how many records one query may recheck.
const maxCandidates = 50_000

// candidatePage is how many records are fetched from the engine at once.
const candidatePage = 200

// hit is a visible match and what of it may be seen.
type hit struct {
	stored *sealed.Stored
	mask   field.ClassSet
}

// matches evaluates the criteria of a conditional interaction: at most two
// visible matches, and the guards that make "none found" safe to act on. The
// caller needs to be allowed to search the type and to see every class that the
// criteria read, so that a condition is no oracle (decision 20).
func (s *Service) matches(ctx context.Context, c Call, resourceType, rawQuery string) ([]*sealed.Stored, []repository.Guard, error) {
	q, err := s.Parameters.ParseCriteria(resourceType, rawQuery)
	if err != nil {
		return nil, nil, searchFailure(err)
	}
	g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Search, Type: resourceType})
	if err != nil {
		return nil, nil, err
	}
	if err := s.permits(g, q); err != nil {
		return nil, nil, err
	}
	plan := s.Vault.Plan(q)
	guards, err := s.Vault.Guards(ctx, plan)
	if err != nil {
		return nil, nil, err
	}
	var found []*sealed.Stored
	_, err = s.find(ctx, g, q, plan, func(h hit) bool {
		found = append(found, h.stored)
		return len(found) < 2
	})
	return found, guards, err
}

// permits refuses a query that reads a class which role and scope hide for the
// type, also when nothing would match (decision 16).
func (s *Service) permits(g authz.Grant, q search.Query) error {
	if !g.Allowed() {
		return authz.ErrDenied
	}
	for _, c := range q.Criteria {
		for _, p := range s.Parameters.Reads(q.Type, c.Parameter) {
			if !g.Ceiling().Contains(s.Classes.ElementClasses(p.String())) {
				return fail(Denied, nil, "the caller may not see what the search parameter %s reads", c.Parameter)
			}
		}
	}
	return nil
}

// find yields the visible matches in the engine's order until yield says stop.
// It reports how many candidates it rechecked.
func (s *Service) find(ctx context.Context, g authz.Grant, q search.Query, plan sealed.Plan, yield func(hit) bool) (int, error) {
	if plan.IDs != nil {
		return s.findByID(ctx, g, q, plan.IDs, yield)
	}
	plan.Query.Limit = candidatePage
	for checked := 0; ; {
		page, err := s.Store.Find(ctx, plan.Query)
		if err != nil {
			return checked, err
		}
		for _, rec := range page.Records {
			if checked++; checked > maxCandidates {
				return checked, tooCostly()
			}
			st, err := s.Vault.Adopt(ctx, rec)
			if errors.Is(err, sealed.ErrErased) {
				continue
			}
			if err != nil {
				return checked, err
			}
			if more, err := s.offer(g, q, st, yield); err != nil || !more {
				return checked, err
			}
		}
		if page.Next == "" {
			return checked, nil
		}
		plan.Query.After = page.Next
	}
}

func (s *Service) findByID(ctx context.Context, g authz.Grant, q search.Query, ids []string, yield func(hit) bool) (int, error) {
	for _, id := range ids {
		st, err := s.Vault.Load(ctx, s.Vault.Key(q.Type, id))
		if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
			continue
		}
		if err != nil {
			return len(ids), err
		}
		if more, err := s.offer(g, q, st, yield); err != nil || !more {
			return len(ids), err
		}
	}
	return len(ids), nil
}

// offer rechecks one candidate and yields it when it is a visible match.
func (s *Service) offer(g authz.Grant, q search.Query, st *sealed.Stored, yield func(hit) bool) (more bool, err error) {
	mask := s.visible(g, st)
	if mask == 0 {
		return true, nil
	}
	ok, err := s.Vault.Matches(q, st, mask)
	if err != nil || !ok {
		return true, err
	}
	return yield(hit{st, mask}), nil
}

func tooCostly() *Failure {
	f := fail(Unprocessable, nil, "the search matches too many resources; narrow it, for example with system|value")
	f.Issues[0].Code = "too-costly"
	return f
}

func searchFailure(err error) error {
	var pe *search.ParameterError
	if !errors.As(err, &pe) {
		return err
	}
	f := fail(Malformed, err, "%s", pe.Error())
	if errors.Is(err, search.ErrNotOffered) || errors.Is(err, search.ErrUnknownParameter) {
		f.Issues[0].Code = "not-supported"
	}
	return f
}
