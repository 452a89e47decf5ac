package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// inequality is < > <= >= (N1 §6.2).
func (n *binary) inequality(ev *evaluation, left, right Collection) (Collection, error) {
	a, b, ok, err := n.operands(left, right)
	if err != nil || !ok {
		return nil, err
	}
	if err := ev.spend(n.pos, textCost(left[0])+textCost(right[0])); err != nil {
		return nil, err
	}
	o, comparable := compareItems(a, b)
	switch {
	case !comparable:
		return nil, fail(ErrEvaluation, n.pos, "%s between %s and %s", n.op, a.Type(), b.Type())
	case o == unknown:
		return nil, nil
	case n.op == "<":
		return truth(o == less), nil
	case n.op == ">":
		return truth(o == greater), nil
	case n.op == "<=":
		return truth(o != greater), nil
	}
	return truth(o != less), nil
}

// operands are the two values; ok is false when one is missing.
func (n *binary) operands(left, right Collection) (a, b Item, ok bool, err error) {
	if len(left) > 1 || len(right) > 1 {
		return nil, nil, false, fail(ErrEvaluation, n.pos, "%s with several items", n.op)
	}
	if len(left) == 0 || len(right) == 0 {
		return nil, nil, false, nil
	}
	return convert(left[0]), convert(right[0]), true, nil
}

// compareItems orders two values of one type, or of types that convert.
func compareItems(a, b Item) (order, bool) {
	if s, ok := a.(String); ok {
		t, ok := b.(String)
		return fromSign(strings.Compare(string(s), string(t))), ok
	}
	m, okM := number(a)
	n, okN := number(b)
	if okM && okN {
		return fromSign(m.Cmp(n)), true
	}
	p, okP := quantityOf(a)
	q, okQ := quantityOf(b)
	if okP && okQ {
		x, y, ok := common(p, q)
		if !ok {
			return unknown, true
		}
		return fromSign(x.Cmp(y)), true
	}
	return compareTemporals(a, b)
}

// quantityOf is a Quantity, or a number as one.
func quantityOf(item Item) (Quantity, bool) {
	if q, ok := item.(Quantity); ok {
		return q, true
	}
	if _, ok := number(item); ok {
		return asQuantity(item), true
	}
	return Quantity{}, false
}

func fromSign(c int) order { return compareInts(int64(c), 0) }

// arithmetic is + - * / div mod & (N1 §6.6, §6.7).
func (n *binary) arithmetic(ev *evaluation, left, right Collection) (Collection, error) {
	if n.op == "&" {
		return n.concatenate(ev, left, right)
	}
	a, b, ok, err := n.operands(left, right)
	if err != nil || !ok {
		return nil, err
	}
	if n.op == "+" || n.op == "-" {
		if s, isText := a.(String); isText && n.op == "+" {
			t, isText := b.(String)
			if !isText {
				return nil, n.mismatch(a, b)
			}
			return n.join(ev, string(s), string(t))
		}
		if q, isQuantity := b.(Quantity); isQuantity && isTemporal(a) {
			return n.shift(a, q)
		}
	}
	i, integerA := a.(Integer)
	j, integerB := b.(Integer)
	if integerA && integerB && n.op != "/" {
		return n.integers(int64(i), int64(j)), nil
	}
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return n.numbers(x, y), nil
	}
	p, okP := quantityOf(a)
	q, okQ := quantityOf(b)
	if okP && okQ {
		return n.quantities(p, q)
	}
	return nil, n.mismatch(a, b)
}

func (n *binary) mismatch(a, b Item) error {
	return fail(ErrEvaluation, n.pos, "%s between %s and %s", n.op, a.Type(), b.Type())
}

func isTemporal(item Item) bool {
	switch item.(type) {
	case Date, DateTime, Time:
		return true
	}
	return false
}

// concatenate takes an empty operand for the empty string (N1 §6.6.7).
func (n *binary) concatenate(ev *evaluation, left, right Collection) (Collection, error) {
	a, _, err := text(left, n.pos)
	if err != nil {
		return nil, err
	}
	b, _, err := text(right, n.pos)
	if err != nil {
		return nil, err
	}
	return n.join(ev, a, b)
}

func (n *binary) join(ev *evaluation, a, b string) (Collection, error) {
	if err := ev.text(n.pos, len(a)+len(b)); err != nil {
		return nil, err
	}
	return Collection{String(a + b)}, nil
}

// integers computes in 64 bits; empty beyond 32 and on division by zero.
func (n *binary) integers(a, b int64) Collection {
	switch {
	case n.op == "+":
		a += b
	case n.op == "-":
		a -= b
	case n.op == "*":
		a *= b
	case b == 0:
		return nil
	case n.op == "div":
		a /= b
	default:
		a %= b
	}
	if a < -1<<31 || a >= 1<<31 {
		return nil
	}
	return Collection{Integer(a)}
}

// numbers computes; empty on overflow and on division by zero. div is an
// Integer where it fits one, as N1 §6.6.5 shows.
func (n *binary) numbers(a, b *apd.Decimal) Collection {
	switch n.op {
	case "+":
		return result(exactly((*apd.Context).Add, a, b), false)
	case "-":
		return result(exactly((*apd.Context).Sub, a, b), false)
	case "*":
		return result(exactly((*apd.Context).Mul, a, b), false)
	case "/":
		return result(divide(a, b), false)
	}
	if b.Sign() == 0 {
		return nil
	}
	if n.op == "mod" {
		return result(exactly((*apd.Context).Rem, a, b), false)
	}
	return result(exactly((*apd.Context).QuoInteger, a, b), true)
}

// result is an Integer or a Decimal; nothing on overflow.
func result(d *apd.Decimal, integer bool) Collection {
	if d == nil {
		return nil
	}
	if integer {
		if i := toInteger(d); i != nil {
			return Collection{i}
		}
		return nil
	}
	return Collection{Decimal{d}}
}

// quantities computes with units; empty when the units do not go together.
func (n *binary) quantities(a, b Quantity) (Collection, error) {
	var q Quantity
	var ok bool
	switch n.op {
	case "+":
		q, ok = addQuantities((*apd.Context).Add, a, b)
	case "-":
		q, ok = addQuantities((*apd.Context).Sub, a, b)
	case "*", "/":
		q, ok = multiplyQuantities(a, b, n.op == "/")
	default:
		return nil, n.mismatch(a, b)
	}
	if !ok {
		return nil, nil
	}
	return Collection{q}, nil
}
