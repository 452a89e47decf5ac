package redact

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Merge returns the resource that an update under a mask makes of the stored
// one (decision 19). The marks of a redacted read and its placeholders may come
// back; elements that are hidden as a whole are carried over from stored;
// elements of which a part is hidden must come back unchanged; stand-ins that
// come back unchanged do not overwrite their source.
//
// Stored has all classes. Neither argument is changed. Under a mask the result
// has no meta.versionId and lastUpdated: the caller sets them. The error is an
// *ElementError.
func (r *Redactor) Merge(stored, incoming *fhir.Resource, visible field.ClassSet) (*fhir.Resource, error) {
	if !masked(visible) {
		return incoming, nil
	}
	if stored.Type() != incoming.Type() {
		return nil, fmt.Errorf("merging an update: stored and incoming types differ")
	}
	old, in := bare(stored), bare(incoming)
	dropEchoedMarks(old, in)
	view := r.Filter(old, visible)
	seen := view.Clone()
	r.dress(seen)
	m := merge{r: r, typ: r.reg.Type(stored.Type()), visible: visible, in: in, old: old, view: view, seen: seen}
	return m.run()
}

// bare is a copy without what the server sets in meta.
func bare(res *fhir.Resource) *fhir.Resource {
	res = res.Clone()
	Conceal(res)
	return res
}

// dropEchoedMarks removes the marks that Apply added, unless the stored
// resource carries them itself.
func dropEchoedMarks(old, in *fhir.Resource) {
	for _, m := range [...][2]string{{"security", fhir.Redacted}, {"tag", fhir.Subsetted}} {
		if !fhir.HasMark(old.Root(), m[0], m[1]) {
			fhir.DropMark(in.Root(), m[0], m[1])
		}
	}
	if meta := in.Root().Member("meta"); meta != nil && meta.Kind() == fhir.Object && meta.Len() == 0 {
		in.Root().Remove("meta")
	}
}

// merge works element by element: the members x and _x, and all forms of one
// choice, are one element.
type merge struct {
	r       *Redactor
	typ     *definition.Type
	visible field.ClassSet
	in      *fhir.Resource
	old     *fhir.Resource
	view    *fhir.Resource // old without hidden classes
	seen    *fhir.Resource // view as the caller got it
	out     []fhir.Node
}

func (m *merge) run() (*fhir.Resource, error) {
	names := m.elements(m.old)
	for _, name := range names {
		if err := m.element(name); err != nil {
			return nil, err
		}
	}
	for _, name := range m.elements(m.in) {
		if !slices.Contains(names, name) && !equalMembers(m.members(m.in, name), m.members(m.seen, name)) {
			if err := m.take(name); err != nil {
				return nil, err
			}
		}
	}
	return fhir.NewResource(fhir.NewObject(m.out...))
}

// element decides about one element of the stored resource.
func (m *merge) element(name string) error {
	old, view, in := m.members(m.old, name), m.members(m.view, name), m.members(m.in, name)
	seen := m.members(m.seen, name)
	standIn := m.standsIn(view)
	if equalMembers(old, seen) && !standIn {
		return m.take(name) // nothing of it is hidden
	}
	hidden := len(seen) == 0 || len(view) == 0 || standIn
	switch {
	case name == "resourceType" || name == "id":
		return m.take(name)
	case len(in) > 0 && equalMembers(in, seen), len(in) == 0 && (hidden || name == "meta"):
		m.out = append(m.out, values(old)...)
		return nil
	case len(in) > 0:
		if err := m.check(in); err != nil {
			return err
		}
	}
	return &ElementError{m.old.Type() + "." + name, ErrPartlyHidden}
}

// take adds what the caller sent for an element, which must be visible.
func (m *merge) take(name string) error {
	in := m.members(m.in, name)
	if err := m.check(in); err != nil {
		return err
	}
	m.out = append(m.out, values(in)...)
	return nil
}

func (m *merge) check(in []*fhir.Node) error {
	c := m.r.table.Root(m.in.Type())
	for _, n := range in {
		if err := m.r.checkTop(c, m.in.Root(), n, m.visible, ErrHidden); err != nil {
			return err
		}
	}
	return nil
}

// standsIn reports whether what is visible of an element is only a stand-in.
func (m *merge) standsIn(view []*fhir.Node) bool {
	c, root := m.r.table.Root(m.old.Type()), m.old.Root()
	for _, v := range view {
		o := root.Member(v.Name())
		if o == nil {
			return false
		}
		_, source, _, ok := c.Child(root, o).StandIn(o)
		if !ok || m.visible.Has(source) {
			return false
		}
	}
	return len(view) > 0
}

// elementOf is the element that a member of the root belongs to.
func (m *merge) elementOf(member string) string {
	name := strings.TrimPrefix(member, "_")
	if m.typ != nil {
		if e, _ := m.typ.Lookup(name); e != nil {
			return e.Name
		}
	}
	return name
}

// elements lists the elements of a resource in document order, each once.
func (m *merge) elements(res *fhir.Resource) []string {
	var names []string
	for i := range res.Root().Len() {
		if name := m.elementOf(res.Root().At(i).Name()); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (m *merge) members(res *fhir.Resource, element string) []*fhir.Node {
	var ns []*fhir.Node
	for i := range res.Root().Len() {
		if n := res.Root().At(i); m.elementOf(n.Name()) == element {
			ns = append(ns, n)
		}
	}
	return ns
}

func values(ns []*fhir.Node) []fhir.Node {
	out := make([]fhir.Node, len(ns))
	for i, n := range ns {
		out[i] = *n
	}
	return out
}
