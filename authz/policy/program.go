package policy

import (
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// maxPredicates bounds the predicates one program evaluates: its table has a
// mask for each combination, so 10 make 2 KiB.
const maxPredicates = 10

// program implements authz.Program: the rules for one role set, scope set,
// type, action and purpose, reduced to the predicates that still matter.
type program struct {
	revision    string
	patientType bool
	bits        []func(input) bool // bit i of the table's index
	table       []field.ClassSet
	ceiling     field.ClassSet
	uniform     bool
	confined    bool
}

var _ authz.Program = (*program)(nil)

// Ceiling is the union of every mask of the table.
func (p *program) Ceiling() field.ClassSet { return p.ceiling }

// Unconditional reports whether every mask of the table is the same.
func (p *program) Unconditional() bool { return p.uniform }

// Confined reports whether every mask outside of the own compartment is zero.
func (p *program) Confined() bool { return p.confined }

// Revision names the policy.
func (p *program) Revision() string { return p.revision }

// Mask evaluates the predicates and looks the classes up.
func (p *program) Mask(s authz.Subject, f authz.Facts) field.ClassSet {
	if len(p.bits) == 0 {
		return p.table[0]
	}
	in := input{orgs: s.Orgs(), patientType: p.patientType, facts: f}
	in.patient, in.hasPatient = s.PatientKey()
	i := 0
	for b, holds := range p.bits {
		if holds(in) {
			i |= 1 << b
		}
	}
	return p.table[i]
}

// residual is one rule that is left for a program: the bits it needs.
type residual struct {
	need    uint16
	deny    bool
	classes field.ClassSet
}

// compiler builds one program.
type compiler struct {
	feat  feature
	preds []predicate
	used  []int // predicate index of each bit
	rest  []residual
}

// bit returns the table bit of a predicate, allotting one when new.
func (c *compiler) bit(pred int) uint16 {
	i := slices.Index(c.used, pred)
	if i < 0 {
		i = len(c.used)
		c.used = append(c.used, pred)
	}
	return 1 << i
}

// add keeps a rule unless the subject can never meet its condition.
func (c *compiler) add(r *row) {
	var need uint16
	for _, i := range r.conds {
		p := &c.preds[i]
		if !c.feat.has(p.needs) {
			return
		}
		if !p.constant() {
			need |= c.bit(i)
		}
	}
	c.rest = append(c.rest, residual{need, r.deny, r.classes})
}

// build fills the table. A patient-level scope leaves only the own compartment
// and what is no patient data.
func (c *compiler) build(p *program, scope reach) {
	var own uint16
	if scope == reachPatient {
		own = c.bit(predicateIndex(ownCompartment.name)) | c.bit(predicateIndex(notPatientData.name))
	}
	for _, i := range c.used {
		p.bits = append(p.bits, c.preds[i].holds)
	}
	p.table = make([]field.ClassSet, 1<<len(c.used))
	if scope != reachNone {
		for i := range p.table {
			if own == 0 || uint16(i)&own != 0 {
				p.table[i] = c.mask(uint16(i))
			}
		}
	}
	p.uniform = true
	for _, m := range p.table {
		p.ceiling |= m
		p.uniform = p.uniform && m == p.table[0]
	}
	p.confined = c.confined(p)
	if p.uniform {
		p.bits, p.table = nil, p.table[:1]
	}
}

// confined looks at every combination of facts that can occur outside of the
// own compartment. On types that hold patient data not_patient_data never
// holds.
func (c *compiler) confined(p *program) bool {
	var own, never uint16
	for b, i := range c.used {
		switch {
		case c.preds[i].name == ownCompartment.name:
			own = 1 << b
		case c.preds[i].name == notPatientData.name && p.patientType:
			never = 1 << b
		}
	}
	for i, m := range p.table {
		if outside := uint16(i)&own == 0 && uint16(i)&never == 0; outside && m != 0 {
			return false
		}
	}
	return own != 0
}

func (c *compiler) mask(bits uint16) field.ClassSet {
	var allow, deny field.ClassSet
	for _, r := range c.rest {
		if bits&r.need != r.need {
			continue
		}
		if r.deny {
			deny |= r.classes
		} else {
			allow |= r.classes
		}
	}
	return allow &^ deny
}
