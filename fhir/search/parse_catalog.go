package search

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/ucum"
)

// ID is the parameter of the logical id (R4 search.html#all).
const ID = "_id"

func (c *Catalog) isResource(name string) bool { return c.reg.IsResource(name) }

func (c *Catalog) resourceTypes() []string { return c.reg.ResourceTypes() }

// baseElement is the name of the type's base element that is meant, for a
// choice element with or without its type; empty when there is none.
func (c *Catalog) baseElement(resourceType, name string) string {
	t := c.reg.Type(resourceType)
	for _, e := range t.Elements {
		if e.Name == name {
			return name
		}
	}
	if e, _ := t.Lookup(name); e != nil {
		return e.Name
	}
	return ""
}

// readsIdentifier reports whether the parameter compares Identifiers.
func (p *Parameter) readsIdentifier() bool {
	return slices.ContainsFunc(p.program.leaves, func(l *leaf) bool { return l.typ.Name == "Identifier" })
}

// Canonical reports whether the parameter reads canonicals and URIs only, which
// name a resource by its url and not by its place.
func (p *Parameter) Canonical() bool {
	return !slices.ContainsFunc(p.program.leaves, func(l *leaf) bool { return l.typ.Name != "canonical" && l.typ.Name != "uri" })
}

// CaseSensitive reports whether codes of the system compare case sensitively
// for the parameter. Values of Identifiers (R4 datatypes.html#Identifier),
// logical ids, URIs and the code elements that FHIR defines do, and so do the
// code systems of HL7 that say so, and UCUM. For every other system R4 wants no
// difference made when in doubt: too much is found rather than too little
// (R4 search.html#token).
func (p *Parameter) CaseSensitive(system string) bool {
	if system == ucum.System || strings.HasPrefix(system, "http://hl7.org/fhir/") || strings.HasPrefix(system, "http://terminology.hl7.org/CodeSystem/v3-") {
		return true
	}
	for _, l := range p.program.leaves {
		switch l.typ.Name {
		case "Identifier", "id", "code", "boolean", "uri", "url", "canonical", "oid", "uuid":
		default:
			return false
		}
	}
	return true
}

// FoldCode is the form in which two codes are the same when case makes no
// difference. Upper case comes first, because letters such as the two small
// sigmas share no other form. Stored tokens depend on this rule.
func FoldCode(code string) string { return strings.ToLower(strings.ToUpper(code)) }
