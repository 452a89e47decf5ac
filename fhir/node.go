package fhir

import "unsafe"

// Kind is the JSON kind of a Node.
type Kind uint8

// The JSON kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Node is one JSON value of a resource tree. Scalars keep the client's
// literal bytes; containers keep their order. A Node is not safe for
// concurrent mutation; concurrent reading is fine.
type Node struct {
	kind    Kind
	rawName uint32 // length of the literal that follows name in memory, see setName
	name    string // decoded member name when the parent is an object
	raw     []byte // scalars: the literal as the client sent it
	nodes   []Node // members or items in order
}

// Kind returns the JSON kind.
func (n *Node) Kind() Kind { return n.kind }

// Name is the member name inside the parent object, empty for items and roots.
func (n *Node) Name() string { return n.name }

// Raw is the literal of a scalar (a string with its quotes), nil for
// containers. The caller must not modify it.
func (n *Node) Raw() []byte { return n.raw }

// Len is the number of members or items. A nil receiver, which Member returns
// for what is not there, has none.
func (n *Node) Len() int {
	if n == nil {
		return 0
	}
	return len(n.nodes)
}

// At returns the i-th member or item in document order.
func (n *Node) At(i int) *Node { return &n.nodes[i] }

// Member returns the member with the name, or nil. A nil receiver is allowed,
// so that paths can be chained.
func (n *Node) Member(name string) *Node {
	if n == nil || n.kind != Object {
		return nil
	}
	for i := range n.nodes {
		if n.nodes[i].name == name {
			return &n.nodes[i]
		}
	}
	return nil
}

// Text is the decoded value of a string node, "" for every other kind and for
// a nil receiver.
func (n *Node) Text() string {
	if n == nil || n.kind != String {
		return ""
	}
	return unquote(n.raw)
}

// AppendJSON appends the value as JSON without insignificant whitespace. The
// literals are the client's own bytes.
func (n *Node) AppendJSON(dst []byte) []byte {
	switch n.kind {
	case Object:
		dst = append(dst, '{')
		for i := range n.nodes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendName(dst, &n.nodes[i])
			dst = append(dst, ':')
			dst = n.nodes[i].AppendJSON(dst)
		}
		return append(dst, '}')
	case Array:
		dst = append(dst, '[')
		for i := range n.nodes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = n.nodes[i].AppendJSON(dst)
		}
		return append(dst, ']')
	case Null:
		return append(dst, "null"...)
	}
	return append(dst, n.raw...)
}

// Clone returns a deep copy of the structure; literals are shared.
func (n *Node) Clone() Node {
	c := *n
	if n.nodes != nil {
		c.nodes = make([]Node, len(n.nodes))
		for i := range n.nodes {
			c.nodes[i] = n.nodes[i].Clone()
		}
	}
	return c
}

// NewString returns a string node that encodes s.
func NewString(s string) Node { return Node{kind: String, raw: quote(nil, s)} }

// NewLiteral returns a string node with the JSON literal raw, quotes included.
// The literal must be a valid one, such as an edited copy of Raw.
func NewLiteral(raw []byte) Node { return Node{kind: String, raw: raw} }

// NewBool returns a boolean node.
func NewBool(b bool) Node {
	if b {
		return Node{kind: Bool, raw: []byte("true")}
	}
	return Node{kind: Bool, raw: []byte("false")}
}

// NewObject returns an object with the given members (see Named).
func NewObject(members ...Node) Node { return Node{kind: Object, nodes: members} }

// NewArray returns an array with the given items.
func NewArray(items ...Node) Node { return Node{kind: Array, nodes: items} }

// Named returns a copy of v that carries a member name.
func (n Node) Named(name string) Node { n.name, n.rawName = name, 0; return n }

// KeepName gives n the member name of old, in the form the client sent it.
func (n *Node) KeepName(old *Node) { n.name, n.rawName = old.name, old.rawName }

// Set replaces the member's value in its place, or appends it.
func (n *Node) Set(name string, v Node) {
	v = v.Named(name)
	if m := n.Member(name); m != nil {
		v.name, v.rawName = m.name, m.rawName
		*m = v
		return
	}
	n.nodes = append(n.nodes, v)
}

// Insert puts v at position i of an array or object (an object member must be
// Named).
func (n *Node) Insert(i int, v Node) {
	nodes := make([]Node, 0, len(n.nodes)+1)
	nodes = append(append(append(nodes, n.nodes[:i]...), v), n.nodes[i:]...)
	n.nodes = nodes
}

// Append adds an item or a Named member at the end.
func (n *Node) Append(v Node) { n.nodes = append(n.nodes, v) }

// Remove deletes the member and reports whether it was there.
func (n *Node) Remove(name string) bool {
	for i := range n.nodes {
		if n.nodes[i].name == name {
			n.RemoveAt(i)
			return true
		}
	}
	return false
}

// RemoveAt deletes the i-th member or item.
func (n *Node) RemoveAt(i int) {
	nodes := make([]Node, 0, len(n.nodes)-1)
	n.nodes = append(append(nodes, n.nodes[:i]...), n.nodes[i+1:]...)
}

func bytesString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } // #nosec G103 -- the parser never writes b again
