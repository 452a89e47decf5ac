package fhirpath

import (
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Element is a node of a resource with its place and its type. The parts of a
// primitive, its value and its _ sibling, are one Element.
type Element struct {
	node    *fhir.Node // nil for a primitive without value
	sibling *fhir.Node // of a primitive, may be nil
	typ     *definition.Type
	parent  *Element
	name    string // JSON member name in parent
	step    string // FHIRPath name, differs for a choice
	index   int
}

// Root is the element of a whole resource. A type that R4 does not know is a
// Resource.
func Root(r *fhir.Resource) *Element {
	return &Element{node: r.Root(), typ: resourceType(definition.Default(), r.Type()), index: -1}
}

// Of is the element of any node with the given type ("HumanName", "string"),
// nil when R4 has no such type. It has no parent.
func Of(node *fhir.Node, typ string) *Element {
	t := definition.Default().Type(typ)
	if t == nil {
		return nil
	}
	return &Element{node: node, typ: t, index: -1}
}

func resourceType(reg *definition.Registry, name string) *definition.Type {
	if reg.IsResource(name) {
		return reg.Type(name)
	}
	return reg.Type("Resource")
}

// Node is the node of the value, nil for a primitive that has only an id or
// extensions.
func (e *Element) Node() *fhir.Node { return e.node }

// Sibling is the _ member of a primitive, nil when there is none.
func (e *Element) Sibling() *fhir.Node { return e.sibling }

// Parent is the element that contains this one, nil for the root.
func (e *Element) Parent() *Element { return e.parent }

// Name is the JSON member of the parent ("valueQuantity"), empty for the root.
// A primitive's sibling has the same name after an underscore.
func (e *Element) Name() string { return e.name }

// Step is the name in FHIRPath ("value"), empty for the root.
func (e *Element) Step() string { return e.step }

// Index is the position in the member's array, -1 when it is no array.
func (e *Element) Index() int { return e.index }

// Definition is the type as the registry has it.
func (e *Element) Definition() *definition.Type { return e.typ }

// Path is where the element stands, as a FHIRPath expression:
// "Patient.name[0].given[1]".
func (e *Element) Path() string {
	if e.parent == nil {
		return e.typ.Name
	}
	s := e.parent.Path() + "." + e.step
	if e.index >= 0 {
		s += "[" + strconv.Itoa(e.index) + "]"
	}
	return s
}

// primitive reports whether the type is a FHIR primitive.
func (e *Element) primitive() bool { return e.typ.Kind == definition.Primitive }

// width is the number of members to look through for a child.
func (e *Element) width() int {
	n := e.node
	if e.primitive() {
		n = e.sibling
	}
	if n == nil {
		return 0
	}
	return n.Len()
}

// child appends the children with the name.
func (e *Element) child(name string, out Collection) Collection {
	if e.primitive() {
		if name == "value" {
			if v := e.value(); v != nil {
				return append(out, v)
			}
			return out
		}
		if e.sibling == nil {
			return out
		}
		if def, typ := e.typ.Lookup(name); def != nil {
			return e.expand(e.sibling, name, name, typ, out)
		}
		return out
	}
	def, typ := e.typ.Lookup(name)
	if def != nil && !def.Choice {
		return e.expand(e.node, name, name, typ, out)
	}
	return e.choice(name, out)
}

// choice appends the children of value[x] for the name value
// (R4 fhirpath.html#polymorphism). A resource that breaks the rule of one type
// shows all of them.
func (e *Element) choice(name string, out Collection) Collection {
	for i := range e.node.Len() {
		raw := e.node.At(i).Name()
		member := strings.TrimPrefix(raw, "_")
		if len(member) <= len(name) || member[:len(name)] != name {
			continue
		}
		if def, typ := e.typ.Lookup(member); def != nil && def.Choice && def.Name == name && !repeated(e.node, raw, member, typ, i) {
			out = e.expand(e.node, member, name, typ, out)
		}
	}
	return out
}

// repeated reports whether the other part of the primitive at position i, its
// value or its sibling, stands in front of it; or that a sibling is that of no
// primitive.
func repeated(in *fhir.Node, raw, member string, typ *definition.Type, i int) bool {
	if typ.Kind != definition.Primitive {
		return raw != member
	}
	if raw == member {
		return before(in, "_", member, i)
	}
	return before(in, "", member, i)
}

// expand appends what stands in the member and in its _ sibling.
func (e *Element) expand(in *fhir.Node, member, step string, typ *definition.Type, out Collection) Collection {
	var node, sibling *fhir.Node
	for i := range in.Len() {
		n := in.At(i)
		switch name := n.Name(); {
		case name == member:
			node = n
		case typ.Kind == definition.Primitive && len(name) == len(member)+1 && name[0] == '_' && name[1:] == member:
			sibling = n
		}
	}
	if !isArray(node) && !isArray(sibling) {
		return e.add(node, sibling, member, step, -1, typ, out)
	}
	for i := range max(length(node), length(sibling)) {
		out = e.add(item(node, i), item(sibling, i), member, step, i, typ, out)
	}
	return out
}

func isArray(n *fhir.Node) bool { return n != nil && n.Kind() == fhir.Array }

func length(n *fhir.Node) int {
	if !isArray(n) {
		return 0
	}
	return n.Len()
}

func item(n *fhir.Node, i int) *fhir.Node {
	if i >= length(n) {
		return nil
	}
	return n.At(i)
}

func (e *Element) add(node, sibling *fhir.Node, member, step string, index int, typ *definition.Type, out Collection) Collection {
	if node != nil && node.Kind() == fhir.Null {
		node = nil
	}
	if sibling != nil && sibling.Kind() != fhir.Object {
		sibling = nil
	}
	switch {
	case node == nil && (sibling == nil || sibling.Member("id") == nil && sibling.Member("extension") == nil):
		return out
	case typ.Kind != definition.Primitive && node.Kind() != fhir.Object:
		return out // not what the definition says; there is nothing to navigate
	case typ.Kind == definition.Resource:
		typ = resourceType(definition.Default(), node.Member("resourceType").Text())
	}
	return append(out, &Element{node: node, sibling: sibling, typ: typ, parent: e, name: member, step: step, index: index})
}

// children appends all children in document order; a primitive with a sibling
// stands where the first of the two does.
func (e *Element) children(out Collection) Collection {
	in := e.node
	if e.primitive() {
		in = e.sibling
	}
	if in == nil {
		return out
	}
	for i := range in.Len() {
		name := in.At(i).Name()
		member := strings.TrimPrefix(name, "_")
		def, typ := e.typ.Lookup(member)
		if def == nil || repeated(in, name, member, typ, i) {
			continue
		}
		out = e.expand(in, member, def.Name, typ, out)
	}
	return out
}

// before reports whether the member stands in front of position i.
func before(in *fhir.Node, prefix, member string, i int) bool {
	for j := range i {
		if n := in.At(j).Name(); len(n) == len(prefix)+len(member) && n[:len(prefix)] == prefix && n[len(prefix):] == member {
			return true
		}
	}
	return false
}

// Is reports whether the element is of the type or of one derived from it.
func (e *Element) Is(t *definition.Type) bool { return derives(definition.Default(), e.typ, t) }

// Children are the child elements of a name as FHIRPath knows it ("value"), or
// of one JSON member of a choice ("valueQuantity").
func (e *Element) Children(name string) (all []*Element) {
	for _, item := range e.child(name, nil) {
		if c, ok := item.(*Element); ok {
			all = append(all, c)
		}
	}
	if def, typ := e.typ.Lookup(name); len(all) == 0 && def != nil && def.Choice {
		for _, item := range e.expand(e.node, name, def.Name, typ, nil) {
			all = append(all, item.(*Element))
		}
	}
	return all
}
