package search

import (
	"slices"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// program is a parameter's compiled expression: the places in a resource where
// its values stand, with the type that the definitions give each.
type program struct {
	leaves []*leaf
	// test is set instead of leaves when the expression yields a boolean.
	test *condition
}

// finds reports whether there is anything that a value can be read from.
func (p program) finds() bool {
	return p.test != nil || slices.ContainsFunc(p.leaves, func(l *leaf) bool { return l.reader != nil })
}

// leaf is one alternative of an expression. A choice element is expanded: each
// of its types is a leaf.
type leaf struct {
	steps   []step
	path    string // definition path: "Observation.valueQuantity"
	typ     *definition.Type
	element *definition.Element // the last one; nil for the resource itself
	ref     definition.TypeRef
	// fromRoot: the steps start at the resource although the leaf belongs to a
	// component.
	fromRoot bool
	repeats  bool // some element on the way repeats
	// targets are the types that a where(resolve() is T) lets through.
	targets []string
	// filters are the paths that conditions on the way read.
	filters []string

	reader  reader
	classes field.ClassSet // of a value, see Value.Classes
	system  string         // implied system of a code
	parts   []program      // of a composite: one per component, below this element
}

// stepKind is what a step does.
type stepKind uint8

const (
	member   stepKind = iota // down to the member; arrays are entered
	memberAt                 // down to one item of the member
	filter                   // stay when the condition holds
)

// step is one step of a walk. Names are JSON member names, so that a choice
// carries its type.
type step struct {
	kind  stepKind
	name  string
	index int
	where *condition
}

func (s step) equal(o step) bool {
	return s.kind == o.kind && s.name == o.name && s.index == o.index && s.where.equal(o.where)
}

// walk calls visit for every element that the steps select below n, in
// document order, until visit returns false.
func walk(steps []step, n *fhir.Node, visit func(*fhir.Node) bool) bool {
	if n == nil || n.Kind() == fhir.Null {
		return true
	}
	if n.Kind() == fhir.Array {
		for i := range n.Len() {
			if !walk(steps, n.At(i), visit) {
				return false
			}
		}
		return true
	}
	if len(steps) == 0 {
		return visit(n)
	}
	switch s := &steps[0]; s.kind {
	case memberAt:
		m := n.Member(s.name)
		if m != nil && m.Kind() == fhir.Array {
			if s.index >= m.Len() {
				return true
			}
			m = m.At(s.index)
		}
		return walk(steps[1:], m, visit)
	case filter:
		if holds, known := s.where.eval(n); !holds || !known {
			return true
		}
		return walk(steps[1:], n, visit)
	default:
		return walk(steps[1:], n.Member(s.name), visit)
	}
}

// members are the names from the start to the end, filters left out.
func (l *leaf) members() []string {
	var names []string
	for _, s := range l.steps {
		if s.kind != filter {
			names = append(names, s.name)
		}
	}
	return names
}

// filtered reports whether a condition or an index stands on the way.
func (l *leaf) filtered() bool {
	return slices.ContainsFunc(l.steps, func(s step) bool { return s.kind != member })
}

func (l *leaf) sameElements(o *leaf) bool {
	return l.fromRoot == o.fromRoot && slices.EqualFunc(l.steps, o.steps, step.equal)
}
