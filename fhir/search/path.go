package search

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// errExpression means that an expression needs more than the subset of
// FHIRPath that search parameters are written in.
var errExpression = errors.New("expression is not understood")

// operator is the form of an expression node.
type operator uint8

const (
	opName     operator = iota // left.name, or name
	opCall                     // left.name(args)
	opIndex                    // left[index]
	opUnion                    // left | right
	opAs                       // left as name
	opIs                       // left is name
	opEqual                    // left = right
	opNotEqual                 // left != right
	opAnd                      // left and right
	opLiteral                  // name, a string or boolean
	opRoot                     // %resource
)

// pathNode is a node of a parsed expression.
type pathNode struct {
	op          operator
	name        string
	left, right *pathNode
	args        []*pathNode
	index       int
}

// maxExpressionDepth bounds nesting; official expressions stay below five.
const maxExpressionDepth = 32

// parseExpression reads the subset of FHIRPath (N1) in which the search
// parameters of R4 are written.
func parseExpression(s string) (*pathNode, error) {
	tokens, err := scan(s)
	if err != nil {
		return nil, err
	}
	p := &pathParser{tokens: tokens}
	e := p.and()
	if p.err == nil && len(p.tokens) > 0 {
		p.fail()
	}
	if p.err != nil {
		return nil, fmt.Errorf("%w: %s", p.err, s)
	}
	return e, nil
}

// scan splits an expression into names, quoted strings, numbers and symbols.
func scan(s string) ([]string, error) {
	var tokens []string
	for i := 0; i < len(s); {
		start := i
		switch c := s[i]; {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
			continue
		case isWordByte(c) || c == '%':
			for i++; i < len(s) && isWordByte(s[i]); i++ {
			}
		case c == '\'':
			end := strings.IndexByte(s[i+1:], '\'')
			if end < 0 || strings.IndexByte(s[i+1:i+1+end], '\\') >= 0 {
				return nil, fmt.Errorf("%w: %s", errExpression, s)
			}
			i += end + 2
		case strings.HasPrefix(s[i:], "!="):
			i += 2
		default:
			i++
		}
		tokens = append(tokens, s[start:i])
	}
	return tokens, nil
}

func isWordByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// pathParser descends by precedence (FHIRPath N1 §6.8). After an error
// every method returns quickly and the tokens are gone.
type pathParser struct {
	tokens []string
	depth  int
	err    error
}

func (p *pathParser) fail() {
	if p.err == nil {
		p.err = errExpression
	}
	p.tokens = nil
}

func (p *pathParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *pathParser) next() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *pathParser) accept(t string) bool {
	if p.peek() != t {
		return false
	}
	p.next()
	return true
}

func (p *pathParser) expect(t string) {
	if !p.accept(t) {
		p.fail()
	}
}

// word takes a name.
func (p *pathParser) word() string {
	t := p.next()
	if t == "" || !isWordByte(t[0]) || t[0] >= '0' && t[0] <= '9' {
		p.fail()
	}
	return t
}

func (p *pathParser) and() *pathNode {
	if p.depth++; p.depth > maxExpressionDepth {
		p.fail()
	}
	defer func() { p.depth-- }()
	e := p.equality()
	for p.accept("and") {
		e = &pathNode{op: opAnd, left: e, right: p.equality()}
	}
	return e
}

func (p *pathParser) equality() *pathNode {
	e := p.union()
	switch {
	case p.accept("="):
		return &pathNode{op: opEqual, left: e, right: p.union()}
	case p.accept("!="):
		return &pathNode{op: opNotEqual, left: e, right: p.union()}
	}
	return e
}

func (p *pathParser) union() *pathNode {
	e := p.typed()
	for p.accept("|") {
		e = &pathNode{op: opUnion, left: e, right: p.typed()}
	}
	return e
}

func (p *pathParser) typed() *pathNode {
	e := p.postfix()
	switch {
	case p.accept("as"):
		return &pathNode{op: opAs, left: e, name: p.word()}
	case p.accept("is"):
		return &pathNode{op: opIs, left: e, name: p.word()}
	}
	return e
}

func (p *pathParser) postfix() *pathNode {
	e := p.primary()
	for p.err == nil {
		switch {
		case p.accept("."):
			e = p.invocation(e)
		case p.accept("["):
			i, err := strconv.Atoi(p.next())
			if err != nil {
				p.fail()
			}
			p.expect("]")
			e = &pathNode{op: opIndex, left: e, index: i}
		default:
			return e
		}
	}
	return e
}

func (p *pathParser) primary() *pathNode {
	switch t := p.peek(); {
	case p.accept("("):
		e := p.and()
		p.expect(")")
		return e
	case t == "%resource":
		p.next()
		return &pathNode{op: opRoot}
	case t == "true" || t == "false" || strings.HasPrefix(t, "'"):
		p.next()
		return &pathNode{op: opLiteral, name: strings.Trim(t, "'")}
	}
	return p.invocation(nil)
}

func (p *pathParser) invocation(left *pathNode) *pathNode {
	e := &pathNode{op: opName, left: left, name: p.word()}
	if !p.accept("(") {
		return e
	}
	e.op = opCall
	if p.accept(")") {
		return e
	}
	for p.err == nil {
		e.args = append(e.args, p.and())
		if p.accept(")") {
			break
		}
		p.expect(",")
	}
	return e
}
