package patch

import (
	"context"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// expressionWork is what one expression may cost. It is charged as a whole, so
// that a patch may hold about a hundred of them.
const expressionWork = 50_000

// places are what the path of an operation selects.
func (f *finder) places(root *fhir.Node, o *pathOp) ([]place, error) {
	if o.expression == nil {
		return f.find(root, o.steps), nil
	}
	if !f.effort.look(expressionWork) {
		return nil, ErrTooLarge
	}
	e := fhirpath.Of(root, root.Member("resourceType").Text())
	if e == nil {
		return nil, because(ErrTarget, "the resource is of no defined type")
	}
	found, err := o.expression.Evaluate(context.Background(), fhirpath.Context{Focus: e, Limits: fhirpath.Limits{Steps: expressionWork, Items: expressionWork, Bytes: 1 << 20}})
	if err != nil {
		return nil, because(ErrTarget, "the expression cannot be evaluated here")
	}
	places := make([]place, 0, len(found))
	for _, item := range found {
		e, ok := item.(*fhirpath.Element)
		if !ok {
			return nil, because(ErrTarget, "the expression selects no element")
		}
		places = append(places, elementPlace(e))
	}
	return places, nil
}

// elementPlace is where an element of the engine stands.
func elementPlace(e *fhirpath.Element) place {
	p := e.Parent()
	if p == nil {
		return place{parent: e.Node(), owner: e.Definition(), index: -1}
	}
	object := p.Node()
	if object == nil || object.Kind() != fhir.Object {
		object = p.Sibling() // of a primitive, whose extensions stand there
	}
	return place{parent: object, owner: p.Definition(), name: e.Name(), index: e.Index()}
}
