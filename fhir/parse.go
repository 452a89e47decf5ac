package fhir

import (
	"sync"
	"unicode/utf8"
)

// Parse reads one resource: a JSON object with a resourceType.
//
// The input must be RFC 8259 JSON in UTF-8 without byte order mark, and is
// refused with a *SyntaxError when it has a duplicate member name (also under
// a different escape: two readers would disagree on the value), a lone
// surrogate, a NUL, a number outside the limits, too many levels, or anything
// after the value. Inputs over lim.MaxBytes return ErrTooLarge.
//
// The resource keeps b: its literals are slices of it. The caller must not
// modify b afterwards.
func Parse(b []byte, lim Limits) (*Resource, error) {
	root, err := ParseValue(b, lim)
	if err != nil {
		return nil, err
	}
	return NewResource(root)
}

// ParseValue reads one JSON value of any kind under the rules of Parse. The
// value keeps b.
func ParseValue(b []byte, lim Limits) (Node, error) {
	lim = lim.orDefault()
	if len(b) > lim.MaxBytes {
		return Node{}, ErrTooLarge
	}
	p := parsers.Get().(*parser)
	defer p.release()
	p.b, p.depth = b, lim.MaxDepth
	p.values = max(lim.MaxBytes/bytesPerValue, minValues)
	p.badUTF8 = firstInvalid(b)
	p.slab = make([]Node, 0, min(len(b)/slabBytesPerNode+4, slabNodes))
	var n Node
	if p.document(&n) {
		return n, nil
	}
	p.err.Path = p.errorPath()
	return Node{}, p.err
}

const (
	// slabNodes is the size of later slabs, while as much is to come: 256 nodes
	// fill a size class of the allocator exactly.
	slabNodes = 256
	// slabBytesPerNode estimates the first slab of small inputs: compact
	// resources have a node about every 24 bytes.
	slabBytesPerNode = 24
	// maxKeptStack bounds what an idle parser holds on to.
	maxKeptStack = 4096
)

var parsers = sync.Pool{New: func() any { return &parser{stack: make([]Node, 0, 256)} }}

// parser builds the tree in one pass: finished values wait on the stack until
// their container ends, then move into a slab, so that the children of a
// container are contiguous.
type parser struct {
	b       []byte
	i       int
	depth   int // levels still allowed
	values  int // values still allowed
	badUTF8 int // offset of the first invalid byte, len(b) when there is none
	stack   []Node
	used    int // longest that the stack has been
	slab    []Node
	err     *SyntaxError
	steps   []step // of the error, innermost first
}

func (p *parser) release() {
	used := max(p.used, len(p.stack))
	clear(p.stack[:used]) // no resource outlives its request in a pool
	stack := p.stack[:0]
	if cap(stack) > maxKeptStack {
		stack = make([]Node, 0, slabNodes)
	}
	*p = parser{stack: stack}
	parsers.Put(p)
}

func firstInvalid(b []byte) int {
	if utf8.Valid(b) {
		return len(b)
	}
	for i := 0; ; {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

func (p *parser) document(n *Node) bool {
	if len(p.b) >= 3 && p.b[0] == 0xEF && p.b[1] == 0xBB && p.b[2] == 0xBF {
		return p.fail(0, "byte order mark")
	}
	p.space()
	if !p.value(n) {
		return false
	}
	p.space()
	if p.i < len(p.b) {
		return p.fail(p.i, "data after the value")
	}
	return true
}

func (p *parser) fail(offset int, reason string) bool {
	p.err = &SyntaxError{Offset: offset, Reason: reason}
	return false
}

func (p *parser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\n', '\t', '\r':
			p.i++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end; a NUL is no token either.
func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

// value parses at the first byte of a value into n, whose name stays.
func (p *parser) value(n *Node) bool {
	if p.values--; p.values < 0 {
		return p.fail(p.i, "too many values")
	}
	switch c := p.peek(); {
	case c == '"':
		return p.stringValue(n)
	case c == '{':
		return p.object(n)
	case c == '[':
		return p.array(n)
	case c == '-' || c >= '0' && c <= '9':
		return p.number(n)
	case c == 't':
		return p.word(n, Bool, "true")
	case c == 'f':
		return p.word(n, Bool, "false")
	case c == 'n':
		return p.word(n, Null, "null")
	case p.i >= len(p.b):
		return p.fail(p.i, "unexpected end")
	}
	return p.fail(p.i, "not a JSON value")
}

func (p *parser) word(n *Node, k Kind, w string) bool {
	if len(p.b)-p.i < len(w) || string(p.b[p.i:p.i+len(w)]) != w {
		return p.fail(p.i, "not a JSON value")
	}
	n.kind, n.raw = k, p.b[p.i:p.i+len(w):p.i+len(w)]
	p.i += len(w)
	return true
}

func (p *parser) stringValue(n *Node) bool {
	start := p.i
	if !p.str() {
		return false
	}
	n.kind, n.raw = String, p.b[start:p.i:p.i]
	return true
}

// keep moves the stack from mark into a slab and returns it there.
func (p *parser) keep(mark int) []Node {
	p.used = max(p.used, len(p.stack))
	items := p.stack[mark:]
	if len(items) == 0 {
		return nil
	}
	if len(items) > cap(p.slab)-len(p.slab) {
		if len(items) > slabNodes/4 {
			p.stack = p.stack[:mark]
			return append(make([]Node, 0, len(items)), items...)
		}
		rest := len(p.stack) + (len(p.b)-p.i)/slabBytesPerNode*3/2 + 4
		p.slab = make([]Node, 0, min(rest, slabNodes))
	}
	at := len(p.slab)
	p.slab = append(p.slab, items...)
	p.stack = p.stack[:mark]
	return p.slab[at:len(p.slab):len(p.slab)]
}
