package fhirpath

import "github.com/fieldseal/fieldseal/fhir/definition"

// input refuses a function on what can never be its input.
func (c *checker) input(n *call, in static) error {
	if in.any || !c.strict || n.function.input == anyInput || in.system && !in.text && !in.number || len(in.types) == 0 && !in.system {
		return nil
	}
	wantText := n.function.input == textInput
	if in.system && (in.text && wantText || in.number && !wantText) {
		return nil
	}
	for _, t := range in.types {
		switch kind := valueKind(t); {
		case kind == anyInput, kind == n.function.input:
			return nil
		}
	}
	return fail(ErrSemantic, n.pos, "%s on a type that it does not take", n.name)
}

// otherInput is a type that no function with an input kind takes.
const otherInput inputKind = 255

// valueKind is what values of a FHIR type are to a function.
func valueKind(t *definition.Type) inputKind {
	switch t.Name {
	case "Element", "Resource", "DomainResource", "BackboneElement":
		return anyInput
	case "boolean", "date", "dateTime", "instant", "time":
		return otherInput
	case "integer", "positiveInt", "unsignedInt", "decimal", "Quantity", "Age", "Count", "Distance", "Duration":
		return numberInput
	}
	if t.Kind == definition.Primitive {
		return textInput
	}
	return otherInput
}
