package redact

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

// PathClass is the class that a search parameter over the path reads of the
// type: search is refused to who may not see it (decision 16). Of a Reference
// only the reference itself is read. A path that reads several classes, or is
// not understood, counts as restricted.
func (r *Redactor) PathClass(resourceType string, p simplepath.Path) field.Class {
	t := r.reg.Type(resourceType)
	path := resourceType
	for _, name := range p.Members {
		if t == nil {
			return field.Restricted
		}
		e, next := t.Lookup(name)
		if e == nil {
			if e = choice(t, name); e == nil {
				return field.Restricted
			}
			name += "[x]"
		}
		path, t = path+"."+name, next
	}
	if t != nil && t.Name == "Reference" {
		path += ".reference"
	}
	return r.table.ElementClass(path)
}

// choice finds value[x] by the name value.
func choice(t *definition.Type, name string) *definition.Element {
	i := slices.IndexFunc(t.Elements, func(e *definition.Element) bool { return e.Choice && e.Name == strings.TrimSuffix(name, "[x]") })
	if i < 0 {
		return nil
	}
	return t.Elements[i]
}
