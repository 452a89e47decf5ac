package searchtest

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var prefixed = regexp.MustCompile(`^(eq|ne|gt|lt|ge|le|sa|eb|ap)?([^a-z].*)$`)

// prefix takes the prefix from an ordered value (R4 search.html#prefix).
func prefix(s string) (p, rest string) {
	m := prefixed.FindStringSubmatch(s)
	if m == nil {
		panic("ordered value " + s)
	}
	if m[1] == "" {
		m[1] = "eq"
	}
	return m[1], m[2]
}

// interval is [low, high) in time.
type interval struct{ low, high time.Time }

var (
	always = time.Unix(-1<<42, 0)
	never  = time.Unix(1<<42, 0)
	moment = regexp.MustCompile(`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$`)
)

// dated is the interval that a date names; what is not written is open to its
// end (R4 search.html#date). Without a zone it is UTC.
func dated(s string) (interval, bool) {
	m := moment.FindStringSubmatch(s)
	if m == nil {
		return interval{}, false
	}
	n := func(i, without int) int {
		if m[i] == "" {
			return without
		}
		v, _ := strconv.Atoi(m[i])
		return v
	}
	zone := time.UTC
	if z := m[8]; z != "" && z != "Z" {
		t, err := time.Parse("-07:00", z)
		if err != nil {
			return interval{}, false
		}
		zone = t.Location()
	}
	low := time.Date(n(1, 0), time.Month(n(2, 1)), n(3, 1), n(4, 0), n(5, 0), n(6, 0), 0, zone)
	switch {
	case m[2] == "":
		return interval{low, low.AddDate(1, 0, 0)}, true
	case m[3] == "":
		return interval{low, low.AddDate(0, 1, 0)}, true
	case m[4] == "":
		return interval{low, low.AddDate(0, 0, 1)}, true
	case m[6] == "":
		return interval{low, low.Add(time.Minute)}, true
	case m[7] == "":
		return interval{low, low.Add(time.Second)}, true
	}
	unit := time.Second
	for _, digit := range m[7][:min(6, len(m[7]))] {
		unit /= 10
		low = low.Add(time.Duration(digit-'0') * unit)
	}
	return interval{low, low.Add(unit)}, true
}

// times are the intervals of a date, Period or Timing.
func times(e element) (all []interval) {
	switch e.typ.Name {
	case "Period":
		start, hasStart := dated(e.text("start"))
		end, hasEnd := dated(e.text("end"))
		switch {
		case hasStart && hasEnd && !start.low.Before(end.high): // the wrong way round
			return []interval{{end.low, start.high}}
		case hasStart && hasEnd:
			return []interval{{start.low, end.high}}
		case hasStart:
			return []interval{{start.low, never}}
		case hasEnd:
			return []interval{{always, end.high}}
		}
		return nil
	case "Timing":
		for _, event := range e.under("event") {
			all = append(all, times(event)...)
		}
		for _, repeat := range e.under("repeat") {
			for _, bounds := range repeat.under("bounds") {
				if bounds.typ.Name == "Period" {
					all = append(all, times(bounds)...)
				}
			}
		}
		return all
	}
	if i, ok := dated(textOf(e.value)); ok {
		return []interval{i}
	}
	return nil
}

// acceptsDate is the table of R4 search.html#prefix on intervals.
func (q question) acceptsDate(t interval) bool {
	p, rest := prefix(q.text)
	s, ok := dated(strings.Replace(rest, " ", "+", 1))
	if !ok {
		panic("date " + q.text)
	}
	contains := !t.low.Before(s.low) && !t.high.After(s.high)
	above, below := t.high.After(s.high), t.low.Before(s.low)
	switch p {
	case "eq":
		return contains
	case "ne":
		return !contains
	case "gt":
		return above
	case "lt":
		return below
	case "ge":
		return above || contains
	case "le":
		return below || contains
	case "sa":
		return !t.low.Before(s.high)
	case "eb":
		return !t.high.After(s.low)
	}
	gap := big.NewInt(0) // ap: a tenth of the way from now, on both sides
	now := q.w.Now.UnixMicro()
	switch low, high := s.low.UnixMicro(), s.high.UnixMicro(); {
	case now < low:
		gap.SetInt64((low - now) / 10)
	case now >= high:
		gap.SetInt64((now - high) / 10)
	}
	low, high := s.low.UnixMicro()-gap.Int64(), s.high.UnixMicro()+gap.Int64()
	return t.low.UnixMicro() < high && low < t.high.UnixMicro()
}

// span is [low, high] of numbers; nil is an open end.
type span struct{ low, high *big.Rat }

func rational(v any) *big.Rat {
	s, ok := v.(interface{ String() string }) // json.Number
	if !ok {
		return nil
	}
	r, _ := new(big.Rat).SetString(s.String())
	return r
}

// implied is the precision of a number as written: half a unit of its last
// digit (R4 search.html#number).
func implied(s string) *big.Rat {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	digits := 0
	if _, fraction, ok := strings.Cut(mantissa, "."); ok {
		digits = len(fraction)
	}
	e, _ := strconv.Atoi(exponent)
	r, _ := new(big.Rat).SetString("0.5e" + strconv.Itoa(e-digits))
	return r
}

// acceptsNumber compares a number with a span; factor converts the asked
// number to the unit of the span.
func acceptsNumber(text string, factor *big.Rat, t span) bool {
	p, rest := prefix(text)
	value, ok := new(big.Rat).SetString(rest)
	if !ok {
		panic("number " + text)
	}
	half := implied(rest)
	if tenth := new(big.Rat).Mul(new(big.Rat).Abs(value), big.NewRat(1, 10)); p == "ap" && tenth.Cmp(half) > 0 {
		half = tenth
	}
	low := new(big.Rat).Mul(new(big.Rat).Sub(value, half), factor)
	high := new(big.Rat).Mul(new(big.Rat).Add(value, half), factor)
	value.Mul(value, factor)
	bounded := t.low != nil && t.high != nil
	contains := bounded && low.Cmp(t.low) <= 0 && t.high.Cmp(high) < 0
	above := t.high == nil || t.high.Cmp(value) > 0
	below := t.low == nil || t.low.Cmp(value) < 0
	same := bounded && t.low.Cmp(value) == 0 && t.high.Cmp(value) == 0
	switch p {
	case "eq":
		return contains
	case "ne":
		return !contains
	case "gt":
		return above
	case "lt":
		return below
	case "ge":
		return above || same
	case "le":
		return below || same
	case "sa":
		return t.low != nil && t.low.Cmp(value) > 0
	case "eb":
		return t.high != nil && t.high.Cmp(value) < 0
	}
	return (t.low == nil || t.low.Cmp(high) <= 0) && (t.high == nil || t.high.Cmp(low) >= 0)
}

var one = big.NewRat(1, 1)

// rangeOf is the span of a Range; ends that stand the wrong way round change
// places.
func rangeOf(e element) span {
	var s span
	for _, end := range e.under("low") {
		s.low = rational(end.member("value"))
	}
	for _, end := range e.under("high") {
		s.high = rational(end.member("value"))
	}
	if s.low != nil && s.high != nil && s.low.Cmp(s.high) > 0 {
		s.low, s.high = s.high, s.low
	}
	return s
}
