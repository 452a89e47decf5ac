package search

import "github.com/cockroachdb/apd/v3"

// acceptsQuantity compares a quantity (R4 search.html#quantity). Without a unit
// the number alone counts; number||code looks for the code or the unit that
// people read; number|system|code finds every UCUM unit of the same dimension,
// by its canonical value.
func acceptsQuantity(o *Operand, v *Value) bool {
	switch {
	case o.Form == Bare,
		o.Form == AnySystem && (v.Code == o.Code || v.Unit == o.Code),
		o.Form == Exact && v.System == o.System && v.Code == o.Code:
		return acceptsNumber(o, v)
	case o.Form != Exact || o.System != UCUM || v.System != UCUM || v.Code == "":
		return false
	}
	n, unit, ok := o.canonical()
	if !ok {
		return false
	}
	lowUnit, low, ok := canonicalEnd(v.Code, v.Low)
	if !ok || v.Low != nil && lowUnit != unit {
		return false
	}
	highUnit, high, ok := canonicalEnd(v.Code, v.High)
	if !ok || v.High != nil && highUnit != unit {
		return false
	}
	if low != nil && high != nil && low.Cmp(high) > 0 { // a unit that falls as its value grows
		low, high = high, low
	}
	return n.accept(o.Prefix, low, high)
}

// canonical is what the operand compares with, in canonical units.
func (o *Operand) canonical() (n numbers, unit string, ok bool) {
	of := o.numbers()
	unit, value, ok1 := Canonical(o.System, o.Code, of.value)
	_, low, ok2 := Canonical(o.System, o.Code, of.low)
	_, high, ok3 := Canonical(o.System, o.Code, of.high)
	if !ok1 || !ok2 || !ok3 {
		return numbers{}, "", false
	}
	if low.Cmp(high) > 0 {
		low, high = high, low
	}
	return numbers{value, low, high}, unit, true
}

// canonicalEnd converts one end of an interval; an open one stays open.
func canonicalEnd(code string, d *apd.Decimal) (string, *apd.Decimal, bool) {
	if d == nil {
		return "", nil, true
	}
	return Canonical(UCUM, code, d)
}
