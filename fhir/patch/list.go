package patch

import "github.com/fieldseal/fieldseal/fhir"

// built is the value of an element: of a primitive also its sibling with id
// and extensions. Either may be nil.
type built struct{ value, sibling *fhir.Node }

// homes are the two members of an element. The items of a repeating primitive
// stand at the same index in both, with null where there is nothing (R4
// json.html#primitive).
func homes(name string) [2]string { return [2]string{name, "_" + name} }

// insert adds an element that does not repeat.
func (b built) insert(parent *fhir.Node, name string, at int) {
	for i, v := range [...]*fhir.Node{b.value, b.sibling} {
		if v != nil {
			parent.Insert(at, v.Named(homes(name)[i]))
			at++
		}
	}
}

// insertItem puts an item into a list, which need not exist.
func insertItem(parent *fhir.Node, name string, at int, b built) {
	for i, v := range [...]*fhir.Node{b.value, b.sibling} {
		member := homes(name)[i]
		list := parent.Member(member)
		if list == nil {
			if v == nil {
				continue
			}
			parent.Append(fhir.NewArray().Named(member))
			list = parent.Member(member)
		}
		pad(list, at)
		item := fhir.Node{}
		if v != nil {
			item = v.Named("")
		}
		list.Insert(at, item)
	}
	align(parent, name)
}

// put replaces what stands at a place; nil leaves nothing in that home.
func (b built) put(p place) {
	for i, v := range [...]*fhir.Node{b.value, b.sibling} {
		member := homes(p.name)[i]
		if p.index < 0 {
			if v == nil {
				p.parent.Remove(member)
			} else {
				p.parent.Set(member, *v)
			}
			continue
		}
		list := p.parent.Member(member)
		if list == nil {
			if v == nil {
				continue
			}
			p.parent.Append(fhir.NewArray().Named(member))
			list = p.parent.Member(member)
		}
		pad(list, p.index+1)
		*list.At(p.index) = fhir.Node{}
		if v != nil {
			*list.At(p.index) = v.Named("")
		}
	}
	if p.index >= 0 {
		align(p.parent, p.name)
	}
}

// remove takes the element away.
func (p place) remove() {
	for _, member := range homes(p.name) {
		switch list := p.parent.Member(member); {
		case list == nil:
		case p.index < 0:
			p.parent.Remove(member)
		case p.index < list.Len():
			list.RemoveAt(p.index)
		}
	}
	if p.index >= 0 {
		align(p.parent, p.name)
	}
}

// move moves an item inside of its list.
func (p place) move(from, to int) {
	align(p.parent, p.name)
	for _, member := range homes(p.name) {
		if list := p.parent.Member(member); list != nil {
			v := *list.At(from)
			list.RemoveAt(from)
			list.Insert(to, v)
		}
	}
}

func pad(list *fhir.Node, n int) {
	for list.Len() < n {
		list.Append(fhir.Node{})
	}
}

// align makes both lists of an element equally long and removes one that holds
// nothing, which FHIR does not know.
func align(parent *fhir.Node, name string) {
	n := max(length(parent.Member(name)), length(parent.Member("_"+name)))
	for _, member := range homes(name) {
		list := parent.Member(member)
		if list == nil {
			continue
		}
		if pad(list, n); blank(list) {
			parent.Remove(member)
		}
	}
}

func blank(list *fhir.Node) bool {
	for i := range list.Len() {
		if list.At(i).Kind() != fhir.Null {
			return false
		}
	}
	return true
}
