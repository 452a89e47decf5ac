package fhirpath

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir/ucum"
)

// asQuantity is a number with the default unit (N1 §5.5.7).
func asQuantity(item Item) Quantity {
	d, _ := number(item)
	return Quantity{value: d, unit: "1"}
}

// definite are the UCUM units of calendar durations (N1 §4.1.8).
var definite = map[string]string{"year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}

// long reports a calendar year or month, whose length is not fixed.
func (q Quantity) long() bool { return q.calendar && (q.unit == "year" || q.unit == "month") }

// ucum is the unit, nil for what is none.
func (q Quantity) ucum() *ucum.Unit {
	switch {
	case q.foreign:
		return nil
	case q.calendar:
		return ucum.Lookup(definite[q.unit])
	}
	return ucum.Lookup(q.unit)
}

// sameUnit reports whether the numbers compare as they are.
func sameUnit(a, b Quantity) bool {
	return a.foreign == b.foreign && a.calendar == b.calendar && a.unit == b.unit && a.unit != ""
}

// times returns a number times a small factor.
func times(d *apd.Decimal, n int64) *apd.Decimal {
	return exactly((*apd.Context).Mul, d, apd.New(n, 0))
}

// common brings two quantities to one unit. ok is false when there is none: for
// other dimensions, unknown units, and a calendar year or month beside a
// definite duration (N1 §6.1.1).
func common(a, b Quantity) (x, y *apd.Decimal, ok bool) {
	switch {
	case sameUnit(a, b):
		return a.value, b.value, true
	case a.long() || b.long():
		if !a.calendar || !b.calendar {
			return nil, nil, false
		}
		if a.long() && b.long() {
			x, y = times(a.value, months[a.unit]), times(b.value, months[b.unit])
		} else {
			x, y = times(a.value, millis[a.unit]), times(b.value, millis[b.unit])
		}
		return x, y, x != nil && y != nil
	}
	u, v := a.ucum(), b.ucum()
	if u == nil || v == nil || u.Base() != v.Base() {
		return nil, nil, false
	}
	x, okX := u.ToBase(a.value)
	y, okY := v.ToBase(b.value)
	return x, y, okX && okY
}

// months and millis are the factors of N1 §5.5.7.
var (
	months = map[string]int64{"year": 12, "month": 1}
	millis = map[string]int64{"year": 365 * dayMillis, "month": 30 * dayMillis, "week": 7 * dayMillis, "day": dayMillis,
		"hour": 3600_000, "minute": 60_000, "second": 1000, "millisecond": 1}
)

const dayMillis = 86_400_000

func equalQuantities(a, b Quantity) answer {
	x, y, ok := common(a, b)
	if !ok {
		return undecided
	}
	return decided(x.Cmp(y) == 0)
}

// equivalentQuantities compares at the precision of the less precise one, and
// calendar durations as definite ones (N1 §6.1.2).
func equivalentQuantities(a, b Quantity) bool {
	if sameUnit(a, b) {
		return equivalentNumbers(a.value, b.value)
	}
	u, v := a.ucum(), b.ucum()
	if u == nil || v == nil || u.Base() != v.Base() {
		return false
	}
	// The step of the last digit of each, in the base unit, tells which is
	// coarser; the other one is converted to its unit.
	if stepOf(u, a.value).Cmp(stepOf(v, b.value)) < 0 {
		a, b, u, v = b, a, v, u
	}
	base, ok := v.ToBase(b.value)
	if !ok {
		return false
	}
	converted, ok := u.FromBase(base)
	if !ok {
		return false
	}
	places := significantScale(a.value)
	x, y := rounded(a.value, places, apd.RoundHalfUp), rounded(converted, places, apd.RoundHalfUp)
	return x != nil && y != nil && x.Cmp(y) == 0
}

func stepOf(u *ucum.Unit, d *apd.Decimal) *apd.Decimal {
	step := apd.New(1, int32(-significantScale(d)))
	high, ok := u.ToBase(step)
	low, ok2 := u.ToBase(new(apd.Decimal))
	if !ok || !ok2 {
		return new(apd.Decimal)
	}
	if d := exactly((*apd.Context).Sub, high, low); d != nil {
		return d
	}
	return new(apd.Decimal)
}

// addQuantities adds or subtracts; the unit is the finer of the two (N1 §6.6.3).
func addQuantities(f calc, a, b Quantity) (Quantity, bool) {
	if a.foreign || b.foreign {
		return Quantity{}, false
	}
	if !sameUnit(a, b) {
		var ok bool
		if a, b, ok = align(a, b); !ok {
			return Quantity{}, false
		}
	}
	d := exactly(f, a.value, b.value)
	a.value = d
	return a, d != nil
}

// align converts the quantity with the coarser unit to the other's.
func align(a, b Quantity) (Quantity, Quantity, bool) {
	if a.calendar && b.calendar {
		factor := months
		if !a.long() || !b.long() {
			factor = millis
		}
		if factor[a.unit] < factor[b.unit] {
			b.value = divide(times(b.value, factor[b.unit]), apd.New(factor[a.unit], 0))
			b.unit = a.unit
		} else {
			a.value = divide(times(a.value, factor[a.unit]), apd.New(factor[b.unit], 0))
			a.unit = b.unit
		}
		return a, b, a.value != nil && b.value != nil
	}
	if a.long() || b.long() {
		return a, b, false
	}
	u, v := a.ucum(), b.ucum()
	if u == nil || v == nil || u.Base() != v.Base() {
		return a, b, false
	}
	if stepOf(u, one).Cmp(stepOf(v, one)) <= 0 {
		var ok bool
		b, ok = b.to(v, a, u)
		return a, b, ok
	}
	a, ok := a.to(u, b, v)
	return a, b, ok
}

// to converts from the unit u to that of model.
func (q Quantity) to(u *ucum.Unit, model Quantity, v *ucum.Unit) (Quantity, bool) {
	base, ok := u.ToBase(q.value)
	if !ok {
		return q, false
	}
	d, ok := v.FromBase(base)
	if !ok {
		return q, false
	}
	d = trimmed(d)
	return Quantity{value: d, unit: model.unit, calendar: model.calendar}, d != nil
}

// multiplyQuantities multiplies or divides the values and the units. A unit of
// the other's dimension is converted to it first, so that cm times m is cm2.
func multiplyQuantities(a, b Quantity, division bool) (Quantity, bool) {
	a.unit, a.calendar = a.code(), false
	b.unit, b.calendar = b.code(), false
	u, v := a.ucum(), b.ucum()
	if u == nil || v == nil || !u.Ratio() || !v.Ratio() {
		return Quantity{}, false
	}
	if a.unit != b.unit && u.Base() == v.Base() && u.Base() != "1" {
		var ok bool
		if b, ok = b.to(v, a, u); !ok {
			return Quantity{}, false
		}
	}
	unit := productUnit(a.unit, b.unit, division)
	if ucum.Lookup(unit) == nil {
		return Quantity{}, false
	}
	if division {
		d := divide(a.value, b.value)
		return Quantity{value: d, unit: unit}, d != nil
	}
	d := exactly((*apd.Context).Mul, a.value, b.value)
	return Quantity{value: d, unit: unit}, d != nil
}

// code is the UCUM code of the unit.
func (q Quantity) code() string {
	if q.calendar {
		return definite[q.unit]
	}
	return q.unit
}
