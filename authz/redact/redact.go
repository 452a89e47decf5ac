// Package redact turns what a caller may see into a resource that says so, and
// brings a caller's changes back without touching what was hidden.
//
// Start with Apply: the resource that crypto/field opened under the visible
// classes gets its marks (REDACTED, SUBSETTED), loses its narrative, and has
// hidden required elements replaced by data-absent-reason. Filter removes the
// hidden classes from a fully opened resource and equals, after Apply, what the
// cipher gives (a property test holds the two together). CheckChange refuses
// versions that change what their author may not write, and Merge applies an
// update made under a mask.
//
// Security notes: Apply works from the definitions and the mask alone, so the
// output is the same whether or not a hidden value exists. Errors name element
// paths, never values. Nothing here decides: authz/policy gives the mask.
package redact

import (
	"slices"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Redactor is immutable and safe for concurrent use.
type Redactor struct {
	reg      *definition.Registry
	table    *field.Table
	required map[*definition.Type][]*definition.Element
}

// New returns a Redactor over the definitions and the class table.
func New(reg *definition.Registry, table *field.Table) *Redactor {
	r := &Redactor{reg: reg, table: table, required: map[*definition.Type][]*definition.Element{}}
	for _, t := range reg.Types() {
		for _, e := range t.Elements {
			if e.Min > 0 {
				r.required[t] = append(r.required[t], e)
			}
		}
	}
	return r
}

// masked reports whether a mask hides any class that the resource can hold.
// Every type can hold every class through extensions and contained resources,
// so the answer tells nothing about values (decision 17).
func masked(visible field.ClassSet) bool { return !visible.Contains(field.AllClasses) }

// Withheld reports whether the resource must not be shown at all, because the
// mask hides an element that may change the meaning of the others (decision
// 18; R4 conformance-rules.html#isModifier).
func Withheld(h field.Head, visible field.ClassSet) bool {
	return !visible.Contains(h.Modifiers)
}

// Apply finishes, in place, a resource that holds visible classes only.
func (r *Redactor) Apply(res *fhir.Resource, visible field.ClassSet) {
	if !masked(visible) {
		return
	}
	r.dress(res)
	fhir.AddMark(res.Root(), "security", fhir.Redacted)
	fhir.AddMark(res.Root(), "tag", fhir.Subsetted)
}

// dress drops narratives and what nothing refers to any more, and fills
// required elements that are hidden.
func (r *Redactor) dress(res *fhir.Resource) {
	if t := r.reg.Type(res.Type()); t != nil {
		r.object(res.Root(), t)
		dropOrphans(res.Root())
	}
}

// object works on one object and reports whether anything is left in it.
func (r *Redactor) object(n *fhir.Node, t *definition.Type) bool {
	if t.Abstract && t.Kind == definition.Resource { // contained, Bundle.entry.resource
		if t = r.reg.Type(n.Member("resourceType").Text()); t == nil {
			return true
		}
	}
	for i := 0; i < n.Len(); i++ {
		if !r.member(n.At(i), t) {
			n.RemoveAt(i)
			i--
		}
	}
	if n.Len() == 0 || n.Len() == 1 && n.At(0).Name() == "id" { // R4 ele-1: an id alone is nothing
		return false
	}
	for _, e := range r.required[t] {
		if !present(n, e) {
			r.fill(n, e)
		}
	}
	return true
}

// member reports whether the member stays.
func (r *Redactor) member(m *fhir.Node, owner *definition.Type) bool {
	_, t := owner.Lookup(m.Name())
	if t == nil || t.Kind == definition.Primitive || t.Name == "Extension" {
		return true // an extension is visible as a whole or not at all
	}
	if t.Name == "Narrative" {
		return false
	}
	if m.Kind() == fhir.Object {
		return r.object(m, t)
	}
	for i := 0; i < m.Len(); i++ {
		if it := m.At(i); it.Kind() == fhir.Object && !r.object(it, t) {
			m.RemoveAt(i)
			i--
		}
	}
	return m.Len() > 0 || m.Kind() != fhir.Array
}

// present reports whether the object has the element, as value or as sibling.
func present(n *fhir.Node, e *definition.Element) bool {
	if !e.Choice {
		return n.Member(e.Name) != nil || n.Member("_"+e.Name) != nil
	}
	return slices.ContainsFunc(e.Types, func(t definition.TypeRef) bool {
		name := choiceName(e, t)
		return n.Member(name) != nil || n.Member("_"+name) != nil
	})
}
