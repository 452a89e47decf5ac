package field

import "github.com/fieldseal/fieldseal/fhir"

// walk says how the members of one kind of object are classed. Walks are
// shared between types, immutable, and may be recursive.
type walk struct {
	path     string // "Patient.contact", or a datatype
	resource bool
	blanket  bool // all below has the cursor's class (extensions)
	slots    []member
	mul      uint32
}

// member is one element of a walk. The zero member is an empty hash slot.
type member struct {
	name  string
	id    uint16 // dictionary number
	class Class  // Group0: that of the container
	kind  kind
	flags memberFlags
	from  derivation
	walk  *walk
}

// inherits reports that the value has the class of its container, whatever it
// is.
func (m *member) inherits() bool {
	return m.class == Group0 && m.flags&isLeaf == 0 && (m.kind == primitive || m.kind == complexType)
}

type kind uint8

const (
	primitive kind = iota
	complexType
	extension
	resource
)

type memberFlags uint8

const (
	isModifier memberFlags = 1 << iota
	isLeaf
	isCosmetic // hiding it never changes what the rest means
)

func hashName(s string, mul uint32) uint32 {
	h := uint32(len(s))
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * mul
	}
	return h ^ h>>15
}

// member finds an element by its JSON name; it allocates nothing.
func (w *walk) member(name string) *member {
	if len(w.slots) == 0 || name == "" {
		return nil
	}
	m := &w.slots[hashName(name, w.mul)&uint32(len(w.slots)-1)]
	if m.name != name {
		return nil
	}
	return m
}

// setMembers searches a multiplier under which no two names collide.
func (w *walk) setMembers(ms []member) {
	size := 1
	for size < 2*len(ms) {
		size *= 2
	}
	for ; ; size *= 2 {
		taken := make([]bool, size)
		for mul := uint32(0x9E3779B1); mul != 0x9E3779B1+400; mul += 2 {
			if !collide(ms, taken, mul) {
				w.slots, w.mul = make([]member, size), mul
				for _, m := range ms {
					w.slots[hashName(m.name, mul)&uint32(size-1)] = m
				}
				return
			}
		}
	}
}

// collide reports whether two names fall into one slot; taken is memory to
// work in.
func collide(ms []member, taken []bool, mul uint32) bool {
	clear(taken)
	for _, m := range ms {
		slot := hashName(m.name, mul) & uint32(len(taken)-1)
		if taken[slot] {
			return true
		}
		taken[slot] = true
	}
	return false
}

// cursor is a position while walking a resource: what is known about the node
// under it.
type cursor struct {
	walk  *walk // nil for primitives
	kind  kind
	class Class    // class in force; Group0 when no rule applies yet
	needs ClassSet // classes without which this must not be shown
	flags memberFlags
	id    int32 // dictionary number of the name, -1 when it has none
	from  derivation
}

// own is the class of a node that has no parts.
func (c cursor) own() Class {
	if c.class == Group0 || c.kind == extension {
		return Restricted
	}
	return c.class
}

// enter resolves what depends on the value itself: an extension's URL, the
// type of a contained resource.
func (t *Table) enter(c cursor, n *fhir.Node) cursor {
	switch c.kind {
	case extension:
		c.needs |= Set(c.class)
		c.class = t.extensionClass(n)
		c.needs &^= Set(c.class)
		c.walk, c.kind = blanketWalk, complexType
	case resource:
		w := t.types[n.Member("resourceType").Text()]
		if w == nil {
			c.walk, c.class = blanketWalk, Restricted
		} else {
			c.walk, c.class, c.needs = w, Group0, c.needs|Set(Administrative)
		}
		c.kind = complexType
	}
	return c
}

var blanketWalk = &walk{blanket: true}

func (t *Table) extensionClass(n *fhir.Node) Class {
	if c, ok := t.extensions[n.Member("url").Text()]; ok {
		return c
	}
	return Restricted
}

// child moves from an entered object to its member n.
func (t *Table) child(c cursor, n *fhir.Node) cursor {
	name := n.Name()
	if c.walk != nil && !c.walk.blanket {
		if m := c.walk.member(name); m != nil {
			return c.to(m)
		}
		if len(name) > 1 && name[0] == '_' {
			if m := c.walk.member(name[1:]); m != nil && m.kind == primitive {
				return t.sibling(c, m)
			}
		}
		if c.walk.resource && name == "resourceType" {
			return cursor{class: Administrative, needs: c.needs &^ Set(Administrative), id: t.nameID(name)}
		}
	}
	if c.walk != nil && c.walk.blanket {
		c.id, c.from = t.nameID(name), none
		return c
	}
	needs := (c.needs | Set(c.class)) &^ Set(Restricted)
	return cursor{walk: blanketWalk, kind: complexType, class: Restricted, needs: needs, flags: c.flags, id: t.nameID(name)}
}

func (c cursor) to(m *member) cursor {
	next := cursor{walk: m.walk, kind: m.kind, class: c.class, needs: c.needs, flags: c.flags&(isLeaf|isModifier) | m.flags&isLeaf, id: int32(m.id), from: m.from}
	if m.class != Group0 && m.class != c.class {
		next.class, next.needs = m.class, (c.needs|Set(c.class))&^Set(m.class)
	}
	if m.flags&isModifier != 0 && (c.class == Group0 || m.kind == extension) {
		next.flags |= isModifier
	}
	if m.flags&isCosmetic != 0 {
		next.flags &^= isModifier
	}
	return next
}

// sibling is the `_x` of a primitive x: it is shown only with x.
func (t *Table) sibling(c cursor, m *member) cursor {
	next := c.to(m)
	next.walk, next.kind, next.id, next.from = t.primitiveSibling, complexType, -1, none
	next.flags &^= isModifier
	return next
}

func (t *Table) nameID(name string) int32 {
	if id, ok := t.names.ids[name]; ok {
		return int32(id)
	}
	return -1
}

// uniform reports whether everything below n has one class and needs the same
// others.
func (t *Table) uniform(c cursor, n *fhir.Node) (class Class, needs ClassSet, ok bool) {
	if n.Kind() == fhir.Object {
		c = t.enter(c, n)
		if c.walk != nil && c.flags&isLeaf == 0 && (c.walk.blanket || c.class != Group0 && n.Len() > 0 && c.walk.plain(n)) {
			return c.class, c.needsOf(c.class), true
		}
	}
	if n.Len() == 0 {
		return c.own(), c.needsOf(c.own()), true
	}
	if c.flags&isLeaf != 0 {
		return Group0, 0, false
	}
	for i := range n.Len() {
		at, item := c, n.At(i)
		if n.Kind() == fhir.Object {
			at = t.child(c, item)
		}
		itemClass, itemNeeds, ok := t.uniform(at, item)
		if !ok || i > 0 && (itemClass != class || itemNeeds != needs) {
			return Group0, 0, false
		}
		class, needs = itemClass, itemNeeds
	}
	return class, needs, true
}

// plain reports whether all below an object are known elements with the class
// of their container. It is the common case and needs no cursor.
func (w *walk) plain(n *fhir.Node) bool {
	for i := range n.Len() {
		child := n.At(i)
		m := w.member(child.Name())
		if m == nil || !m.inherits() || !m.plain(child) {
			return false
		}
	}
	return true
}

func (m *member) plain(n *fhir.Node) bool {
	if n.Len() == 0 {
		return true
	}
	if n.Kind() == fhir.Object {
		return m.walk != nil && m.walk.plain(n)
	}
	for i := range n.Len() {
		if !m.plain(n.At(i)) {
			return false
		}
	}
	return true
}
