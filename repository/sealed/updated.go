package sealed

import (
	"math"

	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// updated narrows by the clear time of the last change, which is a moment to
// the microsecond; what the client sees of it is cut to milliseconds, so that
// the range is taken a millisecond wider.
func (b *planner) updated(c *search.Condition) {
	const slack = 1000
	b.Exact = false
	if len(c.Operands) != 1 || c.Operands[0].Prefix == search.NotEqual {
		b.leave(c, "alternatives of times are compared one by one")
		return
	}
	from, until := int64(math.MinInt64), int64(math.MaxInt64)
	switch o := &c.Operands[0]; o.Prefix {
	case search.Equal:
		from, until = o.From, o.Until
	case search.Greater, search.StartsAfter:
		from = o.Until
	case search.GreaterOrEqual:
		from = o.From
	case search.Less, search.EndsBefore:
		until = o.From
	case search.LessOrEqual:
		until = o.Until
	default:
		b.leave(c, "ap depends on the time of asking")
		return
	}
	if from > math.MinInt64+slack {
		b.Query.Since = max(b.Query.Since, repository.Stamp(max(from-slack, 1)))
	}
	if until < math.MaxInt64-slack {
		limit := repository.Stamp(max(until+slack, 1))
		if b.Query.Until == 0 || limit < b.Query.Until {
			b.Query.Until = limit
		}
	}
	b.Clauses = append(b.Clauses, Clause{Parameter: c.Name, Scope: "updated", Used: true})
}
