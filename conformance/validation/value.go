package validation

import (
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// element checks the member m, which is element e with type t, inside owner.
func (x *run) element(owner, m *fhir.Node, e *definition.Element, t *definition.Type) {
	if !e.Repeats() {
		if m.Kind() == fhir.Array {
			x.fault(codeStructure, e.Path+" must not be an array")
			return
		}
		x.value(m, e, t)
		return
	}
	if m.Kind() != fhir.Array {
		x.fault(codeStructure, e.Path+" must be an array")
		return
	}
	if m.Len() == 0 {
		x.fault(codeStructure, "an array must not be empty") // R4 json.html
	}
	if e.Max > 0 && m.Len() > e.Max {
		x.fault(codeStructure, e.Path+" has too many items")
	}
	var sibling *fhir.Node // looked up at the first null, once for all
	for i := range m.Len() {
		if x.full() {
			return
		}
		x.at(i)
		item := m.At(i)
		if item.Kind() != fhir.Null || t.Kind != definition.Primitive {
			x.value(item, e, t)
			continue
		}
		if sibling == nil {
			sibling = owner.Member("_" + m.Name())
		}
		x.nullItem(sibling, i)
	}
}

// value checks one value that is no array position.
func (x *run) value(n *fhir.Node, e *definition.Element, t *definition.Type) {
	switch {
	case t.Kind == definition.Primitive:
		x.primitive(n, e, t)
	case n.Kind() != fhir.Object:
		x.fault(codeStructure, e.Path+" must be an object")
	case t == x.v.resource:
		x.nestedResource(n, e)
	default:
		x.object(n, t)
		x.bound(n, e, t)
		if x.v.types[t.Index].extra == referenceRule {
			x.reference(n, e, t)
		}
	}
}

// nullItem checks a null in an array of primitives: it stands for a value that
// has only an id or extensions, in the _ sibling (R4 json.html#primitive).
func (x *run) nullItem(sibling *fhir.Node, i int) {
	if sibling == nil || sibling.Kind() != fhir.Array || i >= sibling.Len() || sibling.At(i).Kind() != fhir.Object {
		x.fault(codeStructure, "a null needs an id or extension in the element's _ sibling")
	}
}

// siblings checks the _ member s of a primitive element; value is the member
// without underscore, nil when absent.
func (x *run) siblings(value, s *fhir.Node, e *definition.Element, t *definition.Type) {
	if !e.Repeats() {
		x.sibling(s, e, t, value != nil)
		return
	}
	if s.Kind() != fhir.Array {
		x.fault(codeStructure, "the _ sibling of "+e.Path+" must be an array")
		return
	}
	if s.Len() == 0 {
		x.fault(codeStructure, "an array must not be empty")
	}
	if value != nil && value.Kind() == fhir.Array && s.Len() != value.Len() {
		x.fault(codeStructure, "the _ sibling of "+e.Path+" must have as many items as its values")
	}
	if e.Max > 0 && s.Len() > e.Max {
		x.fault(codeStructure, e.Path+" has too many items")
	}
	for i := range s.Len() {
		if x.full() {
			return
		}
		x.at(i)
		has := value != nil && value.Kind() == fhir.Array && i < value.Len() && value.At(i).Kind() != fhir.Null
		if s.At(i).Kind() != fhir.Null {
			x.sibling(s.At(i), e, t, has)
		} else if value == nil || value.Kind() == fhir.Array && i >= value.Len() {
			// With a value array, null/null is reported there.
			x.fault(codeStructure, "a null needs a value or an extension")
		}
	}
}

// sibling checks one object beside a primitive of type t: id and extension.
// Without a value the id alone is no content (ele-1).
func (x *run) sibling(n *fhir.Node, e *definition.Element, t *definition.Type, hasValue bool) {
	if n.Kind() != fhir.Object {
		x.fault(codeStructure, "the _ sibling of "+e.Path+" must be an object")
		return
	}
	x.object(n, t)
	if !hasValue && onlyID(n) {
		x.fault(codeInvariant, faultNoContent)
	}
}
