package validation

import (
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// bound checks a required binding of a Coding or CodeableConcept (R4
// terminologies.html#required). Codes of primitives are checked with the value.
// A concept that carries an extension instead of a code (data-absent-reason)
// passes: that is how R4 says that a required value is unknown or masked.
func (x *run) bound(n *fhir.Node, e *definition.Element, t *definition.Type) {
	if e.Binding == nil || e.Binding.Codes == nil {
		return
	}
	ok := true
	switch t.Name {
	case "Coding":
		ok = inSet(n, e.Binding.Codes) || n.Member("code") == nil && hasExtension(n)
	case "CodeableConcept":
		ok = conceptInSet(n, e.Binding.Codes)
	}
	if !ok {
		x.fault(codeCodeInvalid, e.Path+" must have a code of "+e.Binding.ValueSet)
	}
}

// conceptInSet reports whether one of the codings is in the value set; the
// others may be translations.
func conceptInSet(n *fhir.Node, set *definition.ValueSet) bool {
	codings := n.Member("coding")
	if codings == nil {
		return hasExtension(n)
	}
	for i := range codings.Len() {
		if c := codings.At(i); inSet(c, set) || c.Member("code") == nil && hasExtension(c) {
			return true
		}
	}
	return false
}

// inSet reports whether a Coding is in the value set. Without a system any
// system of the value set may be meant.
func inSet(coding *fhir.Node, set *definition.ValueSet) bool {
	code := coding.Member("code").Text()
	if system := coding.Member("system"); system != nil {
		return set.Has(system.Text(), code)
	}
	return set.HasCode(code)
}

func hasExtension(n *fhir.Node) bool {
	return n.Member("extension") != nil || n.Member("_code") != nil
}
