package sealed

import (
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// span is what an operand on a date asks of the two ends of a value: the days
// in which the first and the last moment may lie. An open end is as far as
// dates go.
type span struct{ lowFrom, lowTo, highFrom, highTo date }

var (
	firstDay = dayOf(search.Beginning)
	lastDay  = dayOf(search.EndOfTime)
)

// spanOf translates a prefix (R4 search.html#prefix); false for what leaves
// nearly everything.
func spanOf(o *search.Operand, now time.Time) (s span, ok bool) {
	s = span{firstDay, lastDay, firstDay, lastDay}
	from, until := dayOf(o.From), dayOf(lastMoment(o.Until))
	switch o.Prefix {
	case search.NotEqual:
		return s, false
	case search.Equal:
		s.lowFrom, s.lowTo, s.highFrom, s.highTo = from, until, from, until
	case search.Greater:
		s.highFrom = until
	case search.GreaterOrEqual:
		s.highFrom = from
	case search.Less:
		s.lowTo = from
	case search.LessOrEqual:
		s.lowTo = until
	case search.StartsAfter:
		s.lowFrom = until
	case search.EndsBefore:
		s.highTo = from
	case search.Approximately:
		wide, end := o.ApproximateTime(now)
		s.highFrom, s.lowTo = dayOf(wide), dayOf(lastMoment(end))
	}
	return s, true
}

// meet is what both spans ask of one value.
func (s span) meet(o span) span {
	later := func(a, b date) date {
		if a.before(b) {
			return b
		}
		return a
	}
	sooner := func(a, b date) date {
		if b.before(a) {
			return b
		}
		return a
	}
	return span{later(s.lowFrom, o.lowFrom), sooner(s.lowTo, o.lowTo), later(s.highFrom, o.highFrom), sooner(s.highTo, o.highTo)}
}

// dates plans the conditions on dates. Those on one parameter that has a single
// value become one range (decision 26); a value within one day is then in both
// of its ends' clauses, so that the narrower range counts.
func (b *planner) dates() {
	done := map[*search.Parameter]bool{}
	for _, c := range b.ranges {
		switch {
		case len(c.Operands) > 1 || !c.Parameter.Single:
			b.dateAlternatives(c)
		case !done[c.Parameter]:
			done[c.Parameter] = true
			b.dateRange(c)
		}
	}
}

// dateRange plans every single-valued condition on the parameter as one.
func (b *planner) dateRange(c *search.Condition) {
	all := span{firstDay, lastDay, firstDay, lastDay}
	bounded := false
	for _, other := range b.ranges {
		if other.Parameter != c.Parameter || len(other.Operands) != 1 {
			continue
		}
		if s, ok := spanOf(&other.Operands[0], b.scope.Now); ok {
			all, bounded = all.meet(s), true
		}
	}
	if !bounded {
		b.leave(c, "ne leaves nearly everything")
		return
	}
	parts := b.parts(c.Parameter)
	if all.lowTo != lastDay || all.lowFrom != firstDay {
		b.clause(c, parts, func(q *query) { q.lowEnd(all) })
	}
	if all.highFrom != firstDay || all.highTo != lastDay {
		b.clause(c, parts, func(q *query) { q.highEnd(all) })
	}
}

// dateAlternatives plans alternatives, and values of parameters that repeat: one
// clause, which looks at the end that each alternative limits.
func (b *planner) dateAlternatives(c *search.Condition) {
	spans := make([]span, len(c.Operands))
	if slices.ContainsFunc(c.Operands, func(o search.Operand) bool { return o.Prefix == search.NotEqual }) {
		b.leave(c, "ne leaves nearly everything")
		return
	}
	for i := range c.Operands {
		spans[i], _ = spanOf(&c.Operands[i], b.scope.Now)
	}
	b.clause(c, b.parts(c.Parameter), func(q *query) {
		for _, s := range spans {
			if s.lowTo != lastDay || s.lowFrom != firstDay {
				q.lowEnd(s)
			} else {
				q.highEnd(s)
			}
		}
	})
}

// points adds the values within one day: both ends limit it.
func (q *query) points(s span) {
	both := s.meet(span{s.highFrom, s.highTo, s.lowFrom, s.lowTo})
	cover(both.lowFrom, both.lowTo, func(n string) { q.add(blind.DatePoint, n) })
}

func (q *query) lowEnd(s span) {
	q.exact = false
	q.points(s)
	cover(s.lowFrom, s.lowTo, func(n string) { q.add(blind.DateLow, n) })
}

func (q *query) highEnd(s span) {
	q.exact = false
	q.points(s)
	cover(s.highFrom, s.highTo, func(n string) { q.add(blind.DateHigh, n) })
}
