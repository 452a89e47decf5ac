package fhirpath

import (
	"strconv"
	"strings"
	"time"
)

// precision is how much of a date or time is known.
type precision uint8

const (
	toYear precision = iota + 1
	toMonth
	toDay
	toHour
	toMinute
	toSecond
)

// temporal is a partial date and time. Seconds and their fraction are one
// precision (N1 §6.1.1); the fraction is kept to the nanosecond.
type temporal struct {
	year, month, day     int
	hour, minute, second int
	nano                 int
	digits               int // of the fraction, as written
	precision            precision
	zoned                bool
	offset               int // minutes east of UTC
}

// Date is a System.Date.
type Date struct{ temporal }

// DateTime is a System.DateTime.
type DateTime struct{ temporal }

// Time is a System.Time.
type Time struct{ temporal }

// parseDateTime reads YYYY[-MM[-DD]][T[hh[:mm[:ss[.fff]]][zone]]]. hasT tells
// that the T was there.
func parseDateTime(s string) (t temporal, hasT, ok bool) {
	date, clock, hasT := strings.Cut(s, "T")
	fields := strings.Split(date, "-")
	if len(fields) > 3 {
		return t, hasT, false
	}
	for i, f := range fields {
		n, ok := fixed(f, 2+2*b2i(i == 0))
		if !ok {
			return t, hasT, false
		}
		switch i {
		case 0:
			t.year, t.precision = n, toYear
		case 1:
			t.month, t.precision = n, toMonth
		case 2:
			t.day, t.precision = n, toDay
		}
	}
	if !t.validDate() {
		return t, hasT, false
	}
	if clock == "" {
		return t, hasT, true
	}
	if t.precision != toDay {
		return t, hasT, false
	}
	if at := strings.IndexAny(clock, "Z+-"); at >= 0 {
		if !t.parseZone(clock[at:]) {
			return t, hasT, false
		}
		clock = clock[:at]
	}
	return t, hasT, t.parseClock(clock)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parseTime reads hh[:mm[:ss[.fff]]].
func parseTime(s string) (t temporal, ok bool) {
	ok = t.parseClock(s)
	return t, ok
}

func (t *temporal) parseClock(s string) bool {
	clock, fraction, fractional := strings.Cut(s, ".")
	fields := strings.Split(clock, ":")
	if len(fields) > 3 || fractional && len(fields) != 3 {
		return false
	}
	for i, f := range fields {
		n, ok := fixed(f, 2)
		if !ok {
			return false
		}
		switch i {
		case 0:
			t.hour, t.precision = n, toHour
		case 1:
			t.minute, t.precision = n, toMinute
		case 2:
			t.second, t.precision = n, toSecond
		}
	}
	if fractional && !t.parseFraction(fraction) {
		return false
	}
	return t.hour < 24 && t.minute < 60 && t.second < 60
}

func (t *temporal) parseFraction(s string) bool {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return false
	}
	t.digits = min(len(s), 9)
	t.nano, _ = strconv.Atoi((s + "000000000")[:9])
	return true
}

func (t *temporal) parseZone(s string) bool {
	t.zoned = true
	if s == "Z" {
		return true
	}
	h, m, ok := strings.Cut(s[1:], ":")
	hours, okH := fixed(h, 2)
	minutes, okM := fixed(m, 2)
	t.offset = hours*60 + minutes
	if s[0] == '-' {
		t.offset = -t.offset
	}
	return ok && okH && okM && minutes < 60 && hours <= 14
}

// fixed reads a number of exactly n digits.
func fixed(s string, n int) (int, bool) {
	if len(s) != n || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.Atoi(s)
	return v, err == nil
}

func (t *temporal) validDate() bool {
	switch {
	case t.year == 0,
		t.precision >= toMonth && (t.month < 1 || t.month > 12),
		t.precision >= toDay && (t.day < 1 || t.day > daysIn(t.year, t.month)):
		return false
	}
	return true
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month+1), 0, 0, 0, 0, 0, time.UTC).Day()
}

// appendDate appends YYYY[-MM[-DD]].
func (t *temporal) appendDate(b []byte) []byte {
	b = pad(b, t.year, 4)
	if t.precision >= toMonth {
		b = pad(append(b, '-'), t.month, 2)
	}
	if t.precision >= toDay {
		b = pad(append(b, '-'), t.day, 2)
	}
	return b
}

func (t *temporal) appendClock(b []byte) []byte {
	b = pad(b, t.hour, 2)
	if t.precision >= toMinute {
		b = pad(append(b, ':'), t.minute, 2)
	}
	if t.precision >= toSecond {
		b = pad(append(b, ':'), t.second, 2)
	}
	if t.digits > 0 {
		b = append(b, '.')
		b = append(b, pad(nil, t.nano, 9)[:t.digits]...)
	}
	return b
}

func pad(b []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for i := len(s); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

// String is the date in FHIR's form.
func (d Date) String() string { return string(d.appendDate(nil)) }

// String is the time in FHIR's form, at the known precision.
func (t Time) String() string { return string(t.appendClock(nil)) }

// String is the dateTime in FHIR's form, at the known precision.
func (d DateTime) String() string {
	b := d.appendDate(nil)
	if d.precision < toHour {
		return string(b)
	}
	b = d.appendClock(append(b, 'T'))
	if !d.zoned {
		return string(b)
	}
	if d.offset == 0 {
		return string(append(b, 'Z'))
	}
	sign, off := byte('+'), d.offset
	if off < 0 {
		sign, off = '-', -off
	}
	b = pad(append(b, sign), off/60, 2)
	return string(pad(append(b, ':'), off%60, 2))
}

// clockTime is the known part as if it were UTC; what is unknown is the earliest.
func (t *temporal) clockTime() time.Time {
	return time.Date(max(t.year, 1), time.Month(max(t.month, 1)), max(t.day, 1), t.hour, t.minute, t.second, t.nano, time.UTC)
}

// setTime takes the fields from v, the precision stays.
func (t *temporal) setTime(v time.Time) {
	t.year, t.month, t.day = v.Year(), int(v.Month()), v.Day()
	t.hour, t.minute, t.second, t.nano = v.Hour(), v.Minute(), v.Second(), v.Nanosecond()
}

// atUTC converts to UTC where the offset is known.
func (t temporal) atUTC() temporal {
	if t.zoned && t.offset != 0 && t.precision >= toHour {
		t.setTime(t.clockTime().Add(-time.Duration(t.offset) * time.Minute))
		t.offset = 0
	}
	return t
}
