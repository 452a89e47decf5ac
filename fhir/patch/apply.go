package patch

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Touches lists, for each path, the element names below the resource that its
// operation reads or changes. It is false when that cannot be told, because a
// path is more than names and indexes.
func (p *FHIRPath) Touches() (names [][]string, known bool) {
	known = true
	for i := range p.ops {
		elements, simple := p.ops[i].elements()
		names, known = append(names, elements), known && simple
	}
	return names, known
}

// Apply changes root, a resource, in place. After an error, which is an *Error,
// root is changed in part and must be thrown away.
func (p *FHIRPath) Apply(root *fhir.Node) error {
	e := &effort{work: maxWork, bytes: fhir.DefaultLimits.MaxBytes}
	f := &finder{reg: p.reg, effort: e}
	for i := range p.ops {
		o := &p.ops[i]
		err := f.apply(root, o)
		if e.work < 0 {
			err = ErrTooLarge
		}
		if err != nil {
			return within(err, i, o.String())
		}
	}
	return nil
}

func (f *finder) apply(root *fhir.Node, o *pathOp) error {
	if o.kind == "insert" || o.kind == "move" {
		return f.inList(root, o)
	}
	places, err := f.places(root, o)
	switch {
	case err != nil:
		return err
	case len(places) == 0 && o.kind == "delete": // R4 fhirpatch.html: no error
		return nil
	case len(places) == 0:
		return because(ErrTarget, "the path selects nothing")
	case len(places) > 1:
		return because(ErrTarget, "the path selects more than one element")
	}
	p := places[0]
	if o.kind == "add" {
		return f.add(p, o)
	}
	if p.name == "" {
		return because(ErrTarget, "the resource itself cannot be replaced or deleted")
	}
	if o.kind == "delete" {
		p.remove()
		return nil
	}
	return f.replace(p, o)
}

// add puts a child into the element.
func (f *finder) add(p place, o *pathOp) error {
	object := p.object()
	t := p.typ()
	if object == nil {
		if t == nil || t.Kind != definition.Primitive {
			return because(ErrTarget, "the element has no children")
		}
		none := fhir.NewObject() // of its extensions
		built{p.value(), &none}.put(p)
		object = p.sibling()
	} else {
		t = f.objectType(p, object)
	}
	return f.addChild(object, t, o.name, o.value, 0)
}

// replace puts another value in the element's place. That of a choice may have
// another type.
func (f *finder) replace(p place, o *pathOp) error {
	if p.owner == nil {
		return because(ErrTarget, "the element is not defined")
	}
	e, _ := p.owner.Lookup(p.name)
	name, v, err := f.build(p.owner, e, o.value, 0)
	if err != nil {
		return err
	}
	if name == p.name {
		v.put(p)
		return nil
	}
	at := memberIndex(p.parent, p.name)
	p.parent.Remove(p.name)
	p.parent.Remove("_" + p.name)
	v.insert(p.parent, name, min(at, p.parent.Len()))
	return nil
}

func memberIndex(n *fhir.Node, name string) int {
	for i := range n.Len() {
		if strings.TrimPrefix(n.At(i).Name(), "_") == name {
			return i
		}
	}
	return n.Len()
}

// inList inserts into a list, or moves inside of one.
func (f *finder) inList(root *fhir.Node, o *pathOp) error {
	items, err := f.places(root, o)
	if err != nil {
		return err
	}
	if len(items) == 0 || items[0].index < 0 || !whole(items) {
		return because(ErrTarget, "the path does not select one list")
	}
	list := items[0]
	if o.kind == "move" {
		if o.source >= len(items) || o.destination >= len(items) {
			return because(ErrTarget, "source or destination is beyond the list")
		}
		list.move(o.source, o.destination)
		return nil
	}
	if o.index > len(items) {
		return because(ErrTarget, "index is beyond the list")
	}
	if list.owner == nil {
		return because(ErrTarget, "the element is not defined")
	}
	e, _ := list.owner.Lookup(list.name)
	_, v, err := f.build(list.owner, e, o.value, 0)
	if err != nil {
		return err
	}
	insertItem(list.parent, list.name, o.index, v)
	return nil
}

// whole reports whether places are all of one list.
func whole(items []place) bool {
	first := items[0]
	for i, p := range items {
		if p.parent != first.parent || p.name != first.name || p.index != i {
			return false
		}
	}
	return len(items) == max(length(first.parent.Member(first.name)), length(first.parent.Member("_"+first.name)))
}
