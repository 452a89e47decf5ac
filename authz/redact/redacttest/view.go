package redacttest

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// prune removes what is hidden and reports whether anything is left.
func (w *walker) prune(n *node) bool {
	if n.fixed {
		return true
	}
	if n.other != nil {
		name := n.name
		*n = *n.other
		n.name = name
		return true
	}
	if needs, one := uniform(n); one {
		return w.sees(needs) && !(w.hides && n.empty())
	}
	if n.kind == '[' && strings.HasPrefix(n.name, "_") {
		w.pruneSiblings(n)
	} else {
		n.kids = slices.DeleteFunc(n.kids, func(kid *node) bool { return !w.prune(kid) })
	}
	return len(n.kids) > 0
}

// pruneSiblings leaves nulls before what stays, so that it stays beside its
// value (R4 json.html#primitive).
func (w *walker) pruneSiblings(n *node) {
	last := -1
	for i, item := range n.kids {
		if w.prune(item) {
			last = i
		} else {
			n.kids[i] = &node{raw: []byte("null")}
		}
	}
	n.kids = n.kids[:last+1]
}

// uniform: all below needs the same classes.
func uniform(n *node) ([]string, bool) {
	leaves := n.leaves()
	for _, leaf := range leaves {
		if leaf.fixed || leaf.other != nil || !slices.Equal(leaf.needs, leaves[0].needs) {
			return nil, false
		}
	}
	return leaves[0].needs, !slices.ContainsFunc(n.kids, func(kid *node) bool { return kid.fixed || kid.other != nil })
}

// dress takes narratives and emptied objects out and puts in what must be there.
// It reports whether anything is left.
func (r *Reference) dress(n *node, t *definition.Type) bool {
	if t != nil && t.Abstract && t.Kind == definition.Resource {
		t = r.defs.Type(n.text("resourceType"))
	}
	if t == nil || n.kind != '{' {
		return true
	}
	n.kids = slices.DeleteFunc(n.kids, func(m *node) bool {
		_, typ := t.Lookup(m.name)
		switch {
		case typ == nil || typ.Kind == definition.Primitive || typ.Name == "Extension":
			return false
		case typ.Name == "Narrative":
			return true
		case m.kind == '[':
			m.kids = slices.DeleteFunc(m.kids, func(item *node) bool { return !r.dress(item, typ) })
			return len(m.kids) == 0
		}
		return !r.dress(m, typ)
	})
	if len(n.kids) == 0 || len(n.kids) == 1 && n.kids[0].name == "id" {
		return false
	}
	r.complete(n, t)
	return true
}

// complete adds the required elements that are not there (R4
// extension-data-absent-reason.html).
func (r *Reference) complete(n *node, t *definition.Type) {
	for _, e := range t.Elements {
		if e.Min == 0 || r.has(n, e) {
			continue
		}
		ref := e.Types[0]
		if i := slices.IndexFunc(e.Types, func(ref definition.TypeRef) bool { return ref.Type.Kind != definition.Primitive }); i >= 0 {
			ref = e.Types[i]
		}
		absent := parse([]byte(`{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}`))
		absent.name = jsonName(e, ref)
		if ref.Type.Kind == definition.Primitive {
			absent.name = "_" + absent.name
		} else {
			r.complete(absent, ref.Type)
		}
		if e.Max != 1 {
			absent = &node{name: absent.name, kind: '[', kids: []*node{absent}}
		}
		n.kids = append(n.kids, absent)
	}
}

func (r *Reference) has(n *node, e *definition.Element) bool {
	return slices.ContainsFunc(e.Types, func(ref definition.TypeRef) bool {
		name := jsonName(e, ref)
		return n.member(name) != nil || n.member("_"+name) != nil
	})
}

func jsonName(e *definition.Element, ref definition.TypeRef) string {
	if e.Choice {
		return e.Name + strings.ToUpper(ref.Code[:1]) + ref.Code[1:]
	}
	return e.Name
}

// dropOrphans takes away contained resources that nothing refers to any more
// (R4 domainresource.html, dom-3).
func (r *Reference) dropOrphans(root *node) {
	list := root.member("contained")
	if list == nil {
		return
	}
	for before := -1; before != len(list.kids); {
		before = len(list.kids)
		used := root.localReferences()
		for i, c := range list.kids { // one at a time: it may have been the last to name another
			if id := c.text("id"); id != "" && !slices.Contains(used, id) && !slices.Contains(c.localReferences(), "") {
				list.kids = slices.Delete(list.kids, i, i+1)
				break
			}
		}
	}
	if len(list.kids) == 0 {
		root.drop("contained")
	}
}

// mark says in meta that the view is not complete.
func mark(root *node, list, code string) {
	meta := root.member("meta")
	if meta == nil {
		meta = &node{name: "meta", kind: '{'}
		at := 0
		for at < len(root.kids) && (root.kids[at].name == "resourceType" || root.kids[at].name == "id") {
			at++
		}
		root.kids = slices.Insert(root.kids, at, meta)
	}
	codings := meta.member(list)
	if codings == nil {
		codings = &node{name: list, kind: '['}
		meta.kids = append(meta.kids, codings)
	}
	const system = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	if !slices.ContainsFunc(codings.kids, func(c *node) bool { return c.text("system") == system && c.text("code") == code }) {
		codings.kids = append(codings.kids, parse([]byte(`{"system":"`+system+`","code":"`+code+`"}`)))
	}
}
