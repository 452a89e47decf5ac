package field

import (
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// step is one step of a path: a member name or an array index.
type step struct {
	index bool
	n     uint32 // index, or dictionary number
	raw   []byte // the quoted name when the dictionary lacks it
}

func (s *step) equal(o *step) bool {
	return s.index == o.index && s.n == o.n && string(s.raw) == string(o.raw)
}

// entry is one slot: a largest subtree with one class.
type entry struct {
	class Class
	from  derivation // how the payload is made from node
	null  bool       // null, or an array of nothing else
	alone bool       // a ciphertext of its own, not one with the class's others
	// needs are the classes that must be visible too; for a stand-in, the
	// classes one of which must be hidden.
	needs ClassSet
	order uint32
	steps [2]uint32 // range in the arena
	node  *fhir.Node
	data  [2]uint32 // opened payload, range in plain; length of the payload while sealing
}

// plan is the split of one resource.
type plan struct {
	t         *Table
	entries   []entry
	arena     []step
	stack     []step
	order     uint32
	fixed     [fixedMembers]uint32 // see Head
	modifiers ClassSet
	text      []byte // unknown names

	// For opening only.
	at      []uint32             // position → entry + 1
	restate [fixedMembers]uint32 // position + 1 of what group 0 restates
	plain   []byte               // opened payloads
}

// Members of the root that group 0 can restate, so that every answer is a
// resource: their position is kept there.
const (
	fixedType = iota
	fixedID
	fixedMeta
	fixedMembers
)

var fixedNames = [fixedMembers]string{"resourceType", "id", "meta"}

func fixedIndex(name string) int {
	for i := range fixedNames {
		if fixedNames[i] == name {
			return i
		}
	}
	return -1
}

// split cuts the resource into slots. Values that group 0 restates exactly get
// no slot.
func (p *plan) split(h *Head, b Binding, root *fhir.Node) {
	c := cursor{kind: complexType, walk: p.t.types[b.Type], id: -1}
	if c.walk == nil {
		c.walk, c.class = blanketWalk, Restricted
	}
	var buf [256]byte
	for i := range root.Len() {
		n := root.At(i)
		if f := fixedIndex(n.Name()); f >= 0 {
			p.fixed[f] = (p.order + 1) << 1
			if equalFixed(buf[:0], f, h, b, n) && plainName(n, fixedNames[f]) {
				p.order++
				continue
			}
			p.fixed[f] |= 1
			p.fixedSlots(c, f, n)
			continue
		}
		p.member(c, n)
	}
}

func equalFixed(buf []byte, f int, h *Head, b Binding, n *fhir.Node) bool {
	buf = appendFixed(buf, f, h, b)
	mark := len(buf)
	if n.Kind() != fhir.Object && len(n.Raw())+mark > 256 {
		return false
	}
	buf = n.AppendJSON(buf)
	return string(buf[:mark]) == string(buf[mark:])
}

func plainName(n *fhir.Node, name string) bool {
	var buf [64]byte
	q := n.AppendName(buf[:0])
	return len(q) == len(name)+2 && string(q[1:len(q)-1]) == name
}

// appendFixed renders what group 0 knows of a fixed member.
func appendFixed(dst []byte, f int, h *Head, b Binding) []byte {
	switch f {
	case fixedType:
		return append(append(append(dst, '"'), b.Type...), '"')
	case fixedID:
		return fhir.AppendString(dst, h.ID)
	}
	dst = append(dst, `{"versionId":"`...)
	dst = strconv.AppendUint(dst, b.Version, 10)
	dst = append(dst, `","lastUpdated":"`...)
	dst = fhir.AppendInstant(dst, time.UnixMicro(h.Updated))
	return append(dst, `"}`...)
}

// fixedSlots seals a fixed member that differs from what group 0 restates; it
// is administrative whatever it holds.
func (p *plan) fixedSlots(c cursor, f int, n *fhir.Node) {
	if f == fixedMeta && c.class == Group0 {
		p.member(c, n)
		return
	}
	p.push(cursor{id: p.t.nameID(fixedNames[f])}, n, Administrative, 0, p.name(cursor{id: -1}, n))
}

func (p *plan) member(c cursor, n *fhir.Node) {
	next := p.t.child(c, n)
	st := p.name(next, n)
	if next.from != none && p.standIn(next, n, st) && next.flags&isModifier != 0 {
		// The stand-in still shows the meaning of a hidden original. It is what
		// must be visible: who sees the original sees what is limited too.
		next.flags &^= isModifier
		p.modifiers |= Set(Limited)
	}
	p.visit(next, n, st)
}

// visit pushes n as one slot, or goes into it.
func (p *plan) visit(c cursor, n *fhir.Node, st step) {
	if class, needs, ok := p.t.uniform(c, n); ok {
		p.push(c, n, class, needs, st)
		return
	}
	p.stack = append(p.stack, st)
	if n.Kind() == fhir.Object {
		c = p.t.enter(c, n)
		for i := range n.Len() {
			p.member(c, n.At(i))
		}
	} else {
		for i := range n.Len() {
			p.visit(c, n.At(i), step{index: true, n: uint32(i)})
		}
	}
	p.stack = p.stack[:len(p.stack)-1]
}

func (p *plan) name(c cursor, n *fhir.Node) step {
	var buf [64]byte
	q := n.AppendName(buf[:0])
	if c.id >= 0 && string(q) == string(p.t.names.quoted[c.id]) {
		return step{n: uint32(c.id)}
	}
	start := len(p.text)
	p.text = append(p.text, q...)
	return step{raw: p.text[start:len(p.text):len(p.text)]}
}

func (p *plan) push(c cursor, n *fhir.Node, class Class, needs ClassSet, st step) {
	p.entries = append(p.entries, entry{
		class: class, needs: needs, null: onlyNull(n), alone: needs != 0 || c.flags&isLeaf != 0, order: p.order, steps: p.path(st), node: n,
	})
	p.order++
	if c.flags&isModifier != 0 && !(c.kind == extension && class == c.class) { // such an extension goes with its container
		p.modifiers |= Set(class)
	}
}

// standIn pushes the limited form of a member, if it has one, at the position
// of the member itself. It keeps the meaning of a modifier.
func (p *plan) standIn(c cursor, n *fhir.Node, st step) bool {
	var buf [512]byte
	if _, ok := c.from.appendDerived(buf[:0], n); !ok || c.class == Limited {
		return false
	}
	p.entries = append(p.entries, entry{
		class: Limited, from: c.from, needs: Set(c.class), order: p.order, steps: p.path(st), node: n,
	})
	return true
}

func (p *plan) path(last step) [2]uint32 {
	start := len(p.arena)
	p.arena = append(append(p.arena, p.stack...), last)
	return [2]uint32{uint32(start), uint32(len(p.arena))}
}

func onlyNull(n *fhir.Node) bool {
	if n.Kind() == fhir.Array {
		for i := range n.Len() {
			if n.At(i).Kind() != fhir.Null {
				return false
			}
		}
		return n.Len() > 0
	}
	return n.Kind() == fhir.Null
}
