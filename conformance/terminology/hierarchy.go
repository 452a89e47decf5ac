package terminology

import (
	"context"
	"slices"
)

// edges collects the hierarchy while a code system is compiled.
type edges struct {
	named []link // by properties
	seen  map[[2]int32]bool
}

// link is an edge that a property names by code.
type link struct{ parent, child string }

// edge makes child a child of parent, once. A concept is not its own parent.
func (cs *codeSystem) edge(e *edges, parent, child int32) {
	if parent == child || e.seen[[2]int32{parent, child}] {
		return
	}
	e.seen[[2]int32{parent, child}] = true
	cs.parents[child] = append(cs.parents[child], parent)
	cs.children[parent] = append(cs.children[parent], child)
}

// connect adds the edges that properties name. One to a code that is not
// listed is dropped: it can lead to no concept.
func (cs *codeSystem) connect(e *edges) {
	for _, l := range e.named {
		p, ok1 := cs.find(l.parent)
		c, ok2 := cs.find(l.child)
		if ok1 && ok2 {
			cs.edge(e, p, c)
		}
	}
}

// closure is the concept from and everything that next leads to from it, in
// breadth-first order. A hierarchy with a cycle ends like any other.
func (c *call) closure(from int32, next [][]int32) ([]int32, error) {
	seen := map[int32]bool{from: true}
	out := []int32{from}
	for at := 0; at < len(out); at++ {
		if err := c.visit(1 + len(next[out[at]])); err != nil {
			return nil, err
		}
		for _, i := range next[out[at]] {
			if !seen[i] {
				seen[i] = true
				out = append(out, i)
			}
		}
	}
	return out, nil
}

// isA reports whether descendant is ancestor or below it.
func (c *call) isA(cs *codeSystem, descendant, ancestor int32) (bool, error) {
	for steps := 0; ; steps++ {
		switch {
		case descendant == ancestor:
			return true, c.visit(steps)
		case len(cs.parents[descendant]) == 0:
			return false, c.visit(steps)
		case len(cs.parents[descendant]) > 1 || steps > len(cs.concepts):
			return c.isBelow(cs, descendant, ancestor)
		}
		descendant = cs.parents[descendant][0]
	}
}

// isBelow is isA where a concept has several parents, or a cycle above it.
func (c *call) isBelow(cs *codeSystem, descendant, ancestor int32) (bool, error) {
	up, err := c.closure(descendant, cs.parents)
	return slices.Contains(up, ancestor), err
}

// subsumable is an error when the system's hierarchy is no subsumption.
func (cs *codeSystem) subsumable() error {
	if cs.noSubsumption {
		return fail(ErrNotSupported, cs.url, "the hierarchy of the code system is not is-a")
	}
	return nil
}

// Subsumes reports whether ancestor is descendant or above it
// (R4 codesystem-operation-subsumes.html). system may carry "|version". Errors
// are those of Lookup; a fragment that does not show the relation is
// ErrNotSupported.
func (s *Service) Subsumes(ctx context.Context, system, ancestor, descendant string) (bool, error) {
	c := s.call(ctx)
	cs, up, err := c.find(system, ancestor)
	if err != nil {
		return false, err
	}
	_, down, err := c.find(system, descendant)
	if err != nil || up == down {
		return err == nil, err
	}
	if err := cs.subsumable(); err != nil {
		return false, err
	}
	is, err := c.isA(cs, down, up)
	if err == nil && !is && !cs.complete {
		err = fail(ErrNotSupported, system, "only a part of the code system is held")
	}
	return is, err
}

// Descendants lists the code itself and everything below it, nearest first:
// the concepts that :below matches. limit 0 means MaxEnumerate; a larger
// answer is ErrTooMany. The other errors are those of Lookup; a fragment
// cannot list them all and is ErrNotSupported.
func (s *Service) Descendants(ctx context.Context, system, code string, limit int) ([]Concept, error) {
	return s.relatives(ctx, system, code, limit, func(cs *codeSystem) [][]int32 { return cs.children })
}

// Ancestors lists the code itself and everything above it, nearest first: the
// concepts that :above matches. Errors are those of Descendants with limit 0.
func (s *Service) Ancestors(ctx context.Context, system, code string) ([]Concept, error) {
	return s.relatives(ctx, system, code, 0, func(cs *codeSystem) [][]int32 { return cs.parents })
}

func (s *Service) relatives(ctx context.Context, system, code string, limit int, next func(*codeSystem) [][]int32) ([]Concept, error) {
	c := s.call(ctx)
	cs, i, err := c.find(system, code)
	if err != nil {
		return nil, err
	}
	if err := cs.subsumable(); err != nil {
		return nil, err
	}
	if !cs.complete {
		return nil, fail(ErrNotSupported, system, "only a part of the code system is held")
	}
	all, err := c.closure(i, next(cs))
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = MaxEnumerate
	}
	if len(all) > limit {
		return nil, fail(ErrTooMany, system, "more concepts than the limit")
	}
	out := make([]Concept, len(all))
	for n, i := range all {
		out[n] = cs.concept(i)
	}
	return out, nil
}
