package redact

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

const absentReason = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

// placeholder is an element that is hidden: the extension and nothing else.
func placeholder() fhir.Node {
	return fhir.NewObject(fhir.NewArray(fhir.NewObject(
		fhir.NewString(absentReason).Named("url"),
		fhir.NewString("masked").Named("valueCode"),
	)).Named("extension"))
}

// fill adds the placeholder of a required element that is not there. A choice
// takes its first complex type whatever was hidden, so that not even the type
// of the value shows.
func fill(n *fhir.Node, e *definition.Element) {
	name, primitive := e.Name, false
	if len(e.Types) > 0 {
		t := e.Types[0]
		for _, other := range e.Types {
			if isPrimitive(t) && !isPrimitive(other) {
				t = other
			}
		}
		if e.Choice {
			name = choiceName(e, t)
		}
		primitive = isPrimitive(t)
	}
	if primitive {
		name = "_" + name
	}
	v := placeholder()
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
	if t.Code == "" {
		return e.Name
	}
	return e.Name + strings.ToUpper(t.Code[:1]) + t.Code[1:]
}
