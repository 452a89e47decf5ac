package field

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Table is the class of every element of every R4 type, compiled from the
// rules of classes.yaml. It is immutable and safe for concurrent use.
type Table struct {
	types            map[string]*walk
	extensions       map[string]Class
	primitiveSibling *walk
	names            *dictionary
	fixedSteps       [fixedMembers][1]step
	rules            []Rule
	paths            map[string]ClassSet
}

// Rule is one line of the expanded table: the class of an element and which
// rule gave it.
type Rule struct {
	Path     string // "Patient.name", "Reference(person).display"
	Datatype string
	Class    Class
	Source   string // path, resource, datatype, inherited, none
}

// DefaultTable expands the embedded rules over the definitions.
func DefaultTable(reg *definition.Registry) (*Table, error) {
	return NewTable(reg, defaultPolicy)
}

// NewTable expands rules in the form of classes.yaml. Its error names every
// faulty rule.
func NewTable(reg *definition.Registry, rules []byte) (*Table, error) {
	p, err := parsePolicy(rules)
	if err != nil {
		return nil, err
	}
	return newBuilder(reg, p).build()
}

// Rules lists the expanded table in path order.
func (t *Table) Rules() []Rule { return slices.Clone(t.rules) }

// ElementClasses are the classes of all that an element holds, by its
// definition path ("Patient.name.family", "Observation.value[x]" or
// "Observation.valueQuantity"). An unknown path is restricted.
func (t *Table) ElementClasses(path string) ClassSet {
	if s, ok := t.paths[path]; ok {
		return s
	}
	typ, rest, _ := strings.Cut(path, ".")
	w := t.types[typ]
	if w == nil {
		return Set(Restricted)
	}
	c := cursor{walk: w}
	for rest != "" {
		var name string
		name, rest, _ = strings.Cut(rest, ".")
		var m *member
		if c.walk != nil {
			m = c.walk.member(name)
		}
		if m == nil {
			return Set(Restricted)
		}
		c = c.to(m)
	}
	return t.below(c, map[*walk]bool{})
}

// ElementClass is the one class of an element, or Restricted when its parts
// have several.
func (t *Table) ElementClass(path string) Class {
	if cs := t.ElementClasses(path).Classes(); len(cs) == 1 {
		return cs[0]
	}
	return Restricted
}

// below collects the classes under a cursor by rule.
func (t *Table) below(c cursor, seen map[*walk]bool) ClassSet {
	if c.kind == extension {
		return 0
	}
	if c.kind == resource {
		return AllClasses
	}
	if c.walk == nil || c.walk.blanket {
		return Set(c.own())
	}
	s := Set(c.class)
	if seen[c.walk] {
		return s
	}
	seen[c.walk] = true
	for i := range c.walk.slots {
		if m := &c.walk.slots[i]; m.name != "" {
			s |= t.below(c.to(m), seen)
		}
	}
	return s
}

// Cursor walks a resource and tells the class of each node. Value type, no
// allocation.
type Cursor struct {
	t *Table
	c cursor
}

// Root is the cursor of a whole resource.
func (t *Table) Root(resourceType string) Cursor {
	w := t.types[resourceType]
	if w == nil {
		return Cursor{t, cursor{walk: blanketWalk, kind: complexType, class: Restricted, id: -1}}
	}
	return Cursor{t, cursor{walk: w, kind: complexType, id: -1}}
}

// Child moves to a member or item of the container n, on which the cursor is.
func (c Cursor) Child(n, child *fhir.Node) Cursor {
	if n.Kind() != fhir.Object {
		return c
	}
	return Cursor{c.t, c.t.child(c.t.enter(c.c, n), child)}
}

// Uniform reports the one class of the node and all below it, with the classes
// that must be visible too (an extension is shown only with its element).
func (c Cursor) Uniform(n *fhir.Node) (class Class, needs ClassSet, ok bool) {
	return c.t.uniform(c.c, n)
}

func (c cursor) needsOf(class Class) ClassSet { return (c.needs | Set(c.class)) &^ Set(class) }
