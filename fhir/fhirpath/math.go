package fhirpath

import (
	"github.com/cockroachdb/apd/v3"
)

// mathematics are the functions of N1 §5.7 and the boundaries of later
// releases.
var mathematics = map[string]*function{
	"abs":          {input: numberInput, returns: ofSystem, eval: abs},
	"ceiling":      {input: numberInput, returns: ofSystem, eval: toWhole(apd.RoundCeiling)},
	"floor":        {input: numberInput, returns: ofSystem, eval: toWhole(apd.RoundFloor)},
	"truncate":     {input: numberInput, returns: ofSystem, eval: toWhole(apd.RoundDown)},
	"round":        {max: 1, input: numberInput, returns: ofSystem, eval: round},
	"exp":          {input: numberInput, returns: ofSystem, eval: real(exponential)},
	"ln":           {input: numberInput, returns: ofSystem, eval: real(logarithm)},
	"sqrt":         {input: numberInput, returns: ofSystem, eval: real(root)},
	"log":          {min: 1, max: 1, input: numberInput, returns: ofSystem, eval: logTo},
	"power":        {min: 1, max: 1, input: numberInput, returns: ofSystem, eval: power},
	"lowBoundary":  {max: 1, returns: ofSystem, eval: boundary(false)},
	"highBoundary": {max: 1, returns: ofSystem, eval: boundary(true)},
	"precision":    {returns: ofSystem, eval: precisionOf},
	"comparable":   {min: 1, max: 1, returns: ofSystem, eval: comparableTo},
}

func abs(in *invocation, c Collection) (Collection, error) {
	item, ok, err := in.one(c)
	if err != nil || !ok {
		return nil, err
	}
	if q, ok := item.(Quantity); ok {
		q.value = new(apd.Decimal).Abs(q.value)
		return Collection{q}, nil
	}
	d, _, err := numeric(c, in.pos)
	if err != nil {
		return nil, err
	}
	_, integer := item.(Integer)
	return result(new(apd.Decimal).Abs(d), integer), nil
}

// toWhole is ceiling, floor and truncate: an Integer, nothing when it does not
// fit one. A quantity keeps its unit.
func toWhole(how apd.Rounder) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		d, ok, err := numeric(c, in.pos)
		if err != nil || !ok {
			return nil, err
		}
		return result(rounded(d, 0, how), true), nil
	}
}

// maxPlaces bounds the digits that an expression asks for.
const maxPlaces = 31

// round rounds halves away from zero (N1 §5.7.9).
func round(in *invocation, c Collection) (Collection, error) {
	d, ok, err := numeric(c, in.pos)
	if err != nil || !ok {
		return nil, err
	}
	places, _, err := in.integerArg(0)
	if err != nil {
		return nil, err
	}
	if places < 0 {
		return nil, in.failed("a negative precision")
	}
	if places > scale(d) {
		return Collection{Decimal{d}}, nil
	}
	return result(rounded(d, places, apd.RoundHalfUp), false), nil
}

// real is a function on a number whose result is a Decimal of 28 digits; nil
// when there is none.
func real(f func(*apd.Decimal) *apd.Decimal) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		d, ok, err := numeric(c, in.pos)
		if err != nil || !ok {
			return nil, err
		}
		if err := in.ev.spend(in.pos, realSteps); err != nil {
			return nil, err
		}
		return result(settle(f(d)), false), nil
	}
}

// realSteps is what a transcendental function costs, some ten microseconds.
const realSteps = 500

// settle rounds a working result to 28 digits; it has a decimal place at least,
// as the examples of N1 §5.7 do.
func settle(d *apd.Decimal) *apd.Decimal {
	if d == nil {
		return nil
	}
	r := new(apd.Decimal)
	if _, err := quotient.Round(r, d); err != nil {
		return nil
	}
	if r = trimmed(r); r != nil && r.Exponent == 0 {
		return rounded(r, 1, apd.RoundHalfUp)
	}
	return r
}

// maxExponent bounds e to the power of the input: beyond, the result would have
// more than maxDigits digits.
var maxExponent = apd.New(900, 0)

func exponential(d *apd.Decimal) *apd.Decimal {
	r := new(apd.Decimal)
	if d.CmpTotal(maxExponent) > 0 || new(apd.Decimal).Abs(d).Cmp(maxExponent) > 0 {
		return nil
	}
	if _, err := working.Exp(r, d); err != nil {
		return nil
	}
	return r
}

func logarithm(d *apd.Decimal) *apd.Decimal {
	r := new(apd.Decimal)
	if d.Sign() <= 0 {
		return nil
	}
	if _, err := working.Ln(r, d); err != nil {
		return nil
	}
	return r
}

func root(d *apd.Decimal) *apd.Decimal {
	r := new(apd.Decimal)
	if d.Sign() < 0 {
		return nil
	}
	if _, err := working.Sqrt(r, d); err != nil {
		return nil
	}
	return r
}

// numbers are the input and the argument; ok is false when one is missing.
func (in *invocation) numbers(c Collection) (d, arg *apd.Decimal, integers, ok bool, err error) {
	d, ok, err = numeric(c, in.pos)
	if err != nil {
		return nil, nil, false, false, err
	}
	list, err := in.arg(0)
	if err != nil {
		return nil, nil, false, false, err
	}
	arg, okArg, err := numeric(list, in.pos)
	if err != nil || !ok || !okArg {
		return nil, nil, false, false, err
	}
	_, integerInput := convert(c[0]).(Integer)
	_, integerArg := convert(list[0]).(Integer)
	return d, arg, integerInput && integerArg, true, in.ev.spend(in.pos, 2*realSteps)
}

func logTo(in *invocation, c Collection) (Collection, error) {
	d, base, _, ok, err := in.numbers(c)
	if err != nil || !ok {
		return nil, err
	}
	a, b := logarithm(d), logarithm(base)
	if a == nil || b == nil || b.Sign() == 0 {
		return nil, nil
	}
	r := new(apd.Decimal)
	if _, err := working.Quo(r, a, b); err != nil {
		return nil, nil
	}
	return result(settle(r), false), nil
}

// power is exact for whole exponents where the result fits; Integers stay one
// (N1 §5.7.8).
func power(in *invocation, c Collection) (Collection, error) {
	d, e, integers, ok, err := in.numbers(c)
	if err != nil || !ok {
		return nil, err
	}
	if n, ok := toInteger(e).(Integer); ok && n >= 0 {
		if r, done := wholePower(d, int64(n)); done {
			return result(r, integers), nil
		}
	}
	return result(settle(realPower(d, e)), integers), nil
}

// wholePower multiplies exactly; done is false when that has too many digits to
// be exact, while it may still fit when rounded.
func wholePower(d *apd.Decimal, n int64) (r *apd.Decimal, done bool) {
	r, factor := apd.New(1, 0), d
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			if r = exactly((*apd.Context).Mul, r, factor); r == nil {
				return nil, false
			}
		}
		if n > 1 {
			if factor = exactly((*apd.Context).Mul, factor, factor); factor == nil {
				return nil, false
			}
		}
	}
	return r, true
}

func realPower(d, e *apd.Decimal) *apd.Decimal {
	whole := toInteger(e)
	if d.Sign() < 0 && whole == nil || d.Sign() == 0 && e.Sign() < 0 {
		return nil
	}
	if d.Sign() == 0 {
		return new(apd.Decimal)
	}
	// d^e = exp(e ln |d|), with the sign of an odd whole exponent.
	l := logarithm(new(apd.Decimal).Abs(d))
	p := new(apd.Decimal)
	if l == nil {
		return nil
	}
	if _, err := working.Mul(p, l, e); err != nil {
		return nil
	}
	r := exponential(p)
	if n, ok := whole.(Integer); ok && r != nil && d.Sign() < 0 && n%2 != 0 {
		r.Negative = true
	}
	return r
}

func comparableTo(in *invocation, c Collection) (Collection, error) {
	item, ok, err := in.one(c)
	if err != nil {
		return nil, err
	}
	arg, err := in.arg(0)
	if err != nil || !ok {
		return nil, err
	}
	other, ok, err := in.one(arg)
	if err != nil || !ok {
		return nil, err
	}
	a, okA := quantityOf(item)
	b, okB := quantityOf(other)
	if !okA || !okB {
		return nil, in.failed("quantities are expected")
	}
	_, _, ok = common(a, b)
	return truth(ok), nil
}
