package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// permit refuses an expression that reads a class which role and scope hide for
// the type, at every hop, also when nothing would match (decision 16). Types
// that a chain without a type could lead to, and that the caller may not search
// at all, are as if nothing were stored there.
func (x *finder) permit(ctx context.Context, e *search.Expression) error {
	g, err := x.grant(ctx, authz.Search, e.Type)
	if err != nil {
		return err
	}
	for _, c := range e.Conditions {
		if c.Link != nil {
			err = x.permitLink(ctx, g, c)
		} else {
			err = x.permitCondition(ctx, g, c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// permitCondition refuses a condition that compares what the caller may not
// see.
func (x *finder) permitCondition(ctx context.Context, g authz.Grant, c *search.Condition) error {
	if !g.Ceiling().Contains(c.Parameter.Needs(c.Modifier)) {
		return hiddenParameter(c.Name)
	}
	if x.call.conceals() && c.Parameter.Code == lastUpdated {
		return concealedTime(lastUpdated)
	}
	if err := x.permitIDs(c); err != nil {
		return err
	}
	if c.Recurses() {
		return x.permitRecursion(ctx, c)
	}
	return nil
}

func (x *finder) permitLink(ctx context.Context, g authz.Grant, c *search.Condition) error {
	l := c.Link
	if !l.Reverse && !g.Ceiling().Contains(l.Reference.Needs(search.NoModifier)) {
		return hiddenParameter(c.Name)
	}
	kept := l.Targets[:0]
	for _, target := range l.Targets {
		other, err := x.grant(ctx, authz.Search, target.Type)
		if isDenied(err) && len(l.Targets) > 1 {
			continue
		}
		if err != nil {
			return err
		}
		if l.Reverse && !other.Ceiling().Contains(l.Reference.Needs(search.NoModifier)) {
			return hiddenParameter(c.Name)
		}
		if err := x.permit(ctx, target); err != nil {
			return err
		}
		kept = append(kept, target)
	}
	if l.Targets = kept; len(kept) == 0 {
		return authz.ErrDenied
	}
	return nil
}

// permitParameter is permit for a parameter that orders or includes.
func (x *finder) permitParameter(ctx context.Context, p *search.Parameter) error {
	g, err := x.grant(ctx, authz.Search, p.Resource)
	if err != nil {
		return err
	}
	if !g.Ceiling().Contains(p.Needs(search.NoModifier)) {
		return hiddenParameter(p.Code)
	}
	if x.call.conceals() && p.Code == lastUpdated {
		return concealedTime(lastUpdated)
	}
	return nil
}

const lastUpdated = "_lastUpdated"

func hiddenParameter(name string) error {
	return fail(Denied, nil, "the caller may not see what the search parameter %s reads", name)
}
