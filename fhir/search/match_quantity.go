package search

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir/ucum"
)

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
	case o.Form != Exact || o.System != ucum.System || v.System != ucum.System || v.Code == "":
		return false
	}
	base := o.base
	if base == nil {
		base = o.canonical()
	}
	low, high, unit, ok := CanonicalEnds(v)
	return ok && base.unit != "" && unit == base.unit && base.accept(o.Prefix, low, high)
}

// baseNumbers is what an operand compares with in canonical units; unit is
// empty when there are none.
type baseNumbers struct {
	numbers
	unit string
}

// canonical converts the operand.
func (o *Operand) canonical() *baseNumbers {
	of := o.numbers()
	unit, value, ok1 := ucum.Canonical(o.System, o.Code, of.value)
	_, low, ok2 := ucum.Canonical(o.System, o.Code, of.low)
	_, high, ok3 := ucum.Canonical(o.System, o.Code, of.high)
	if !ok1 || !ok2 || !ok3 {
		return &baseNumbers{}
	}
	return &baseNumbers{numbers{value, low, high}, unit}
}

// CanonicalEnds converts the interval of a quantity in UCUM units; an open end
// stays open. A conversion never turns an interval around: UCUM's factors are
// positive, and logarithmic units stay as they are.
func CanonicalEnds(v *Value) (low, high *apd.Decimal, unit string, ok bool) {
	ok = v.Low != nil || v.High != nil
	if v.Low != nil {
		unit, low, ok = ucum.Canonical(v.System, v.Code, v.Low)
	}
	switch {
	case v.High == nil || !ok:
	case v.High == v.Low:
		high = low
	default:
		unit, high, ok = ucum.Canonical(v.System, v.Code, v.High)
	}
	return low, high, unit, ok
}
