package search

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// Terminology answers what the value-set modifiers ask (R4
// search.html#modifiers). An error means that it cannot tell: the search fails
// with it, since either answer could be wrong.
type Terminology interface {
	Contains(ctx context.Context, valueSet, system, code string) (bool, error)
	// Subsumes reports whether the descendant is the ancestor or below it.
	Subsumes(ctx context.Context, system, ancestor, descendant string) (bool, error)
}

// Links tells what the other end of a Link was resolved to before matching.
type Links interface {
	// Linked reports whether the local resource is one of those that a chain
	// leads to: it satisfies one of l.Targets.
	Linked(l *Link, resourceType, id string) bool
	// Referring reports whether the local resource is one of those that the
	// resources found for a _has refer to.
	Referring(l *Link, resourceType, id string) bool
}

// Matcher decides exactly whether a resource satisfies an expression: the
// recheck of what an index found. It may be used concurrently when Terminology
// and Links may.
//
// What a resource does not show, it does not have: on a redacted tree every
// answer is that of the redacted view (decision 16).
type Matcher struct {
	Catalog     *Catalog
	Terminology Terminology // may be nil: conditions that need it are not offered
	Links       Links       // may be nil when no condition has a Link
	// Now is what ap measures the distance of a date from. All pages of one
	// search need the same; zero is the time of each call.
	Now time.Time
}

// ErrNoLinks is returned for a Link, or a hierarchy, that nothing has resolved.
var ErrNoLinks = errors.New("search: a chain was not resolved")

// Match reports whether the resource is of the expression's type and satisfies
// all of its conditions.
func (m Matcher) Match(ctx context.Context, e *Expression, r *fhir.Resource) (bool, error) {
	if e.Type != r.Type() {
		return false, nil
	}
	for _, c := range e.Conditions {
		if ok, err := m.MatchCondition(ctx, c, r); err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

// MatchCondition decides one condition, whose parameter must be one of the
// resource's type.
func (m Matcher) MatchCondition(ctx context.Context, c *Condition, r *fhir.Resource) (bool, error) {
	if c.Link != nil {
		return m.follow(c.Link, r)
	}
	switch c.Modifier {
	case Missing:
		missing := true
		m.Catalog.Extract(c.Parameter, r, func(*Value) bool { missing = false; return false })
		return slices.ContainsFunc(c.Operands, func(o Operand) bool { return o.Missing == missing }), nil
	case Not, NotIn:
		// R4 search.html#modifiers: what has no value has no such value.
		found, err := m.any(ctx, c, r)
		return err == nil && !found, err
	}
	return m.any(ctx, c, r)
}

// any reports whether one value satisfies one operand.
func (m Matcher) any(ctx context.Context, c *Condition, r *fhir.Resource) (found bool, err error) {
	x := comparison{ctx: ctx, terminology: m.Terminology, now: m.Now, modifier: c.Modifier}
	if x.now.IsZero() {
		x.now = time.Now()
	}
	m.Catalog.Extract(c.Parameter, r, func(v *Value) bool {
		for i := range c.Operands {
			if found, err = x.accepts(c.Parameter, &c.Operands[i], v); found || err != nil {
				return false
			}
		}
		return true
	})
	return found && err == nil, err
}

// follow decides a Link. References to other servers and canonical URLs lead
// to no local resource.
func (m Matcher) follow(l *Link, r *fhir.Resource) (bool, error) {
	if m.Links == nil {
		return false, ErrNoLinks
	}
	if l.Reverse {
		return m.Links.Referring(l, r.Type(), r.ID()), nil
	}
	found := false
	m.Catalog.Extract(l.Reference, r, func(v *Value) bool {
		found = v.ID != "" && m.Links.Linked(l, v.Type, v.ID)
		return !found
	})
	return found, nil
}

// comparison is one condition being compared with the values of one resource.
type comparison struct {
	ctx         context.Context
	terminology Terminology
	now         time.Time
	modifier    Modifier
}

// accepts compares one operand with one value.
func (x *comparison) accepts(p *Parameter, o *Operand, v *Value) (bool, error) {
	switch p.Kind {
	case Number:
		return acceptsNumber(o, v), nil
	case Date:
		return acceptsDate(o, v, x.now), nil
	case String:
		return acceptsString(x.modifier, o, v.Text), nil
	case TokenKind:
		return x.acceptsToken(p, o, v)
	case ReferenceKind:
		switch x.modifier {
		case IdentifierModifier:
			return acceptsIdentifier(o, v), nil
		case Above, Below:
			return false, ErrNoLinks
		}
		return acceptsReference(p, o, v), nil
	case QuantityKind:
		return acceptsQuantity(o, v), nil
	case URI:
		return acceptsURI(x.modifier, o.Text, v.Text), nil
	case Special:
		return distance(o.Latitude, o.Longitude, v.Latitude, v.Longitude) <= o.Distance, nil
	case Composite:
		return x.acceptsComposite(p, o, v)
	}
	return false, nil
}

// acceptsComposite: every component has a value, on this one element, that
// satisfies its part (R4 search.html#composite).
func (x *comparison) acceptsComposite(p *Parameter, o *Operand, v *Value) (bool, error) {
	for i, c := range p.Components {
		found := false
		for j := range v.Parts[i] {
			var err error
			if found, err = x.accepts(c, &o.Parts[i], &v.Parts[i][j]); err != nil {
				return false, err
			}
			if found {
				break
			}
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}
