package fhirpath

import "github.com/cockroachdb/apd/v3"

// maxDigits bounds numbers. FHIR wants about 18 digits; sums and products are
// exact up to here, and empty as an overflow beyond (N1 §6.6).
const maxDigits = 400

// exact never rounds: an operation that would is an overflow.
var exact = apd.Context{Precision: maxDigits, MaxExponent: maxDigits, MinExponent: -2 * maxDigits, Traps: apd.DefaultTraps | apd.Inexact}

// quotient is the context of what has no exact result: 28 digits, the range of
// N1 §4.1.4.
var quotient = apd.Context{Precision: 28, MaxExponent: maxDigits, MinExponent: -2 * maxDigits, Rounding: apd.RoundHalfUp, Traps: apd.DefaultTraps}

// working has digits in reserve for functions whose result is rounded to quotient.
var working = apd.Context{Precision: 40, MaxExponent: 4 * maxDigits, MinExponent: -4 * maxDigits, Rounding: apd.RoundHalfEven, Traps: apd.DefaultTraps}

var one = apd.New(1, 0)

// number is the value of an Integer or Decimal.
func number(item Item) (*apd.Decimal, bool) {
	switch v := item.(type) {
	case Integer:
		return apd.New(int64(v), 0), true
	case Decimal:
		return v.d, true
	}
	return nil, false
}

// calc is the type of the methods of apd.Context with two operands.
type calc func(*apd.Context, *apd.Decimal, *apd.Decimal, *apd.Decimal) (apd.Condition, error)

// exactly computes without rounding; nil on overflow.
func exactly(f calc, a, b *apd.Decimal) *apd.Decimal {
	d := new(apd.Decimal)
	if _, err := f(&exact, d, a, b); err != nil {
		return nil
	}
	return d
}

// divide is nil for a division by zero and on overflow.
func divide(a, b *apd.Decimal) *apd.Decimal {
	if b.Sign() == 0 {
		return nil
	}
	d := new(apd.Decimal)
	if _, err := quotient.Quo(d, a, b); err != nil {
		return nil
	}
	return trimmed(d)
}

// trimmed drops zeros at the end, but not those before the point.
func trimmed(d *apd.Decimal) *apd.Decimal {
	d.Reduce(d)
	if d.Exponent > 0 {
		if _, err := exact.Quantize(d, d, 0); err != nil {
			return nil
		}
	}
	return d
}

// scale is the number of digits after the point.
func scale(d *apd.Decimal) int { return max(0, -int(d.Exponent)) }

// significantScale is the scale without zeros at the end (N1 §6.1.2).
func significantScale(d *apd.Decimal) int {
	r := new(apd.Decimal)
	r.Reduce(d)
	return scale(r)
}

// rounded has the number of digits after the point; halves go away from zero,
// as N1 §5.7.9 rounds.
func rounded(d *apd.Decimal, places int, how apd.Rounder) *apd.Decimal {
	c := exact
	c.Traps &^= apd.Inexact
	c.Rounding = how
	r := new(apd.Decimal)
	if _, err := c.Quantize(r, d, int32(-places)); err != nil {
		return nil
	}
	return r
}
