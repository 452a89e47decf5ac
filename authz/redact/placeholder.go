package redact

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

const absentReason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

// placeholder is an element that is hidden: the extension and nothing else,
// except for required elements of its own, which are hidden too.
func (r *Redactor) placeholder(t *definition.Type) fhir.Node {
	v := fhir.NewObject(fhir.NewArray(fhir.NewObject(
		fhir.NewString(absentReason).Named("url"),
		fhir.NewString("masked").Named("valueCode"),
	)).Named("extension"))
	for _, e := range r.required[t] {
		if t.Kind != definition.Primitive {
			r.fill(&v, e)
		}
	}
	return v
}

// fill adds the placeholder of a required element that is not there. A choice
// takes its first complex type whatever was hidden, so that not even the type
// of the value shows.
func (r *Redactor) fill(n *fhir.Node, e *definition.Element) {
	t := e.Types[0]
	for _, other := range e.Types {
		if isPrimitive(t) && !isPrimitive(other) {
			t = other
		}
	}
	name := e.Name
	if e.Choice {
		name = choiceName(e, t)
	}
	if isPrimitive(t) {
		name = "_" + name
	}
	v := r.placeholder(t.Type)
	if e.Repeats() {
		v = fhir.NewArray(v)
	}
	n.Append(v.Named(name))
}

func isPrimitive(t definition.TypeRef) bool {
	return t.Type != nil && t.Type.Kind == definition.Primitive
}

// choiceName is the JSON name of a choice element with one type: value[x] and
// Quantity give valueQuantity.
func choiceName(e *definition.Element, t definition.TypeRef) string {
	return e.Name + strings.ToUpper(t.Code[:1]) + t.Code[1:]
}
