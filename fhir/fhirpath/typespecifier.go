package fhirpath

import "github.com/fieldseal/fieldseal/fhir/definition"

// typeSpecifier parses an identifier with up to one qualifier.
func (p *parser) typeSpecifier() typeSpec {
	pos := p.tok.pos
	name := p.identifier()
	namespace := ""
	if p.symbol(".") {
		p.advance()
		namespace, name = name, p.identifier()
	}
	spec, ok := resolveType(p.reg, namespace, name)
	if !ok {
		p.fail(ErrSemantic, pos, "an unknown type")
	}
	return spec
}

func (p *parser) identifier() string {
	if p.tok.kind != tokenName && p.tok.kind != tokenDelimited {
		p.fail(ErrSyntax, p.tok.pos, "the name of a type is expected")
		return ""
	}
	name := p.tok.text
	p.advance()
	return name
}

// resolveType looks the name up in FHIR first, then in System (N1 §9.1). A name
// that only the other namespace has is a type that nothing is of, as System.string
// in R4 fhirpath.html#types.
func resolveType(reg *definition.Registry, namespace, name string) (typeSpec, bool) {
	var t typeSpec
	if namespace == "" || namespace == namespaceFHIR {
		if f := reg.Type(name); f != nil && f.Kind != definition.Backbone {
			t.fhir = f
		}
	}
	if systemTypes[name] && (namespace == namespaceSystem || namespace == "" && (t.fhir == nil || name == "Quantity")) {
		t.system = name
	}
	known := reg.Type(name) != nil && namespace == namespaceSystem || systemTypes[name] && namespace == namespaceFHIR
	return t, known || t.fhir != nil || t.system != ""
}
