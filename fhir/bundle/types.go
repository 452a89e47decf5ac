package bundle

import "github.com/fieldseal/fieldseal/fhir/definition"

// DefinedTypes are the Types of the official definitions.
func DefinedTypes(reg *definition.Registry) Types { return defined{reg} }

type defined struct{ reg *definition.Registry }

func (d defined) Resource(name string) any {
	if t := d.reg.Type(name); t != nil {
		return t
	}
	return nil
}

func (d defined) Member(parent any, name string) (string, any) {
	_, t := parent.(*definition.Type).Lookup(name)
	if t == nil {
		return "", nil
	}
	return t.Name, t
}
