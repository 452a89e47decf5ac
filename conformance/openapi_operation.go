package conformance

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// operationOf is the code of the operation that a route invokes, or nothing.
func operationOf(r Route) string {
	code, _ := strings.CutPrefix(r.Path[strings.LastIndexByte(r.Path, '/')+1:], "$")
	if !strings.Contains(r.Path, "/$") {
		return ""
	}
	return code
}

// operationTypes are the types that serve an operation, on instances or on the
// type itself.
func (d *document) operationTypes(code string, instance bool) (types []string) {
	for _, r := range d.served.Resources {
		o := d.operation(code, r.Type)
		if o != nil && slices.Contains(r.Operations, code) && (instance && o.Instance || !instance && o.Type) {
			types = append(types, r.Type)
		}
	}
	return types
}

// operation is the definition of an operation for a type.
func (d *document) operation(code, typ string) *definition.Operation {
	for _, o := range slices.Concat(d.served.Definitions.Operations(), d.served.Own) {
		if o.Code == code && !o.Query && (slices.Contains(o.Resources, typ) || slices.Contains(o.Resources, "Resource")) {
			return o
		}
	}
	return nil
}

// operationInputs are the parameters of an operation that can stand in a URL:
// those of primitive types (R4 operations.html#request).
func (d *document) operationInputs(code string) (parameters []object) {
	var seen []string
	for _, r := range d.served.Resources {
		if code == "" || !slices.Contains(r.Operations, code) {
			continue
		}
		o := d.operation(code, r.Type)
		if o == nil {
			continue
		}
		for _, p := range o.Parameters {
			primitive := p.Type != "" && p.Type[0] >= 'a' && p.Type[0] <= 'z'
			if p.Use != "in" || !primitive || slices.Contains(seen, p.Name) {
				continue
			}
			seen = append(seen, p.Name)
			parameters = append(parameters, object{"name": p.Name, "in": "query", "description": p.Type, "schema": object{"type": "string"}})
		}
	}
	return parameters
}
