package redacttest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// node is a JSON value with the order of its members and its own literals.
type node struct {
	name string
	kind byte // '{', '[' or 0
	raw  []byte
	kids []*node

	needs []string // of a leaf: the classes that must be visible, its own the last
	fixed bool     // is shown to whoever sees anything
	other *node    // the stand-in of a hidden source
}

func parse(raw []byte) *node {
	raw = bytes.TrimSpace(raw)
	n := &node{raw: raw}
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' {
		return n
	}
	n.kind = raw[0]
	d := json.NewDecoder(bytes.NewReader(raw))
	take(d)
	for d.More() {
		name := ""
		if n.kind == '{' {
			name = take(d).(string)
		}
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			panic(err)
		}
		kid := parse(item)
		kid.name = name
		n.kids = append(n.kids, kid)
	}
	return n
}

func take(d *json.Decoder) json.Token {
	t, err := d.Token()
	if err != nil {
		panic(err)
	}
	return t
}

func (n *node) append(dst []byte) []byte {
	if n.kind == 0 {
		return append(dst, n.raw...)
	}
	dst = append(dst, n.kind)
	for i, kid := range n.kids {
		if i > 0 {
			dst = append(dst, ',')
		}
		if n.kind == '{' {
			dst = append(append(append(dst, '"'), kid.name...), '"', ':')
		}
		dst = kid.append(dst)
	}
	return append(dst, n.kind+2) // } is two after {, ] two after [
}

func (n *node) member(name string) *node {
	if n == nil || n.kind != '{' {
		return nil
	}
	for _, kid := range n.kids {
		if kid.name == name {
			return kid
		}
	}
	return nil
}

func (n *node) drop(name string) {
	n.kids = slices.DeleteFunc(n.kids, func(kid *node) bool { return kid.name == name })
}

// text is a member's string.
func (n *node) text(name string) (s string) {
	if m := n.member(name); m != nil && m.kind == 0 {
		s = m.string()
	}
	return s
}

// string is the text of a string, empty for any other value.
func (n *node) string() (s string) {
	_ = json.Unmarshal(n.raw, &s)
	return s
}

func (n *node) null() bool { return n.kind == 0 && string(n.raw) == "null" }

// empty: null, or a list of nulls.
func (n *node) empty() bool {
	if n.kind != '[' {
		return n.null()
	}
	return len(n.kids) > 0 && !slices.ContainsFunc(n.kids, func(kid *node) bool { return !kid.null() })
}

// leaves are the values below.
func (n *node) leaves() (all []*node) {
	if len(n.kids) == 0 {
		return []*node{n}
	}
	for _, kid := range n.kids {
		all = append(all, kid.leaves()...)
	}
	return all
}

// localReferences are the ids of what "#id" texts refer to; the whole is "".
func (n *node) localReferences() (ids []string) {
	for _, leaf := range n.leaves() {
		if s, ok := strings.CutPrefix(string(leaf.raw), `"#`); ok && leaf.kind == 0 {
			ids = append(ids, strings.TrimSuffix(s, `"`))
		}
	}
	return ids
}
