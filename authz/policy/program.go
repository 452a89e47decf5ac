package policy

import (
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// maxTabled bounds the conditions of a program that has a table: it holds a mask
// for each combination, so 10 make 2 KiB. Programs with more go through their
// rules.
const maxTabled = 10

// maxConditions bounds the different conditions of a policy: one bit each.
const maxConditions = 64

// program implements authz.Program: the rules for one role set, scope set,
// type, action and purpose, reduced to the conditions that still matter.
type program struct {
	revision    string
	patientType bool
	env         *environment
	bits        []*condition // bit i of what follows; those that ask come last
	rest        []residual
	own         uint64           // a patient scope: one of these bits must hold
	table       []field.ClassSet // by bits; nil when there are too many
	ceiling     field.ClassSet
	uniform     bool
	confined    bool
	related     bool
	emergency   bool
}

var _ authz.Program = (*program)(nil)

// Ceiling is the union of what any facts could make visible.
func (p *program) Ceiling() field.ClassSet { return p.ceiling }

// Unconditional reports whether the mask is the same whatever the facts.
func (p *program) Unconditional() bool { return p.uniform }

// Confined reports whether every mask outside of the own compartment is zero.
func (p *program) Confined() bool { return p.confined }

// Emergency reports whether a row with the predicate btg allows anything.
func (p *program) Emergency() bool { return p.emergency }

// Related reports whether every mask outside of the own compartment and of the
// patients that the subject cares for is zero.
func (p *program) Related() bool { return p.related }

// Revision names the policy.
func (p *program) Revision() string { return p.revision }

// Mask evaluates the conditions, those that ask last and only while they can
// still make a difference, and looks the classes up.
func (p *program) Mask(s authz.Subject, f authz.Facts) field.ClassSet {
	if len(p.bits) == 0 {
		return p.table[0]
	}
	in := inputOf(&s, p.patientType, f, p.env)
	var held, unsure uint64
	for b, c := range p.bits {
		if c.asks() && !p.possible(held, b) {
			return 0
		}
		switch c.decide(in) {
		case yes:
			held |= 1 << b
		case unknown:
			unsure |= 1 << b
		}
	}
	if unsure == 0 && p.table != nil {
		return p.table[held]
	}
	return p.mask(held, unsure)
}

// possible reports whether some rule could still allow, given that the
// conditions from bit b on have not been evaluated.
func (p *program) possible(held uint64, b int) bool {
	could := held | ^uint64(0)<<b
	return (p.own == 0 || could&p.own != 0) &&
		slices.ContainsFunc(p.rest, func(r residual) bool { return !r.deny && could&r.need == r.need })
}

// mask goes through the rules. What is unknown meets conditions of denials
// only.
func (p *program) mask(held, unsure uint64) field.ClassSet {
	if p.own != 0 && held&p.own == 0 {
		return 0
	}
	var allow, deny field.ClassSet
	for _, r := range p.rest {
		switch {
		case r.deny && (held|unsure)&r.need == r.need:
			deny |= r.classes
		case !r.deny && held&r.need == r.need:
			allow |= r.classes
		}
	}
	return allow &^ deny
}

// residual is one rule that is left for a program: the bits it needs.
type residual struct {
	need    uint64
	deny    bool
	classes field.ClassSet
}

// compiler builds one program.
type compiler struct {
	feat feature
	rows []*row
	used []*condition
}

// add keeps a rule unless the subject can never meet its condition.
func (c *compiler) add(r *row) {
	for _, cond := range r.conds {
		if !c.feat.has(cond.needs) {
			return
		}
	}
	for _, cond := range r.conds {
		c.use(cond)
	}
	c.rows = append(c.rows, r)
}

// use allots a bit to a condition.
func (c *compiler) use(cond *condition) {
	if !cond.constant() && !slices.Contains(c.used, cond) {
		c.used = append(c.used, cond)
	}
}

// bit is the table bit of a condition.
func (c *compiler) bit(cond *condition) uint64 {
	if i := slices.Index(c.used, cond); i >= 0 {
		return 1 << i
	}
	return 0
}

// build fills the program. A patient-level scope leaves only the own compartment
// and what is no patient data; a broken glass only the compartment of the one
// patient and what is no patient data.
func (c *compiler) build(p *program, doc *document, scope reach) {
	own, never, care := doc.condition(ownCompartment.name), doc.condition(notPatientData.name), doc.condition(relationship.name)
	if c.feat.has(hasGlass) {
		own = doc.condition(btg.name)
		if scope == reachPatient {
			scope = reachNone // a token for one patient breaks no glass
		}
	}
	narrow := scope == reachPatient || c.feat.has(hasGlass)
	if narrow {
		c.use(own)
		c.use(never)
	}
	slices.SortStableFunc(c.used, func(a, b *condition) int { return asking(a) - asking(b) })
	if narrow {
		p.own = c.bit(own) | c.bit(never)
	}
	p.bits = c.used
	if scope != reachNone {
		p.rest = c.residuals()
	}
	c.reach(p, scope)
	inside := c.bit(own)
	if p.patientType { // never outside of a compartment then
		inside |= c.bit(never)
	}
	p.confined = c.bit(own) != 0 && p.inside(inside)
	p.emergency = p.ceiling != 0 && c.emergency()
	p.related = c.bit(care) != 0 && p.inside(inside|c.bit(care))
}

// emergency reports whether a rule for break-glass allows anything.
func (c *compiler) emergency() bool {
	return slices.ContainsFunc(c.rows, func(r *row) bool {
		return !r.deny && slices.ContainsFunc(r.conds, func(cond *condition) bool { return cond.name == btg.name })
	})
}

// asking puts conditions that only look at group 0 before those that ask, and
// consent, which costs most, at the end.
func asking(c *condition) int {
	switch {
	case c.name == consented.name:
		return 2
	case c.asks():
		return 1
	}
	return 0
}

// residuals joins the rules that need the same.
func (c *compiler) residuals() (rest []residual) {
	for _, r := range c.rows {
		var need uint64
		for _, cond := range r.conds {
			need |= c.bit(cond)
		}
		i := slices.IndexFunc(rest, func(o residual) bool { return o.need == need && o.deny == r.deny })
		if i < 0 {
			i, rest = len(rest), append(rest, residual{need: need, deny: r.deny})
		}
		rest[i].classes |= r.classes
	}
	return rest
}

// reach computes table and ceiling. Without a table the ceiling is what the
// allows give without the denials that always hold.
func (c *compiler) reach(p *program, scope reach) {
	if len(c.used) > maxTabled {
		var always field.ClassSet
		for _, r := range p.rest {
			if r.deny && r.need == 0 {
				always |= r.classes
			} else if !r.deny {
				p.ceiling |= r.classes
			}
		}
		p.ceiling &^= always
		return
	}
	p.table = make([]field.ClassSet, 1<<len(c.used))
	p.uniform = true
	for i := range p.table {
		m := p.mask(uint64(i), 0)
		p.table[i] = m
		p.ceiling |= m
		p.uniform = p.uniform && m == p.table[0]
	}
	if p.uniform {
		p.bits, p.table = nil, p.table[:1]
	}
}

// inside reports whether nothing is visible without one of the bits.
func (p *program) inside(bits uint64) bool {
	if p.own != 0 && p.own&^bits == 0 {
		return true
	}
	return !slices.ContainsFunc(p.rest, func(r residual) bool { return !r.deny && r.need&bits == 0 })
}
