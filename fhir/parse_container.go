package fhir

import "strconv"

// manyMembers is the number of members from which an object looks its names
// up in a map; below it a scan is faster, and bounded.
const manyMembers = 32

func (p *parser) enter() bool {
	if p.depth == 0 {
		return p.fail(p.i, "too many levels")
	}
	p.depth--
	p.i++
	p.space()
	return true
}

func (p *parser) object(n *Node) bool {
	if !p.enter() {
		return false
	}
	mark := len(p.stack)
	if p.peek() != '}' && !p.members(mark) {
		return false
	}
	p.i++
	p.depth++
	n.kind, n.nodes = Object, p.keep(mark)
	return true
}

func (p *parser) members(mark int) bool {
	var names nameSet
	for {
		var m Node
		at := p.i
		if !p.memberName(&m) {
			return false
		}
		if names.has(m.name, p.stack[mark:]) {
			return p.failAt(at, "duplicate member name", step{name: m.name})
		}
		if !p.value(&m) {
			p.steps = append(p.steps, step{name: m.name})
			return false
		}
		p.stack = append(p.stack, m)
		p.space()
		switch p.peek() {
		case ',':
			p.i++
			p.space()
		case '}':
			return true
		default:
			return p.fail(p.i, "expected a comma or the end of the object")
		}
	}
}

// memberName parses the name and the colon, up to the value.
func (p *parser) memberName(m *Node) bool {
	if p.peek() != '"' {
		return p.fail(p.i, "expected a member name")
	}
	start := p.i
	if !p.str() {
		return false
	}
	m.setName(p.b[start:p.i])
	p.space()
	if p.peek() != ':' {
		return p.fail(p.i, "expected a colon")
	}
	p.i++
	p.space()
	return true
}

func (p *parser) array(n *Node) bool {
	if !p.enter() {
		return false
	}
	mark := len(p.stack)
	if p.peek() != ']' && !p.items() {
		return false
	}
	p.i++
	p.depth++
	n.kind, n.nodes = Array, p.keep(mark)
	return true
}

func (p *parser) items() bool {
	for index := 0; ; index++ {
		var m Node
		if !p.value(&m) {
			p.steps = append(p.steps, step{index: index, item: true})
			return false
		}
		p.stack = append(p.stack, m)
		p.space()
		switch p.peek() {
		case ',':
			p.i++
			p.space()
		case ']':
			return true
		default:
			return p.fail(p.i, "expected a comma or the end of the array")
		}
	}
}

// nameSet finds duplicate names: a filter of 64 bits answers almost always, a
// scan settles its hits, and from manyMembers on a map bounds the work on
// hostile objects.
type nameSet struct {
	filter uint64
	seen   map[string]struct{}
}

func (s *nameSet) has(name string, before []Node) bool {
	if len(before) >= manyMembers {
		return s.hasMany(name, before)
	}
	bit := uint64(len(name))
	if len(name) > 0 {
		bit = bit*7 + uint64(name[0]) + uint64(name[len(name)-1])<<2 + uint64(name[len(name)/2])*5
	}
	bit = 1 << (bit & 63)
	if s.filter&bit == 0 {
		s.filter |= bit
		return false
	}
	for i := range before {
		if before[i].name == name {
			return true
		}
	}
	return false
}

func (s *nameSet) hasMany(name string, before []Node) bool {
	if s.seen == nil {
		s.seen = make(map[string]struct{}, 2*manyMembers)
		for i := range before {
			s.seen[before[i].name] = struct{}{}
		}
	}
	if _, dup := s.seen[name]; dup {
		return true
	}
	s.seen[name] = struct{}{}
	return false
}

// step is one part of the path to an error.
type step struct {
	name  string
	index int
	item  bool
}

func (p *parser) failAt(offset int, reason string, s step) bool {
	p.steps = append(p.steps, s)
	return p.fail(offset, reason)
}

// errorPath joins the steps, outermost first. A name that no FHIR element
// could have is client data and shown as "?".
func (p *parser) errorPath() string {
	var out []byte
	for i := len(p.steps) - 1; i >= 0; i-- {
		s := p.steps[i]
		if s.item {
			out = append(strconv.AppendInt(append(out, '['), int64(s.index), 10), ']')
			continue
		}
		if len(out) > 0 {
			out = append(out, '.')
		}
		if !isElementName(s.name) {
			s.name = "?"
		}
		out = append(out, s.name...)
	}
	return string(out)
}

func isElementName(s string) bool {
	if len(s) > 0 && s[0] == '_' {
		s = s[1:]
	}
	return isName(s)
}

// isName reports whether s is a letter followed by letters and digits, at
// most 64 in all, as the names of types and elements are (R4
// elementdefinition.html, eld-16).
func isName(s string) bool {
	if s == "" || len(s) > 64 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
