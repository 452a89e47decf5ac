package fhirpath

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// resolve follows references: to contained resources, to entries of the Bundle
// around the element (R4 bundle.html#references), and then by
// Context.Resolver. What leads nowhere is left out.
func resolve(in *invocation, c Collection) (Collection, error) {
	var out Collection
	for _, item := range c {
		e, _ := item.(*Element)
		target := ""
		if e != nil && e.typ.Name == "Reference" {
			if err := in.ev.spend(in.pos, e.width()/16); err != nil {
				return nil, err
			}
			target = e.node.Member("reference").Text()
		} else if s, ok := convert(item).(String); ok {
			target = string(s)
		}
		if target == "" {
			continue
		}
		if err := in.ev.spend(in.pos, 8); err != nil {
			return nil, err
		}
		found, err := in.ev.target(e, target)
		if err != nil {
			return nil, err
		}
		if found != nil {
			out = append(out, found)
		}
	}
	return out, nil
}

func (ev *evaluation) target(from *Element, reference string) (*Element, error) {
	if from == nil {
		from, _ = ev.in.Focus.(*Element)
	}
	if id, ok := strings.CutPrefix(reference, "#"); ok {
		return ev.contained(from, id)
	}
	if b := around(from, "Bundle"); b != nil {
		e, err := ev.entry(b, from, reference)
		if err != nil || e != nil {
			return e, err
		}
	}
	if ev.in.Resolver == nil {
		return nil, nil
	}
	r, err := ev.in.Resolver.Resolve(ev.ctx, reference)
	if err != nil || r == nil {
		return nil, err
	}
	return Root(r), nil
}

// contained finds a resource in the container of the element; # alone is the
// container (R4 references.html#contained).
func (ev *evaluation) contained(from *Element, id string) (*Element, error) {
	for from != nil && !from.resource() {
		from = from.parent
	}
	outer := container(from)
	if outer == nil || from == ev.resource() && ev.in.RootResource != nil {
		outer = ev.rootResource()
	}
	if outer == nil || id == "" {
		return outer, nil
	}
	list := outer.child("contained", nil)
	for _, c := range list {
		if e := c.(*Element); e.node.Member("id").Text() == id {
			return e, ev.reach(0, list)
		}
	}
	return nil, ev.reach(0, list)
}

// around is the nearest resource of the type that contains the element.
func around(e *Element, typ string) *Element {
	for ; e != nil; e = e.parent {
		if e.typ.Name == typ {
			return e
		}
	}
	return nil
}

// entry finds the entry of a Bundle that a reference leads to: by its fullUrl,
// or relative to the base of the fullUrl of the entry that the element is in.
func (ev *evaluation) entry(bundle, from *Element, reference string) (*Element, error) {
	if ev.entries == nil {
		ev.entries = map[*fhir.Node]map[string]*Element{}
	}
	index := ev.entries[bundle.node]
	if index == nil {
		index = map[string]*Element{}
		entries := bundle.child("entry", nil)
		if err := ev.reach(0, entries); err != nil {
			return nil, err
		}
		for _, item := range entries {
			addEntry(index, item.(*Element))
		}
		ev.entries[bundle.node] = index
	}
	if e := index[reference]; e != nil {
		return e, nil
	}
	for from.parent != nil && (from.parent != bundle || from.name != "entry") {
		from = from.parent
	}
	if from.node == nil || strings.Contains(reference, ":") {
		return nil, nil
	}
	own, ok := fhir.ParseReference(from.node.Member("fullUrl").Text())
	if !ok || own.Base == "" {
		return nil, nil
	}
	return index[own.Base+"/"+reference], nil
}

func addEntry(index map[string]*Element, entry *Element) {
	for _, r := range entry.child("resource", nil) {
		e := r.(*Element)
		if full := entry.node.Member("fullUrl").Text(); full != "" {
			index[full] = e
		}
	}
}
