package search

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// describe derives from the leaves what the other rooms want to know of a
// parameter.
func (b *catalogBuilder) describe(p *Parameter, sp *definition.SearchParameter) {
	p.Instant = p.Kind == Date
	for _, l := range p.program.leaves {
		if l.reader == nil {
			continue
		}
		b.read(p, l)
		if l.typ.Name == "Period" || l.typ.Name == "Timing" {
			p.Instant = false
		}
	}
	if t := p.program.test; t != nil {
		p.Single = true
		p.Paths = t.reads()
		for _, path := range p.Paths {
			p.needs[baseNeed] |= b.classes.ElementClasses(path)
		}
	}
	slices.Sort(p.Paths)
	p.Paths = slices.Compact(p.Paths)
	for _, n := range p.needs {
		p.Classes |= n
	}
	p.Single = p.Single || single(p.program.leaves)
	if p.Kind == ReferenceKind {
		p.Targets = b.targets(p, sp)
	}
}

// read adds the paths and classes that reading the leaf needs.
func (b *catalogBuilder) read(p *Parameter, l *leaf) {
	filters := field.ClassSet(0)
	for _, path := range l.filters {
		p.Paths = append(p.Paths, path)
		filters |= b.classes.ElementClasses(path)
	}
	if len(l.targets) > 0 { // resolve() looks at the reference
		filters |= b.classes.ElementClasses(l.path + ".reference")
		filters |= b.classes.ElementClasses(l.path + ".type")
		p.Paths = append(p.Paths, l.path+".reference", l.path+".type")
	}
	if slices.Contains(l.members(), "extension") {
		filters |= field.AllClasses // the class of an extension depends on its url
	}
	p.needs[baseNeed] |= filters
	l.classes = filters
	for need, children := range childrenOf(p.Kind, l.typ.Name) {
		for _, child := range children {
			path := l.path + child
			classes := b.classes.ElementClasses(path)
			p.Paths = append(p.Paths, path)
			p.needs[need] |= classes
			if need == baseNeed {
				l.classes |= classes
			}
		}
	}
}

// single reports whether at most one value can be found: no element repeats,
// alternatives are types of one choice element, and each type has one value.
func single(leaves []*leaf) bool {
	if len(leaves) == 0 {
		return false
	}
	for _, l := range leaves {
		if l.reader == nil {
			continue
		}
		if l.repeats || manyValued(l.typ.Name) || l.element != leaves[0].element {
			return false
		}
	}
	return true
}

// manyValued are the types of which one element may hold several values.
func manyValued(typ string) bool {
	switch typ {
	case "CodeableConcept", "HumanName", "Address", "Timing":
		return true
	}
	return false
}

// targets are the types that the reference may lead to: those of the parameter
// that the element of this type allows too.
func (b *catalogBuilder) targets(p *Parameter, sp *definition.SearchParameter) []string {
	var allowed []string
	for _, l := range p.program.leaves {
		of := l.ref.Targets
		if len(l.targets) > 0 {
			of = l.targets
		}
		if len(of) == 0 {
			of = b.reg.ResourceTypes()
		}
		allowed = append(allowed, of...)
	}
	slices.Sort(allowed)
	allowed = slices.Compact(allowed)
	if len(sp.Target) == 0 {
		return allowed
	}
	both := slices.DeleteFunc(slices.Clone(allowed), func(t string) bool { return !slices.Contains(sp.Target, t) })
	if len(both) == 0 { // the definitions contradict each other; the parameter's word is narrower
		both = slices.Sorted(slices.Values(sp.Target))
	}
	return both
}

// cover finds for each parameter another of the type, of the same kind, that
// selects the same elements without a condition, or with the same one.
func cover(list []*Parameter) {
	keys := make([]string, len(list))
	for i, p := range list {
		keys[i] = elementKey(p)
	}
	for i, p := range list {
		for j, q := range list {
			if i == j || p.Kind != q.Kind || keys[i] == "" || keys[i] != keys[j] {
				continue
			}
			if covers(q, p) && (!covers(p, q) || j < i) {
				p.Covering = q.Code
				break
			}
		}
	}
	for _, p := range list { // a covering parameter stands for itself
		for p.Covering != "" {
			q := list[slices.IndexFunc(list, func(q *Parameter) bool { return q.Code == p.Covering })]
			if q.Covering == "" {
				break
			}
			p.Covering = q.Covering
		}
	}
}

// elementKey names the elements of a parameter, whatever conditions stand on
// the way; empty for composites and tests.
func elementKey(p *Parameter) string {
	if p.Kind == Composite || p.program.test != nil {
		return ""
	}
	var paths []string
	for _, l := range p.program.leaves {
		if l.reader != nil {
			paths = append(paths, strings.Join(l.members(), "."))
		}
	}
	slices.Sort(paths)
	return strings.Join(slices.Compact(paths), "|")
}

// covers reports whether q selects everything that p does, for two parameters
// of one elementKey.
func covers(q, p *Parameter) bool {
	for _, l := range p.program.leaves {
		ok := slices.ContainsFunc(q.program.leaves, func(o *leaf) bool {
			return o.sameElements(l) || o.path == l.path && !o.filtered()
		})
		if l.reader != nil && !ok {
			return false
		}
	}
	return true
}

// impliedSystem is the code system of an element of type code whose required
// binding draws on one system.
func impliedSystem(l *leaf) string {
	if l.element == nil || l.element.Binding == nil || l.element.Binding.Codes == nil {
		return ""
	}
	if systems := l.element.Binding.Codes.Systems(); len(systems) == 1 {
		return systems[0]
	}
	return ""
}
