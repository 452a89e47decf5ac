package validation

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// reference checks a Reference (R4 references.html): a relative literal has the
// form Type/id with a type that the element allows, a local one resolves, and
// Reference.type agrees. An absolute URL may point anywhere, and identifier or
// display may stand alone.
func (x *run) reference(n *fhir.Node, e *definition.Element, t *definition.Type) {
	targets := targetsOf(e, t)
	declared := x.declaredType(n)
	if declared != "" && !allows(targets, declared) {
		x.faultAt("type", codeValue, e.Path+" must not refer to this type of resource")
	}
	m := n.Member("reference")
	if m == nil || m.Kind() != fhir.String || len(m.Raw()) <= 2 {
		return
	}
	actual, ok := x.referredType(m.Text())
	switch {
	case !ok:
		return // reported
	case actual == "":
		// another server's URL, a urn, or the container itself
	case declared != "" && declared != actual:
		x.faultAt("type", codeValue, "Reference.type and Reference.reference must agree")
	case !allows(targets, actual):
		x.faultAt("reference", codeValue, e.Path+" must not refer to this type of resource")
	}
}

// declaredType is Reference.type when it names a resource type of R4, either
// bare or as the URL of its definition.
func (x *run) declaredType(n *fhir.Node) string {
	m := n.Member("type")
	if m == nil {
		return ""
	}
	name := strings.TrimPrefix(m.Text(), "http://hl7.org/fhir/StructureDefinition/")
	if !x.v.reg.IsResource(name) {
		return ""
	}
	return name
}

// referredType is the type that a literal reference names, "" when it names
// none. It returns false after reporting a fault.
func (x *run) referredType(s string) (string, bool) {
	if s[0] == '#' {
		return x.localType(s[1:])
	}
	if i := strings.IndexAny(s, ":?"); i >= 0 {
		if s[i] == ':' {
			return "", true // absolute
		}
		return x.knownType(s[:i]) // conditional, R4 http.html#trules
	}
	ref, ok := fhir.ParseReference(s)
	if !ok {
		x.faultAt("reference", codeValue, "a relative reference must have the form Type/id")
		return "", false
	}
	return x.knownType(ref.Type)
}

func (x *run) knownType(typ string) (string, bool) {
	if !x.v.reg.IsResource(typ) {
		x.faultAt("reference", codeValue, "a relative reference must name a resource type")
		return "", false
	}
	return typ, true
}

// localType is the type of the contained resource with the id; "" for the
// container itself (ref-1).
func (x *run) localType(id string) (string, bool) {
	c := x.container.use(id)
	if id == "" {
		return "", true
	}
	if c == nil {
		x.faultAt("reference", codeNotFound, "ref-1: no contained resource has the id of this reference")
		return "", false
	}
	return c.Member("resourceType").Text(), true
}

func targetsOf(e *definition.Element, t *definition.Type) []string {
	for i := range e.Types {
		if e.Types[i].Type == t {
			return e.Types[i].Targets
		}
	}
	return nil
}

func allows(targets []string, typ string) bool {
	return len(targets) == 0 || slices.Contains(targets, typ)
}
