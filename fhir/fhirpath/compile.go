package fhirpath

import (
	"context"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Expression is a compiled expression. It never changes and may be evaluated
// concurrently.
type Expression struct {
	source string
	root   node
	reg    *definition.Registry
}

// Compile parses an expression and resolves its functions and types. Members
// are checked as far as the expression itself names types.
func Compile(expression string) (*Expression, error) {
	return compile(expression, nil)
}

// CompileFor also checks the expression against the type that it will be
// evaluated on, "Patient" or "HumanName" (N1 §9.2, strict evaluation): a member
// that no possible type has is an error.
func CompileFor(typ, expression string) (*Expression, error) {
	t := definition.Default().Type(typ)
	if t == nil {
		return nil, fail(ErrSemantic, 0, "the context is of an unknown type")
	}
	return compile(expression, t)
}

func compile(expression string, context *definition.Type) (*Expression, error) {
	if len(expression) > MaxExpressionBytes {
		return nil, fail(ErrLimit, MaxExpressionBytes, "longer than %d bytes", MaxExpressionBytes)
	}
	p := &parser{lex: lexer{s: expression}, reg: definition.Default()}
	p.advance()
	root := p.expression(0)
	if p.err == nil && p.tok.kind != tokenEnd {
		p.fail(ErrSyntax, p.tok.pos, "the expression should end here")
	}
	if p.err != nil {
		return nil, p.err
	}
	if err := check(p.reg, root, context); err != nil {
		return nil, err
	}
	return &Expression{source: expression, root: root, reg: p.reg}, nil
}

// String is the source.
func (e *Expression) String() string { return e.source }

// Evaluate evaluates the expression. An error is an *Error of the class
// ErrEvaluation or ErrLimit, or the error of ctx or of what Context injects.
func (e *Expression) Evaluate(ctx context.Context, c Context) (Collection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ev := newEvaluation(ctx, e.reg, c)
	var in Collection
	if c.Focus != nil {
		in = Collection{c.Focus}
	}
	return e.root.eval(ev, &scope{focus: in, index: -1}, in)
}
