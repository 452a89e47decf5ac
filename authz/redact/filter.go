package redact

import (
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// Filter returns a copy of a fully opened resource without the hidden
// classes: the tree that crypto/field opens under the same mask. Apply
// finishes it.
func (r *Redactor) Filter(res *fhir.Resource, visible field.ClassSet) *fhir.Resource {
	out := res.Clone()
	f := filter{visible: visible}
	root := r.table.Root(res.Type())
	f.masked = !visible.Contains(presentClasses(root, out.Root()))
	f.keepMembers(root, out.Root(), true)
	return out
}

// filter removes hidden nodes in place.
type filter struct {
	visible field.ClassSet
	// masked is whether a class that is there is hidden. Then nulls, which
	// only hold places, go too.
	masked bool
}

// keepMembers reports whether anything is left in the object. What a member is
// depends on the others (the resourceType of a contained resource), so that it is
// settled before the first is removed.
func (f *filter) keepMembers(c field.Cursor, n *fhir.Node, top bool) bool {
	cursors := make([]field.Cursor, n.Len())
	for i := range cursors {
		cursors[i] = c.Child(n, n.At(i))
	}
	i := 0
	for _, cursor := range cursors {
		m := n.At(i)
		if top && f.fixed(m) || f.keepMember(cursor, m) {
			i++
		} else {
			n.RemoveAt(i)
		}
	}
	return n.Len() > 0
}

// keepMember shows the stand-in of a hidden member where there is one.
func (f *filter) keepMember(c field.Cursor, m *fhir.Node) bool {
	if json, source, needs, ok := c.StandIn(m); ok && f.visible.Has(field.Limited) && f.visible.Contains(needs) && !f.visible.Has(source) {
		if v, err := fhir.ParseValue(json, fhir.DefaultLimits); err == nil {
			*m = v.Named(m.Name())
			return true
		}
	}
	return f.keep(c, m)
}

func (f *filter) keep(c field.Cursor, n *fhir.Node) bool {
	if class, needs, ok := c.Uniform(n); ok {
		return f.visible.Has(class) && f.visible.Contains(needs) && !(f.masked && onlyNull(n))
	}
	if n.Kind() == fhir.Object {
		return f.keepMembers(c, n, false)
	}
	return f.keepItems(c, n)
}

// keepItems drops hidden items; those of `_x` keep their places beside x.
func (f *filter) keepItems(c field.Cursor, n *fhir.Node) bool {
	sibling := strings.HasPrefix(n.Name(), "_")
	items := n.Clone()
	for n.Len() > 0 {
		n.RemoveAt(n.Len() - 1)
	}
	gap := 0
	for i := range items.Len() {
		item := items.At(i)
		if !f.keep(c, item) {
			gap++
			continue
		}
		for ; sibling && gap > 0; gap-- {
			n.Append(fhir.Node{})
		}
		gap = 0
		n.Append(*item)
	}
	return n.Len() > 0
}

// fixed handles the members that every answer has.
func (f *filter) fixed(m *fhir.Node) bool {
	switch m.Name() {
	case "resourceType", "id":
		return true
	case "meta":
		if f.visible.Has(field.Administrative) {
			return bookkeeping(m)
		}
		kept := fhir.NewObject()
		for _, name := range [...]string{"versionId", "lastUpdated"} {
			if v := m.Member(name); v != nil {
				kept.Append(*v)
			}
		}
		*m = kept.Named("meta")
		return true
	}
	return false
}

// bookkeeping reports whether meta holds what the server sets and nothing else.
func bookkeeping(m *fhir.Node) bool {
	return m.Len() == 2 && m.Kind() == fhir.Object && m.At(0).Name() == "versionId" && m.At(1).Name() == "lastUpdated"
}

// presentClasses are the classes for which a sealed record would hold a slot.
func presentClasses(c field.Cursor, root *fhir.Node) field.ClassSet {
	var s field.ClassSet
	for i := range root.Len() {
		m := root.At(i)
		if m.Name() == "resourceType" || m.Name() == "id" || m.Name() == "meta" && bookkeeping(m) {
			continue
		}
		s |= classesOf(c.Child(root, m), m, true)
	}
	return s
}

func classesOf(c field.Cursor, n *fhir.Node, member bool) field.ClassSet {
	var s field.ClassSet
	if member {
		if _, _, _, ok := c.StandIn(n); ok {
			s = field.Set(field.Limited)
		}
	}
	if class, _, ok := c.Uniform(n); ok {
		return s | field.Set(class)
	}
	for i := range n.Len() {
		s |= classesOf(c.Child(n, n.At(i)), n.At(i), n.Kind() == fhir.Object)
	}
	return s
}

func onlyNull(n *fhir.Node) bool {
	if n.Kind() != fhir.Array {
		return n.Kind() == fhir.Null
	}
	for i := range n.Len() {
		if n.At(i).Kind() != fhir.Null {
			return false
		}
	}
	return n.Len() > 0
}
