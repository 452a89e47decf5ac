package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"
)

// shift adds a duration to a date or time, or takes it away (N1 §6.7).
func (n *binary) shift(item Item, q Quantity) (Collection, error) {
	d := q.value
	if n.op == "-" {
		d = signed(d, true)
	}
	unit, ok := q.calendarUnit()
	if !ok {
		return nil, fail(ErrEvaluation, n.pos, "a date or time %s what is no calendar duration", n.op)
	}
	var out Item
	switch v := item.(type) {
	case Date:
		if unit.precision > toDay {
			return nil, fail(ErrEvaluation, n.pos, "a Date %s a duration shorter than a day", n.op)
		}
		ok = v.add(d, unit)
		out = v
	case DateTime:
		ok = v.add(d, unit)
		out = v
	case Time:
		if unit.precision <= toDay {
			return nil, fail(ErrEvaluation, n.pos, "a Time %s a duration longer than hours", n.op)
		}
		ok = v.addTime(d, unit)
		out = v
	}
	if !ok {
		return nil, fail(ErrEvaluation, n.pos, "a date outside of the years 1 to 9999")
	}
	return Collection{out}, nil
}

// calendarUnit is a unit in which dates are counted.
type calendarUnit struct {
	precision precision
	length    time.Duration // of days and shorter; 0 for months and years
	months    int64
}

var calendarUnits = map[string]calendarUnit{
	"year": {precision: toYear, months: 12}, "month": {precision: toMonth, months: 1},
	"week": {precision: toDay, length: 7 * 24 * time.Hour}, "day": {precision: toDay, length: 24 * time.Hour},
	"hour": {precision: toHour, length: time.Hour}, "minute": {precision: toMinute, length: time.Minute},
	"second": {precision: toSecond, length: time.Second}, "millisecond": {precision: toSecond, length: time.Millisecond},
}

// calendarUnit is that of a calendar duration, or of a UCUM unit that equals
// one. A definite year or month is an error (N1 §6.7).
func (q Quantity) calendarUnit() (calendarUnit, bool) {
	if q.foreign {
		return calendarUnit{}, false
	}
	if q.calendar {
		return calendarUnits[q.unit], true
	}
	for word, code := range definite {
		if code == q.unit && code != "a" && code != "mo" {
			return calendarUnits[word], true
		}
	}
	return calendarUnit{}, false
}

// span is a duration of days and shorter: whole days, and nanoseconds of less
// than one.
type span struct{ days, nanos int64 }

// maxDays is more than the calendar has.
const maxDays = 4_000_000

// span multiplies the unit. Fractions count for seconds only (N1 §6.7).
func (u calendarUnit) span(d *apd.Decimal) (s span, ok bool) {
	if u.precision < toSecond {
		d = rounded(d, 0, apd.RoundDown)
	}
	if d != nil {
		d = times(d, int64(u.length))
	}
	if d != nil {
		d = rounded(d, 0, apd.RoundDown)
	}
	if d == nil {
		return s, false
	}
	day := apd.New(int64(24*time.Hour), 0)
	days := exactly((*apd.Context).QuoInteger, d, day)
	rest := exactly((*apd.Context).Rem, d, day)
	if days == nil || rest == nil {
		return s, false
	}
	var errDays, errRest error
	s.days, errDays = days.Int64()
	s.nanos, errRest = rest.Int64()
	return s, errDays == nil && errRest == nil && s.days < maxDays && s.days > -maxDays
}

// add moves a date. A duration that is finer than the known precision counts in
// whole units of that precision, a year being 365 days and a month 30.
func (t *temporal) add(d *apd.Decimal, unit calendarUnit) bool {
	if unit.months > 0 {
		n := rounded(d, 0, apd.RoundDown)
		if n == nil {
			return false
		}
		count, err := n.Int64()
		return err == nil && count < maxDays && count > -maxDays && t.addMonths(count*unit.months)
	}
	s, ok := unit.span(d)
	if !ok {
		return false
	}
	switch t.precision {
	case toYear:
		return t.addMonths(s.days / 365 * 12)
	case toMonth:
		return t.addMonths(s.days / 30)
	}
	s.nanos -= s.nanos % int64(t.step())
	t.setTime(t.clockTime().AddDate(0, 0, int(s.days)).Add(time.Duration(s.nanos)))
	t.digits = max(t.digits, fractionDigits(t.nano))
	return t.year >= 1 && t.year <= 9999
}

// step is the length of a unit of the known precision.
func (t *temporal) step() time.Duration {
	switch t.precision {
	case toDay:
		return 24 * time.Hour
	case toHour:
		return time.Hour
	case toMinute:
		return time.Minute
	}
	return time.Nanosecond
}

func (t *temporal) addMonths(n int64) bool {
	if t.precision == toYear {
		n -= n % 12
	}
	total := int64(t.year)*12 + int64(max(t.month, 1)) - 1 + n
	year := total / 12
	if total < 12 || year > 9999 {
		return false
	}
	t.year = int(year)
	if t.precision >= toMonth {
		t.month = int(total%12) + 1
	}
	if t.precision >= toDay {
		t.day = min(t.day, daysIn(t.year, t.month))
	}
	return true
}

// addTime moves a time of day around the clock.
func (t *temporal) addTime(d *apd.Decimal, unit calendarUnit) bool {
	s, ok := unit.span(d)
	if !ok {
		return false
	}
	v := t.clockTime().Add(time.Duration(s.nanos - s.nanos%int64(t.step())))
	t.hour, t.minute, t.second, t.nano = v.Hour(), v.Minute(), v.Second(), v.Nanosecond()
	t.digits = max(t.digits, fractionDigits(t.nano))
	return true
}

// fractionDigits are the digits that a fraction needs, three at least.
func fractionDigits(nano int) int {
	if nano == 0 {
		return 0
	}
	digits := 9
	for ; digits > 3 && nano%10 == 0; digits-- {
		nano /= 10
	}
	return digits
}

func signed(d *apd.Decimal, minus bool) *apd.Decimal {
	if !minus {
		return d
	}
	r := new(apd.Decimal)
	return r.Neg(d)
}
