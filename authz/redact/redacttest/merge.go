package redacttest

import (
	"bytes"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Merge is what must be stored when somebody who sees the classes of the mask
// sends the body as an update of the stored resource: what was sent, and all that
// was hidden as it was. Nil when the update must be refused: the body carries
// something hidden, or changes an element of which a part is hidden. Versions and
// their times are in neither.
func (r *Reference) Merge(stored, body []byte, mask Mask) []byte {
	old, in := unversioned(parse(stored)), unversioned(parse(body))
	if mask.Full() {
		return in.append(nil)
	}
	view := r.View(stored, mask, true)
	if view == nil {
		return nil
	}
	seen := parse(view)
	for _, m := range [...][2]string{{"security", "REDACTED"}, {"tag", "SUBSETTED"}} {
		if !marked(old, m[0], m[1]) {
			unmark(in, m[0], m[1])
			unmark(seen, m[0], m[1])
		}
	}
	(&walker{r: r, mask: mask}).resource(old, nil)
	(&walker{r: r, mask: mask}).resource(in, nil)
	t := r.defs.Type(old.text("resourceType"))
	out := &node{kind: '{'}
	for _, name := range elements(t, old) {
		was, shown, sent := members(t, old, name), members(t, seen, name), members(t, in, name)
		switch {
		case alike(was, shown) && mayHold(t, was, mask): // a year may stand in for the same year
			if !mayHold(t, sent, mask) {
				return nil
			}
			out.kids = append(out.kids, sent...)
		case len(sent) > 0 && alike(sent, shown), len(sent) == 0 && (len(shown) == 0 || !shows(was, mask) || name == "meta"):
			out.kids = append(out.kids, was...)
		default:
			return nil
		}
	}
	for _, name := range elements(t, in) {
		sent := members(t, in, name)
		if len(members(t, old, name)) > 0 || alike(sent, members(t, seen, name)) {
			continue
		}
		if !mayHold(t, sent, mask) {
			return nil
		}
		out.kids = append(out.kids, sent...)
	}
	return out.append(nil)
}

// Touched are the classes of everything in which two versions of a resource
// differ, all classes when the narrative does; before is nil for a new resource.
func (r *Reference) Touched(before, after []byte) Mask {
	is := unversioned(parse(after))
	was := &node{kind: '{'}
	if before != nil {
		was = unversioned(parse(before))
		(&walker{r: r}).resource(was, nil)
	}
	(&walker{r: r}).resource(is, nil)
	touched := Mask{}
	if text := is.member("text"); r.narrative(is) && !same(text, was.member("text")) {
		return MaskOf(strings.Join(Classes[:], ","))
	}
	for _, n := range []*node{was, is} {
		n.drop("resourceType")
		n.drop("id")
	}
	touch(touched, was, is)
	return touched
}

func (r *Reference) narrative(n *node) bool {
	_, t := r.defs.Type(n.text("resourceType")).Lookup("text")
	return t != nil && t.Name == "Narrative"
}

// touch collects the classes of the leaves that are not in both, or have another
// class there.
func touch(touched Mask, a, b *node) {
	switch {
	case a != nil && b != nil && len(a.kids)+len(b.kids) == 0 && same(a, b) && slices.Equal(a.needs, b.needs):
	case a != nil && b != nil && a.kind == b.kind && a.kind == '{':
		for _, kid := range a.kids {
			touch(touched, kid, b.member(kid.name))
		}
		for _, kid := range b.kids {
			if a.member(kid.name) == nil {
				touch(touched, nil, kid)
			}
		}
	case a != nil && b != nil && a.kind == b.kind && a.kind == '[':
		for i := range max(len(a.kids), len(b.kids)) {
			touch(touched, item(a, i), item(b, i))
		}
	default:
		for _, n := range []*node{a, b} {
			if n == nil {
				continue
			}
			for _, leaf := range n.leaves() {
				for _, class := range leaf.needs {
					touched[class] = true
				}
			}
		}
	}
}

func item(n *node, i int) *node {
	if i < len(n.kids) {
		return n.kids[i]
	}
	return nil
}

// Shows reports whether anything of a member of a resource may be visible under
// the mask, whether or not it is there.
func (r *Reference) Shows(stored []byte, member string, mask Mask) bool {
	root := parse(stored)
	(&walker{r: r, mask: mask}).resource(root, nil)
	m := root.member(member)
	return m != nil && shows([]*node{m}, mask)
}

// Hidden are the texts of a resource that the mask hides and does not show
// elsewhere.
func (r *Reference) Hidden(stored []byte, mask Mask) (texts []string) {
	root, w := parse(stored), walker{r: r, mask: mask}
	w.resource(root, nil)
	shown := map[string]bool{}
	for _, leaf := range root.leaves() {
		if text := leaf.string(); leaf.fixed || w.sees(leaf.needs) {
			shown[text] = true
		} else if text != "" {
			texts = append(texts, text)
		}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return shown[text] })
}

// Only is what is left of a resource when all that needs another class than
// those of the mask is taken away, without marks and placeholders.
func (r *Reference) Only(text []byte, mask Mask) []byte {
	root, w := parse(text), walker{r: r, mask: mask}
	w.resource(root, nil)
	root.kids = slices.DeleteFunc(root.kids, func(m *node) bool {
		return !mayHold(r.defs.Type(root.text("resourceType")), []*node{m}, mask) && m.name != "meta"
	})
	if !w.sees([]string{"administrative"}) {
		root.drop("meta")
	}
	return root.append(nil)
}

// Identified is a resource under another id.
func (r *Reference) Identified(text []byte, id string) []byte {
	root := parse(text)
	root.drop("id")
	root.kids = append(root.kids, &node{name: "id", raw: []byte(`"` + id + `"`)})
	return root.append(nil)
}

// In reports whether the other mask has every class of this one.
func (m Mask) In(other Mask) bool {
	return !slices.ContainsFunc(Classes[:], func(c string) bool { return m[c] && !other[c] })
}

// And is the mask of the classes that both have.
func (m Mask) And(other Mask) Mask {
	both := Mask{}
	for _, c := range Classes {
		both[c] = m[c] && other[c]
	}
	return both
}

// Empty reports whether the mask has no class.
func (m Mask) Empty() bool { return m.In(Mask{}) }

// Same reports whether two resources say the same: the order of members and the
// way in which a text is escaped do not matter, versions and their times neither.
func Same(a, b []byte) bool { return same(unversioned(parse(a)), unversioned(parse(b))) }

// unversioned is a resource without what the server sets.
func unversioned(root *node) *node {
	if meta := root.member("meta"); meta != nil && meta.kind == '{' {
		for _, name := range []string{"versionId", "_versionId", "lastUpdated", "_lastUpdated"} {
			meta.drop(name)
		}
		if len(meta.kids) == 0 {
			root.drop("meta")
		}
	}
	return root
}

// elementOf is the element that a member belongs to: x, _x and the forms of a
// choice are one.
func elementOf(t *definition.Type, member string) string {
	name := strings.TrimPrefix(member, "_")
	if t != nil {
		if e, _ := t.Lookup(name); e != nil {
			return e.Name
		}
	}
	return name
}

func elements(t *definition.Type, n *node) (names []string) {
	for _, kid := range n.kids {
		if name := elementOf(t, kid.name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func members(t *definition.Type, n *node, element string) (list []*node) {
	for _, kid := range n.kids {
		if elementOf(t, kid.name) == element {
			list = append(list, kid)
		}
	}
	return list
}

// alike compares the members of an element by name.
func alike(a, b []*node) bool {
	return same(&node{kind: '{', kids: a}, &node{kind: '{', kids: b})
}

// same compares values: the order of members does not matter, that of items and
// the digits of numbers do.
func same(a, b *node) bool {
	if a == nil || b == nil {
		return a == b
	}
	switch {
	case a.kind != b.kind || len(a.kids) != len(b.kids):
		return false
	case a.kind == '{':
		return !slices.ContainsFunc(a.kids, func(kid *node) bool { return !same(kid, b.member(kid.name)) })
	case a.kind == '[':
		for i := range a.kids {
			if !same(a.kids[i], b.kids[i]) {
				return false
			}
		}
		return true
	}
	return bytes.Equal(a.raw, b.raw) || len(a.raw) > 0 && a.raw[0] == '"' && len(b.raw) > 0 && b.raw[0] == '"' && a.string() == b.string()
}

// shows reports whether anything of an element itself is visible, and not only
// what stands in for it.
func shows(ns []*node, mask Mask) bool {
	w := walker{mask: mask}
	return slices.ContainsFunc(ns, func(n *node) bool {
		return n.fixed || slices.ContainsFunc(n.leaves(), func(leaf *node) bool { return len(leaf.needs) > 0 && w.sees(leaf.needs) })
	})
}

// mayHold: whoever sees the classes of the mask may send all of these members.
func mayHold(t *definition.Type, sent []*node, mask Mask) bool {
	w := walker{mask: mask}
	return !slices.ContainsFunc(sent, func(n *node) bool {
		if n.name == "resourceType" || n.name == "id" {
			return false
		}
		if _, typ := t.Lookup(strings.TrimPrefix(n.name, "_")); typ != nil && typ.Name == "Narrative" {
			return true
		}
		return slices.ContainsFunc(n.leaves(), func(leaf *node) bool { return !w.sees(leaf.needs) })
	})
}

func marked(root *node, list, code string) bool {
	return slices.ContainsFunc(codings(root, list), func(c *node) bool { return isMark(c, code) })
}

func isMark(c *node, code string) bool {
	return c.text("system") == "http://terminology.hl7.org/CodeSystem/v3-ObservationValue" && c.text("code") == code
}

func codings(root *node, list string) []*node {
	if n := root.member("meta").member(list); n != nil {
		return n.kids
	}
	return nil
}

// unmark takes a mark away, and what is empty then.
func unmark(root *node, list, code string) {
	meta := root.member("meta")
	l := meta.member(list)
	if l == nil {
		return
	}
	l.kids = slices.DeleteFunc(l.kids, func(c *node) bool { return isMark(c, code) })
	if len(l.kids) == 0 {
		meta.drop(list)
	}
	if len(meta.kids) == 0 {
		root.drop("meta")
	}
}
