package fhirpath

import (
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// elementDefinition gives the ElementDefinition of each element, with what the
// registry of R4 knows: path, cardinality, types, flags and binding.
func elementDefinition(in *invocation, c Collection) (Collection, error) {
	out := make(Collection, 0, len(c))
	for _, item := range c {
		e, ok := item.(*Element)
		if !ok {
			continue
		}
		if err := in.ev.spend(in.pos, 16); err != nil {
			return nil, err
		}
		n := definitionNode(e)
		out = append(out, Of(&n, "ElementDefinition"))
	}
	return out, nil
}

func definitionNode(e *Element) fhir.Node {
	n := fhir.NewObject()
	var def *definition.Element
	if e.parent != nil {
		def, _ = e.parent.typ.Lookup(e.name)
	}
	if def == nil { // a resource, or an element without a parent: the root of its own definition
		n.Set("path", fhir.NewString(e.typ.Name))
		n.Set("min", literalNumber(0))
		n.Set("max", fhir.NewString("*"))
		return n
	}
	n.Set("path", fhir.NewString(def.Path))
	n.Set("min", literalNumber(def.Min))
	limit := "*"
	if def.Max >= 0 {
		limit = strconv.Itoa(def.Max)
	}
	n.Set("max", fhir.NewString(limit))
	types := fhir.NewArray()
	for _, ref := range def.Types {
		types.Append(typeNode(ref))
	}
	n.Set("type", types)
	n.Set("isModifier", fhir.NewBool(def.IsModifier))
	n.Set("isSummary", fhir.NewBool(def.IsSummary))
	if def.Binding != nil {
		n.Set("binding", fhir.NewObject(fhir.NewString(def.Binding.Strength).Named("strength"),
			fhir.NewString(def.Binding.ValueSet).Named("valueSet")))
	}
	return n
}

func typeNode(ref definition.TypeRef) fhir.Node {
	t := fhir.NewObject(fhir.NewString(ref.Code).Named("code"))
	if len(ref.Targets) > 0 {
		list := fhir.NewArray()
		for _, target := range ref.Targets {
			list.Append(fhir.NewString(structureBase + target))
		}
		t.Set("targetProfile", list)
	}
	return t
}

func literalNumber(n int) fhir.Node {
	v, err := fhir.ParseValue([]byte(strconv.Itoa(n)), fhir.Limits{})
	if err != nil {
		return fhir.NewObject()
	}
	return v
}
