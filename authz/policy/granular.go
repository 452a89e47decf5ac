package policy

import (
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// granular implements authz.Program for scopes with a query (SMART App Launch
// 2.2, finer-grained resource constraints): what the scopes without one show,
// and of every resource that satisfies a query what the rules show as far as
// that scope reaches. It only ever narrows what the rules allow.
type granular struct {
	*program // of the scopes without a query
	parts    []part
}

// part is one granular scope.
type part struct {
	query string
	rules *program
}

func (d *Decider) granularOf(e *entry, s scoped) *granular {
	g := &granular{program: d.programOf(e, s.whole)}
	byReach := map[reach]*program{}
	for _, n := range s.narrow {
		if byReach[n.reach] == nil {
			byReach[n.reach] = d.programOf(e, n.reach)
		}
		g.parts = append(g.parts, part{n.query, byReach[n.reach]})
	}
	return g
}

// Ceiling is the union of all parts.
func (g *granular) Ceiling() field.ClassSet {
	c := g.program.Ceiling()
	for _, p := range g.parts {
		c |= p.rules.Ceiling()
	}
	return c
}

// Unconditional is false: what is visible depends on the content.
func (g *granular) Unconditional() bool { return false }

// Confined reports whether every part is.
func (g *granular) Confined() bool { return g.every((*program).Confined) }

// Related reports whether every part is.
func (g *granular) Related() bool { return g.every((*program).Related) }

// Emergency reports whether a rule for break-glass allows anything.
func (g *granular) Emergency() bool {
	return g.program.emergency || slices.ContainsFunc(g.parts, func(p part) bool { return p.rules.emergency })
}

// every reports whether something is true of each part that shows anything.
func (g *granular) every(is func(*program) bool) bool {
	if g.program.ceiling != 0 && !is(g.program) {
		return false
	}
	return !slices.ContainsFunc(g.parts, func(p part) bool { return p.rules.ceiling != 0 && !is(p.rules) })
}

// Mask asks a query only when its scope would show more.
func (g *granular) Mask(s authz.Subject, f authz.Facts) field.ClassSet {
	mask := g.program.Mask(s, f)
	if f.Selects == nil {
		return mask
	}
	for _, p := range g.parts {
		if seen := p.rules.Mask(s, f); !mask.Contains(seen) && f.Selects(p.query, seen) {
			mask |= seen
		}
	}
	return mask
}
