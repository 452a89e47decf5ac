package search

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// condition is a boolean expression over an element or a resource.
type condition struct {
	op          operator // opAnd, opEqual, opNotEqual, opCall (exists), opIs (resolve() is)
	left, right *condition
	leaves      []*leaf // of opEqual, opNotEqual, opCall
	literal     string  // what opEqual and opNotEqual compare with
	kind        fhir.Kind
	target      string // type of opIs
}

func (c *condition) equal(o *condition) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.op == o.op && c.literal == o.literal && c.kind == o.kind && c.target == o.target &&
		c.left.equal(o.left) && c.right.equal(o.right) && slices.EqualFunc(c.leaves, o.leaves, (*leaf).sameElements)
}

// eval answers for the element n. An empty operand makes the result unknown
// (FHIRPath N1 §6.1, §6.5).
func (c *condition) eval(n *fhir.Node) (holds, known bool) {
	switch c.op {
	case opAnd:
		a, knowA := c.left.eval(n)
		b, knowB := c.right.eval(n)
		if knowA && !a || knowB && !b {
			return false, true
		}
		return true, knowA && knowB
	case opIs:
		return referenceType(n) == c.target, true
	}
	found, equal := false, false
	for _, l := range c.leaves {
		walk(l.steps, n, func(v *fhir.Node) bool {
			found, equal = true, scalarEquals(v, c.kind, c.literal)
			return false
		})
		if found {
			break
		}
	}
	switch c.op {
	case opEqual:
		return equal, found
	case opNotEqual:
		return !equal, found
	}
	return found, true
}

func scalarEquals(n *fhir.Node, kind fhir.Kind, literal string) bool {
	if n.Kind() != kind {
		return false
	}
	if kind == fhir.String {
		return n.Text() == literal
	}
	return string(n.Raw()) == literal
}

// definitionBase precedes the name of a type in Reference.type
// (R4 references.html#Reference).
const definitionBase = "http://hl7.org/fhir/StructureDefinition/"

// referenceType is the type of what a Reference leads to, as far as its text
// or its type element tells; nothing is fetched. A reference into the container
// has no value (see readReference), so its type is not looked up either: many
// of them among many contained resources would cost the product.
func referenceType(n *fhir.Node) string {
	text := n.Member("reference").Text()
	if strings.HasPrefix(text, "#") {
		return ""
	}
	if ref, ok := fhir.ParseReference(text); ok && ref.Type != "" {
		return ref.Type
	}
	return strings.TrimPrefix(n.Member("type").Text(), definitionBase)
}
