// Package summary leaves parts of a resource out when a client asks for less
// (R4 search.html#summary, #elements). What is left is marked SUBSETTED.
//
// Start with New, then Summary, Text, Data or Elements, which change a tree in
// place. They work from the definitions alone. Nothing here protects anything:
// what a caller may not see was never in the tree.
package summary

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Shaper is immutable and safe for concurrent use.
type Shaper struct{ reg *definition.Registry }

// New returns a Shaper over the definitions.
func New(reg *definition.Registry) *Shaper { return &Shaper{reg} }

// Summary leaves the elements that the definitions mark as summary, those that
// change the meaning of others, and those
// that are required.
func (s *Shaper) Summary(r *fhir.Resource) {
	if t := s.reg.Type(r.Type()); t != nil {
		s.prune(r.Root(), t)
	}
	fhir.AddMark(r.Root(), "tag", fhir.Subsetted)
}

// prune keeps summary elements at every level.
func (s *Shaper) prune(n *fhir.Node, t *definition.Type) {
	if t.Abstract && t.Kind == definition.Resource { // contained, Bundle.entry.resource
		if t = s.reg.Type(n.Member("resourceType").Text()); t == nil {
			return
		}
	}
	for i := 0; i < n.Len(); i++ {
		m := n.At(i)
		e, inner := t.Lookup(strings.TrimPrefix(m.Name(), "_"))
		if e == nil {
			if m.Name() != "resourceType" {
				n.RemoveAt(i)
				i--
			}
			continue
		}
		if !e.IsSummary && !e.IsModifier && e.Min == 0 && e.Name != "id" {
			n.RemoveAt(i)
			i--
			continue
		}
		if inner.Kind != definition.Primitive {
			s.each(m, inner)
		}
	}
}

func (s *Shaper) each(m *fhir.Node, t *definition.Type) {
	switch m.Kind() {
	case fhir.Object:
		s.prune(m, t)
	case fhir.Array:
		for i := range m.Len() {
			s.each(m.At(i), t)
		}
	}
}

// Text leaves text, id, meta and what is required at the top.
func (s *Shaper) Text(r *fhir.Resource) {
	s.top(r, func(e *definition.Element) bool { return e.Name == "text" || e.Min > 0 })
}

// Data leaves everything but text.
func (s *Shaper) Data(r *fhir.Resource) {
	s.top(r, func(e *definition.Element) bool { return e.Name != "text" })
}

// Elements leaves the named elements of the top level, and those that are
// required or change the meaning of others. A name may carry the type it is
// meant for ("Patient.name").
func (s *Shaper) Elements(r *fhir.Resource, names []string) {
	s.top(r, func(e *definition.Element) bool {
		return e.Min > 0 || e.IsModifier || slices.ContainsFunc(names, func(name string) bool {
			if typ, rest, dotted := strings.Cut(name, "."); dotted && typ == r.Type() {
				name = rest
			}
			name, _, _ = strings.Cut(name, ".") // an inner element keeps its parent
			return name == e.Name
		})
	})
}

func (s *Shaper) top(r *fhir.Resource, keep func(*definition.Element) bool) {
	t, n := s.reg.Type(r.Type()), r.Root()
	for i := 0; t != nil && i < n.Len(); i++ {
		name := strings.TrimPrefix(n.At(i).Name(), "_")
		if name == "resourceType" || name == "id" || name == "meta" {
			continue
		}
		if e, _ := t.Lookup(name); e == nil || !keep(e) {
			n.RemoveAt(i)
			i--
		}
	}
	fhir.AddMark(r.Root(), "tag", fhir.Subsetted)
}
