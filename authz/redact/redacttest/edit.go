package redacttest

import (
	"encoding/json"
	"slices"
)

// Edit changes a body as somebody might who has read it and sends it back: not
// at all, here and there, or with elements of the other resource.
func (g *Generator) Edit(body, other []byte) []byte {
	root, from := parse(body), parse(other)
	for range g.rng.IntN(3) {
		g.edit(root, from)
	}
	return root.append(nil)
}

func (g *Generator) edit(root, from *node) {
	at := g.any(root)
	switch g.rng.IntN(6) {
	case 0: // without an element
		if m := g.any(root); m != nil {
			root.drop(m.name)
		}
	case 1: // with an element of the other resource
		if m := g.any(from); m != nil {
			root.drop(m.name)
			root.kids = append(root.kids, m)
		}
	case 2: // in another order
		g.rng.Shuffle(len(root.kids), func(i, j int) { root.kids[i], root.kids[j] = root.kids[j], root.kids[i] })
	case 3: // without a part of an element
		if at = g.inside(at); at != nil && len(at.kids) > 1 {
			i := g.rng.IntN(len(at.kids))
			at.kids = slices.Delete(at.kids, i, i+1)
		}
	case 4: // with an item in another place, or twice
		if at = g.inside(at); at != nil && at.kind == '[' && len(at.kids) > 0 {
			item := at.kids[g.rng.IntN(len(at.kids))]
			at.kids = slices.Insert(at.kids, g.rng.IntN(len(at.kids)+1), item)
			if g.one(2) {
				at.kids = at.kids[1:]
			}
		}
	default: // with another value
		if at != nil {
			g.replace(at.leaves())
		}
	}
}

// replace changes one of the leaves that is a text or a number.
func (g *Generator) replace(leaves []*node) {
	leaf := leaves[g.rng.IntN(len(leaves))]
	switch {
	case leaf.kind != 0 || len(leaf.raw) == 0:
	case leaf.raw[0] == '"':
		leaf.raw, _ = json.Marshal(leaf.string() + g.word())
	case leaf.raw[0] >= '0' && leaf.raw[0] <= '9':
		leaf.raw = append([]byte("1"), leaf.raw...)
	}
}

// any is a member of a resource, but none of what a body must keep.
func (g *Generator) any(root *node) *node {
	kids := slices.DeleteFunc(slices.Clone(root.kids), func(m *node) bool { return m.name == "resourceType" || m.name == "id" })
	if len(kids) == 0 {
		return nil
	}
	return kids[g.rng.IntN(len(kids))]
}

// inside goes some steps down.
func (g *Generator) inside(n *node) *node {
	for n != nil && len(n.kids) > 0 {
		kid := n.kids[g.rng.IntN(len(n.kids))]
		if len(kid.kids) == 0 || g.one(3) {
			break
		}
		n = kid
	}
	return n
}

// Operation is a JSON Patch of one element, with the name of the member and what
// the view becomes by it; nil when it would fail.
func (g *Generator) Operation(view, stored, other []byte) (patch []byte, name string, body []byte) {
	root, whole, from := parse(view), parse(stored), parse(other)
	if g.one(2) {
		from = whole
	}
	m := g.any([]*node{root, whole, from}[g.rng.IntN(3)])
	if m == nil {
		return nil, "", nil
	}
	operation := func(op string, value *node) []byte {
		text := `[{"op":"` + op + `","path":"/` + m.name + `"`
		if value != nil {
			text += `,"value":` + string(value.append(nil))
		}
		return []byte(text + "}]")
	}
	switch had, value := root.member(m.name), from.member(m.name); {
	case g.one(3) && value != nil:
		patch = operation("test", value)
		if had == nil || !same(had, value) {
			return nil, "", nil
		}
	case g.one(2) && had != nil:
		patch = operation("remove", nil)
		root.drop(m.name)
	case value != nil:
		patch = operation("add", value)
		root.drop(m.name)
		root.kids = append(root.kids, value)
	default:
		return nil, "", nil
	}
	return patch, m.name, root.append(nil)
}
