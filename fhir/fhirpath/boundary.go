package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"
)

// boundary is lowBoundary and highBoundary: the least and the greatest value
// that the input may stand for, at a precision (hl7.org/fhirpath, lowBoundary).
func boundary(high bool) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		item, ok, err := in.one(c)
		if err != nil {
			return nil, err
		}
		digits, given, err := in.integerArg(0)
		if err != nil || !ok {
			return nil, err
		}
		if !given {
			digits = -1
		} else if digits < 0 {
			return nil, nil
		}
		var out Item
		switch v := item.(type) {
		case Integer, Decimal:
			d, _ := number(v)
			out = decimalBoundary(d, digits, high)
		case Quantity:
			if b, ok := decimalBoundary(v.value, digits, high).(Decimal); ok {
				v.value = b.d
				out = v
			}
		case Date:
			out = v.boundary(digits, high)
		case DateTime:
			out = v.boundary(digits, high)
		case Time:
			out = v.boundary(digits, high)
		default:
			return nil, in.failed("a number, a date or a time is expected")
		}
		if out == nil {
			return nil, nil
		}
		return Collection{out}, nil
	}
}

// decimalBoundary is half a step of the last digit away. A value that has no
// digit left at the precision is zero there, on both sides.
func decimalBoundary(d *apd.Decimal, digits int, high bool) Item {
	if digits < 0 {
		digits = 8
	}
	if digits > maxPlaces {
		return nil
	}
	places := scale(d)
	unit := apd.New(1, int32(-digits))
	if places > digits && new(apd.Decimal).Abs(d).Cmp(unit) < 0 {
		zero := apd.New(0, int32(-digits))
		zero.Negative = d.Negative
		return Decimal{zero}
	}
	half := apd.New(5, int32(-places-1))
	f, how := (*apd.Context).Sub, apd.RoundFloor
	if high {
		f, how = (*apd.Context).Add, apd.RoundCeiling
	}
	r := exactly(f, d, half)
	if r != nil {
		r = rounded(r, digits, how)
	}
	if r == nil {
		return nil
	}
	return Decimal{r}
}

// dateDigits are the numbers of digits that stand for each precision.
var dateDigits = map[int]precision{4: toYear, 6: toMonth, 8: toDay, 10: toHour, 12: toMinute, 14: toSecond, 17: toSecond}

func (d Date) boundary(digits int, high bool) Item {
	if digits < 0 {
		digits = 8
	}
	p, ok := dateDigits[digits]
	if !ok || p > toDay {
		return nil
	}
	t := d.temporal
	t.fill(high)
	t.precision = p
	return Date{t}
}

func (d DateTime) boundary(digits int, high bool) Item {
	if digits < 0 {
		digits = 17
	}
	p, ok := dateDigits[digits]
	if !ok {
		return nil
	}
	t := d.temporal
	t.fill(high)
	t.precision, t.digits = p, 0
	if digits == 17 {
		t.digits = 3
	}
	if !t.zoned && p >= toHour {
		t.zoned, t.offset = true, 14*60
		if high {
			t.offset = -12 * 60
		}
	}
	return DateTime{t}
}

func (t Time) boundary(digits int, high bool) Item {
	if digits < 0 {
		digits = 9
	}
	p, ok := dateDigits[digits+8]
	if !ok || p < toHour {
		return nil
	}
	v := t.temporal
	v.fill(high)
	v.precision, v.digits = p, 0
	if digits == 9 {
		v.digits = 3
	}
	return Time{v}
}

// fill gives the unknown parts their least or greatest value; the fraction has
// milliseconds.
func (t *temporal) fill(high bool) {
	if t.precision < toMonth {
		t.month = 1 + 11*b2i(high)
	}
	if t.precision < toDay {
		t.day = 1
		if high {
			t.day = daysIn(t.year, t.month)
		}
	}
	if t.precision < toHour {
		t.hour = 23 * b2i(high)
	}
	if t.precision < toMinute {
		t.minute = 59 * b2i(high)
	}
	if t.precision < toSecond {
		t.second = 59 * b2i(high)
	}
	if t.digits == 0 {
		t.nano = int(999*time.Millisecond) * b2i(high)
	}
}

// precisionOf counts digits (hl7.org/fhirpath, precision).
func precisionOf(in *invocation, c Collection) (Collection, error) {
	item, ok, err := in.one(c)
	if err != nil || !ok {
		return nil, err
	}
	switch v := item.(type) {
	case Integer, Decimal:
		d, _ := number(v)
		return Collection{Integer(scale(d))}, nil
	case Date:
		return Collection{v.digitCount(0)}, nil
	case DateTime:
		return Collection{v.digitCount(0)}, nil
	case Time:
		return Collection{v.digitCount(8)}, nil
	}
	return nil, in.failed("a number, a date or a time is expected")
}

func (t *temporal) digitCount(absent int) Integer {
	n := [...]int{0, 4, 6, 8, 10, 12, 14}[t.precision] - absent
	if t.precision == toSecond {
		n += t.digits
	}
	return Integer(n)
}
