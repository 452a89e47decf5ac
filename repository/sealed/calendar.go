package sealed

import (
	"math"
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/fhir/search"
)

// Dates are indexed by the calendar nodes that hold a day, in UTC: the day, its
// sixth of a month, month, quarter, year and decade; outside of 1900 to 2099
// also the era before or after. A range is the union of the largest nodes that
// it covers, about 8 to 40 of them; what lies partly in an era takes all of it,
// and the recheck decides.
const (
	firstYear = 1900
	lastYear  = 2099
)

// date is a day of the calendar.
type date struct{ year, month, day int }

// dayOf is the day of a moment in microseconds; open ends are far outside.
func dayOf(micros int64) date {
	switch micros {
	case search.Beginning:
		return date{math.MinInt32, 1, 1}
	case search.EndOfTime:
		return date{math.MaxInt32, 12, 31}
	}
	y, m, d := time.UnixMicro(micros).UTC().Date()
	return date{y, int(m), d}
}

// sixth is the part of the month: days 1–6, 7–12, 13–18, 19–24, 25 to the end.
func (d date) sixth() int { return min((d.day-1)/6, 4) }

func (d date) before(o date) bool {
	return d.year < o.year || d.year == o.year && (d.month < o.month || d.month == o.month && d.day < o.day)
}

// node names one calendar node: a letter for its level and a number.
func node(level byte, n int) string { return string(level) + strconv.Itoa(n) }

const (
	eraBefore = "e0"
	eraAfter  = "e9"
)

// nodes are those that hold the day.
func (d date) nodes(visit func(string)) {
	switch {
	case d.year < firstYear:
		visit(eraBefore)
		return
	case d.year > lastYear:
		visit(eraAfter)
		return
	}
	month := d.year*12 + d.month - 1
	visit(node('d', month*31+d.day-1))
	visit(node('s', month*5+d.sixth()))
	visit(node('m', month))
	visit(node('q', d.year*4+(d.month-1)/3))
	visit(node('y', d.year))
	visit(node('z', d.year/10))
}

// cover visits nodes that together hold every day from first to last.
func cover(first, last date, visit func(string)) {
	if last.before(first) {
		return
	}
	if first.year < firstYear {
		visit(eraBefore)
		first = date{firstYear, 1, 1}
	}
	if last.year > lastYear {
		visit(eraAfter)
		last = date{lastYear, 12, 31}
	}
	for !last.before(first) {
		first = largest(first, last, visit)
	}
}

// largest visits the largest node that begins with the first day and does not
// reach beyond the last, and returns the day after it.
func largest(first, last date, visit func(string)) date {
	month := first.year*12 + first.month - 1
	for _, l := range [...]struct {
		level  byte
		number int
		starts bool
		next   func() date
	}{
		{'z', first.year / 10, first.year%10 == 0 && first.month == 1 && first.day == 1, func() date { return date{first.year + 10, 1, 1} }},
		{'y', first.year, first.month == 1 && first.day == 1, func() date { return date{first.year + 1, 1, 1} }},
		{'q', first.year*4 + (first.month-1)/3, first.month%3 == 1 && first.day == 1, func() date { return addMonths(first, 3) }},
		{'m', month, first.day == 1, func() date { return addMonths(first, 1) }},
		{'s', month*5 + first.sixth(), first.day%6 == 1 && first.day <= 25, func() date { return nextSixth(first) }},
	} {
		if !l.starts {
			continue
		}
		if next := l.next(); !last.before(dayBefore(next)) {
			visit(node(l.level, l.number))
			return next
		}
	}
	visit(node('d', month*31+first.day-1))
	return normal(date{first.year, first.month, first.day + 1})
}

func addMonths(d date, n int) date { return normal(date{d.year, d.month + n, 1}) }

func nextSixth(d date) date {
	if d.sixth() == 4 {
		return addMonths(d, 1)
	}
	return date{d.year, d.month, d.sixth()*6 + 7}
}

func dayBefore(d date) date { return normal(date{d.year, d.month, d.day - 1}) }

func normal(d date) date {
	y, m, day := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC).Date()
	return date{y, int(m), day}
}
