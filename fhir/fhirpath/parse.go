package fhirpath

import (
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Bounds of an expression. The longest one of R4 has 6 kB and the deepest 9
// levels.
const (
	MaxExpressionBytes = 32 << 10
	MaxDepth           = 100
)

// parser is a precedence climber over the grammar of N1 (hl7.org/fhirpath/N1/grammar.html).
type parser struct {
	lex   lexer
	tok   token
	depth int
	reg   *definition.Registry
	err   error
}

// fail keeps the first error; the parser then sees the end everywhere.
func (p *parser) fail(class error, pos int, format string, args ...any) node {
	if p.err == nil {
		p.err = fail(class, pos, format, args...)
	}
	p.tok = token{kind: tokenEnd, pos: pos}
	p.lex.pos = len(p.lex.s)
	return &literal{}
}

func (p *parser) advance() {
	t, err := p.lex.next()
	if err != nil {
		if p.err == nil {
			p.err = err
		}
		t = token{kind: tokenEnd, pos: p.lex.pos}
		p.lex.pos = len(p.lex.s)
	}
	p.tok = t
}

func (p *parser) symbol(s string) bool { return p.tok.kind == tokenSymbol && p.tok.text == s }

func (p *parser) take(s string) bool {
	if !p.symbol(s) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(s string) {
	if !p.take(s) {
		p.fail(ErrSyntax, p.tok.pos, "%q is missing", s)
	}
}

// binding is the precedence of a binary operator, 0 for none (N1 §6.8).
func binding(t token) int {
	if t.kind == tokenName {
		switch t.text {
		case "implies":
			return 1
		case "or", "xor":
			return 2
		case "and":
			return 3
		case "in", "contains":
			return 4
		case "is", "as":
			return 8
		case "div", "mod":
			return 10
		}
		return 0
	}
	if t.kind != tokenSymbol {
		return 0
	}
	switch t.text {
	case "=", "~", "!=", "!~":
		return 5
	case "<", ">", "<=", ">=":
		return 6
	case "|":
		return 7
	case "+", "-", "&":
		return 9
	case "*", "/":
		return 10
	}
	return 0
}

// expression parses operators that bind at least as strongly as floor.
func (p *parser) expression(floor int) node {
	if p.depth++; p.depth > MaxDepth {
		return p.fail(ErrLimit, p.tok.pos, "nested deeper than %d", MaxDepth)
	}
	defer func() { p.depth-- }()
	left := p.unary()
	for {
		op := p.tok
		power := binding(op)
		if power == 0 || power < floor {
			return left
		}
		p.advance()
		if op.text == "is" || op.text == "as" {
			left = &typeOperator{pos: op.pos, as: op.text == "as", operand: left, spec: p.typeSpecifier()}
			continue
		}
		left = &binary{pos: op.pos, op: op.text, left: left, right: p.expression(power + 1)}
	}
}

// unary parses polarity, which binds less than a path (N1 §6.8).
func (p *parser) unary() node {
	if !p.symbol("-") && !p.symbol("+") {
		return p.path()
	}
	op := p.tok
	p.advance()
	if p.depth++; p.depth > MaxDepth {
		return p.fail(ErrLimit, op.pos, "nested deeper than %d", MaxDepth)
	}
	defer func() { p.depth-- }()
	operand := p.unary()
	if l, ok := operand.(*literal); ok && op.text == "-" && l.large {
		return &literal{pos: op.pos, value: Integer(-1 << 31)}
	}
	return &polarity{pos: op.pos, minus: op.text == "-", operand: operand}
}

// path parses a term with its invocations and indexers.
func (p *parser) path() node {
	steps := []node{p.term()}
	for {
		switch {
		case p.symbol("."):
			p.advance()
			steps = append(steps, p.invocation(false))
		case p.symbol("["):
			pos := p.tok.pos
			p.advance()
			index := p.expression(0)
			p.expect("]")
			steps = append(steps, &indexer{pos: pos, index: index})
		default:
			if len(steps) == 1 {
				return steps[0]
			}
			return &path{steps: steps}
		}
	}
}

func (p *parser) term() node {
	t := p.tok
	switch t.kind {
	case tokenString:
		p.advance()
		return &literal{pos: t.pos, value: String(t.text)}
	case tokenNumber:
		return p.number()
	case tokenDateTime, tokenTime:
		return p.temporal()
	case tokenName, tokenDelimited:
		if t.kind == tokenName && (t.text == "true" || t.text == "false") {
			p.advance()
			return &literal{pos: t.pos, value: Boolean(t.text == "true")}
		}
		return p.invocation(true)
	case tokenSymbol:
		return p.symbolTerm()
	}
	return p.fail(ErrSyntax, t.pos, "the expression ends where a term is expected")
}

func (p *parser) symbolTerm() node {
	t := p.tok
	p.advance()
	switch t.text {
	case "(":
		e := p.expression(0)
		p.expect(")")
		return &group{e}
	case "{":
		p.expect("}")
		return &literal{pos: t.pos}
	case "%":
		return p.variable(t.pos)
	case "$":
		name := p.tok.text
		p.advance()
		switch name {
		case "this", "index", "total":
			return &special{pos: t.pos, name: name}
		}
	}
	return p.fail(ErrSyntax, t.pos, "%q is no start of a term", t.text)
}

// variable parses %name, %`name` and %'name' (N1 §8).
func (p *parser) variable(pos int) node {
	switch p.tok.kind {
	case tokenName, tokenDelimited, tokenString:
		name := p.tok.text
		p.advance()
		return &variable{pos: pos, name: name}
	}
	return p.fail(ErrSyntax, pos, "an environment variable without a name")
}

// reserved are the keywords that are no identifiers (N1 §10.5).
var reserved = map[string]bool{"and": true, "div": true, "false": true, "implies": true, "mod": true, "or": true, "true": true, "xor": true}

// invocation parses a member or a function; first is one that starts a path.
func (p *parser) invocation(first bool) node {
	t := p.tok
	switch {
	case t.kind == tokenSymbol && t.text == "$" && !first:
		return p.symbolTerm()
	case t.kind != tokenName && t.kind != tokenDelimited:
		return p.fail(ErrSyntax, t.pos, "a name is expected")
	case t.kind == tokenName && reserved[t.text]:
		return p.fail(ErrSyntax, t.pos, "%s is a keyword; as a name it stands between backticks", t.text)
	}
	p.advance()
	if p.symbol("(") && t.kind == tokenName {
		return p.call(t, first)
	}
	m := &member{pos: t.pos, name: t.text}
	if first && t.text != "" && t.text[0] >= 'A' && t.text[0] <= 'Z' {
		m.root = p.reg.Type(t.text)
	}
	return m
}

func (p *parser) call(t token, first bool) node {
	p.advance()
	c := &call{pos: t.pos, name: t.text, function: functions[t.text], first: first}
	if c.function == nil {
		return p.fail(ErrSemantic, t.pos, "there is no function %s", t.text)
	}
	for !p.symbol(")") && p.tok.kind != tokenEnd {
		if len(c.args) > 0 {
			p.expect(",")
		}
		c.args = append(c.args, p.argument(c))
	}
	p.expect(")")
	if n := len(c.args); p.err == nil && (n < c.function.min || n > c.function.max) {
		return p.fail(ErrSemantic, t.pos, "%s with %d arguments", t.text, n)
	}
	return c
}

// argument parses an expression, or a type specifier where the function wants
// one. A key of sort may be followed by asc or desc (FHIRPath 3.0), or have a
// minus in front of it (the test suite of R4).
func (p *parser) argument(c *call) node {
	switch {
	case c.function.types:
		return &typeArgument{pos: p.tok.pos, spec: p.typeSpecifier()}
	case c.name == "sort" && p.take("-"):
		return &descending{key: p.expression(9), emptyFirst: true}
	}
	arg := p.expression(0)
	if c.name == "sort" && p.tok.kind == tokenName && (p.tok.text == "asc" || p.tok.text == "desc") {
		down := p.tok.text == "desc"
		if p.advance(); down {
			return &descending{key: arg}
		}
	}
	return arg
}
