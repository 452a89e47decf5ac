package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/fhir/search"
)

// maxParts bounds how many resources :above or :below of a reference stand for.
const maxParts = 1000

// permitRecursion is permit for a hierarchy: the caller must be allowed to
// search the types that it is made of, and to see what makes it.
func (x *finder) permitRecursion(ctx context.Context, c *search.Condition) error {
	for i := range c.Operands {
		types, err := x.hierarchies(ctx, c, &c.Operands[i])
		if err == nil && len(types) == 0 && c.Operands[i].ID != "" {
			err = fail(Malformed, nil, "%s: resources of this type have no hierarchy", c.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hierarchies are the parameters that an operand is followed by, one for each
// type that it may be of. Of several types those that the caller may not search
// are as if nothing were stored there.
func (x *finder) hierarchies(ctx context.Context, c *search.Condition, o *search.Operand) (parts []*search.Parameter, err error) {
	types := c.Parameter.Targets
	if o.Type != "" {
		types = []string{o.Type}
	}
	if o.ID == "" { // a URL: nothing here is below it
		return nil, nil
	}
	var denied error
	for _, typ := range types {
		p := x.Catalog.Hierarchy(typ)
		if p == nil {
			continue
		}
		if err := x.permitParameter(ctx, p); err != nil {
			if !isDenied(err) || len(types) == 1 {
				return nil, err
			}
			denied = err
			continue
		}
		parts = append(parts, p)
	}
	if len(parts) == 0 {
		return nil, denied
	}
	return parts, nil
}

// expand replaces the operands of a hierarchy by everything visible that lies
// above or below them, themselves included, and lists the codes that a value
// set or a code system's hierarchy names, for the plan.
func (x *finder) expand(ctx context.Context, c *search.Condition) error {
	if !c.Recurses() {
		x.list(ctx, c)
		return nil
	}
	r := recursion{x: x, c: c, seen: map[string]bool{}}
	for i := range c.Operands {
		o := c.Operands[i]
		parts, err := x.hierarchies(ctx, c, &o)
		if err != nil {
			return err
		}
		if len(parts) == 0 {
			r.found = append(r.found, o)
		}
		for _, p := range parts {
			if err := r.follow(ctx, p, o.ID); err != nil {
				return err
			}
		}
	}
	c.Operands, c.Modifier = r.found, search.NoModifier
	return nil
}

// recursion collects what one condition stands for.
type recursion struct {
	x     *finder
	c     *search.Condition
	seen  map[string]bool // Type/id
	found []search.Operand
}

// add reports whether a resource is new.
func (r *recursion) add(typ, id string) (bool, error) {
	key := typ + "/" + id
	if r.seen[key] {
		return false, nil
	}
	if len(r.found) == maxParts {
		f := fail(Unprocessable, nil, "%s stands for more than %d resources; narrow it", r.c.Name, maxParts)
		f.Issues[0].Code = "too-costly"
		return false, f
	}
	r.seen[key] = true
	r.found = append(r.found, search.Operand{Type: typ, ID: id})
	return true, nil
}

// follow walks one hierarchy from one resource, level by level. A resource is
// visited once, so that a circle ends.
func (r *recursion) follow(ctx context.Context, part *search.Parameter, id string) error {
	if _, err := r.add(part.Resource, id); err != nil {
		return err
	}
	for level := []string{id}; len(level) > 0; {
		next, err := r.next(ctx, part, level)
		if err != nil {
			return err
		}
		level = next
	}
	return nil
}

// next is the level below, or above, that was not seen yet.
func (r *recursion) next(ctx context.Context, part *search.Parameter, level []string) (next []string, err error) {
	typ := part.Resource
	c := &search.Condition{Name: r.c.Name, Parameter: part}
	if r.c.Modifier == search.Above {
		c.Parameter = r.x.Catalog.Parameter(typ, search.ID)
	}
	for _, id := range level {
		o := search.Operand{Type: typ, ID: id}
		if r.c.Modifier == search.Above {
			o = search.Operand{Form: search.AnySystem, Code: id}
		}
		c.Operands = append(c.Operands, o)
	}
	var failed error
	visit := func(id string) bool {
		fresh, err := r.add(typ, id)
		if fresh {
			next = append(next, id)
		}
		failed = err
		return err == nil
	}
	e := &search.Expression{Type: typ, Conditions: []*search.Condition{c}}
	err = r.x.find(ctx, e, part.Needs(search.NoModifier), "", func() int { return candidatePage }, func(h hit, _ string) bool {
		if r.c.Modifier == search.Below {
			return visit(h.stored.Head.ID)
		}
		r.x.Catalog.Extract(part, h.tree, func(v *search.Value) bool {
			return v.Type != typ || visit(v.ID)
		})
		return failed == nil
	})
	if failed != nil {
		err = failed
	}
	return next, err
}
