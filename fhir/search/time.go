package search

import "time"

// ParseTime reads a date, dateTime or instant, also with fewer parts, and a
// time without seconds as a query may have it (R4 search.html#date). The
// interval is what the text names: from its first to before its until, in
// microseconds since the Unix epoch. Without a zone the text counts as UTC.
// Digits after the sixth of a second are cut off. The second :60 is the first
// of the next minute (UTC has leap seconds, the epoch count has none).
func ParseTime(s string) (from, until int64, ok bool) {
	t := timeText{s}
	year, ok := t.number(4)
	if !ok || year == 0 {
		return 0, 0, false
	}
	month, day := 1, 1
	if t.s == "" {
		return micros(year, 1, 1), micros(year+1, 1, 1), true
	}
	if month, ok = t.after('-', 1, 12); !ok {
		return 0, 0, false
	}
	if t.s == "" {
		return micros(year, month, 1), micros(year, month+1, 1), true
	}
	if day, ok = t.after('-', 1, daysIn(year, month)); !ok {
		return 0, 0, false
	}
	from = micros(year, month, day)
	if t.s == "" {
		return from, from + microsPerDay, true
	}
	if !t.skip('T') {
		return 0, 0, false
	}
	offset, width, ok := t.clock()
	return from + offset, from + offset + width, ok
}

const (
	microsPerSecond = int64(1_000_000)
	microsPerMinute = 60 * microsPerSecond
	microsPerHour   = 60 * microsPerMinute
	microsPerDay    = 24 * microsPerHour
)

func micros(year, month, day int) int64 {
	return time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).UnixMicro()
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// timeText is the rest of a text that is read from the left.
type timeText struct{ s string }

func (t *timeText) skip(c byte) bool {
	if t.s == "" || t.s[0] != c {
		return false
	}
	t.s = t.s[1:]
	return true
}

// number takes exactly n digits.
func (t *timeText) number(n int) (int, bool) {
	if len(t.s) < n {
		return 0, false
	}
	v := 0
	for i := range n {
		if t.s[i] < '0' || t.s[i] > '9' {
			return 0, false
		}
		v = v*10 + int(t.s[i]-'0')
	}
	t.s = t.s[n:]
	return v, true
}

// after takes the separator and two digits within the bounds.
func (t *timeText) after(sep byte, low, high int) (int, bool) {
	if !t.skip(sep) {
		return 0, false
	}
	v, ok := t.number(2)
	return v, ok && v >= low && v <= high
}

// clock reads hh:mm[:ss[.fff]][zone] to its end: the offset from midnight UTC
// and the width of what is named.
func (t *timeText) clock() (offset, width int64, ok bool) {
	hour, ok := t.number(2)
	if !ok || hour > 23 {
		return 0, 0, false
	}
	minute, ok := t.after(':', 0, 59)
	if !ok {
		return 0, 0, false
	}
	offset, width = int64(hour)*microsPerHour+int64(minute)*microsPerMinute, microsPerMinute
	if t.s != "" && t.s[0] == ':' {
		second, ok := t.after(':', 0, 60)
		if !ok {
			return 0, 0, false
		}
		offset, width = offset+int64(second)*microsPerSecond, microsPerSecond
		if t.skip('.') {
			fraction, unit, ok := t.fraction()
			if !ok {
				return 0, 0, false
			}
			offset, width = offset+fraction, unit
		}
	}
	zone, ok := t.zone()
	return offset - zone, width, ok && t.s == ""
}

// fraction reads the digits after the point: their microseconds, and those of
// a unit of the last digit.
func (t *timeText) fraction() (value, unit int64, ok bool) {
	unit = microsPerSecond
	for t.s != "" && t.s[0] >= '0' && t.s[0] <= '9' {
		if unit > 1 {
			unit /= 10
			value += int64(t.s[0]-'0') * unit
		}
		t.s, ok = t.s[1:], true
	}
	return value, unit, ok
}

// zone reads Z, +hh:mm, -hh:mm or nothing, at most 14 hours from UTC.
func (t *timeText) zone() (offset int64, ok bool) {
	if t.s == "" || t.skip('Z') {
		return 0, true
	}
	sign := int64(1)
	switch {
	case t.skip('-'):
		sign = -1
	case !t.skip('+'):
		return 0, false
	}
	hour, ok := t.number(2)
	if !ok {
		return 0, false
	}
	minute, ok := t.after(':', 0, 59)
	if !ok || hour > 14 || hour == 14 && minute > 0 {
		return 0, false
	}
	return sign * (int64(hour)*microsPerHour + int64(minute)*microsPerMinute), true
}
