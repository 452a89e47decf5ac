package search

import (
	"math"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// acceptsDate compares two intervals by the table of R4 search.html#prefix.
// "The range above the search value" begins where the operand's interval ends.
func acceptsDate(o *Operand, v *Value, now time.Time) bool {
	within := o.From <= v.From && v.Until <= o.Until
	above, under := v.Until > o.Until, v.From < o.From
	switch o.Prefix {
	case Equal:
		return within
	case NotEqual:
		return !within
	case Greater:
		return above
	case Less:
		return under
	case GreaterOrEqual:
		return above || within
	case LessOrEqual:
		return under || within
	case StartsAfter:
		return v.From >= o.Until
	case EndsBefore:
		return v.Until <= o.From
	case Approximately:
		from, until := o.ApproximateTime(now)
		return v.From < until && from < v.Until
	}
	return false
}

// ApproximateTime is the interval that ap compares a date with: the operand's,
// wider on both sides by a tenth of the distance from now to it
// (R4 search.html#prefix).
func (o *Operand) ApproximateTime(now time.Time) (from, until int64) {
	n := now.UnixMicro()
	gap := int64(0)
	switch {
	case n < o.From:
		gap = o.From - n
	case n >= o.Until:
		gap = n - o.Until
	}
	return saturatingAdd(o.From, -gap/10), saturatingAdd(o.Until, gap/10)
}

func saturatingAdd(a, b int64) int64 {
	switch {
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}

// numbers is what an ordered operand compares with: the exact value, and the
// implied precision [low, high).
type numbers struct{ value, low, high *apd.Decimal }

// acceptsNumber compares a number or range (R4 search.html#number).
func acceptsNumber(o *Operand, v *Value) bool {
	return o.numbers().accept(o.Prefix, v.Low, v.High)
}

func (o *Operand) numbers() numbers {
	n := numbers{o.Value, o.Low, o.High}
	if o.Prefix == Approximately {
		n.low, n.high = o.ApproximateRange()
	}
	return n
}

// accept compares with [low, high], whose nil ends are open. eq, ne and ap look
// at the implied precision, all other prefixes at the exact value
// (R4 search.html#number).
func (n numbers) accept(p Prefix, low, high *apd.Decimal) bool {
	above := high == nil || high.Cmp(n.value) > 0
	under := low == nil || low.Cmp(n.value) < 0
	same := low != nil && high != nil && low.Cmp(n.value) == 0 && high.Cmp(n.value) == 0
	switch p {
	case Equal:
		return n.contain(low, high)
	case NotEqual:
		return !n.contain(low, high)
	case Greater:
		return above
	case Less:
		return under
	case GreaterOrEqual:
		return above || same
	case LessOrEqual:
		return under || same
	case StartsAfter:
		return low != nil && low.Cmp(n.value) > 0
	case EndsBefore:
		return high != nil && high.Cmp(n.value) < 0
	case Approximately:
		return (low == nil || low.Cmp(n.high) <= 0) && (high == nil || high.Cmp(n.low) >= 0)
	}
	return false
}

func (n numbers) contain(low, high *apd.Decimal) bool {
	return low != nil && high != nil && low.Cmp(n.low) >= 0 && high.Cmp(n.high) < 0
}

// ApproximateRange is the closed interval that ap compares a number with: a
// tenth of the value on both sides, and never less than the implied precision
// (R4 search.html#prefix).
func (o *Operand) ApproximateRange() (low, high *apd.Decimal) {
	tenth := new(apd.Decimal).Abs(o.Value)
	tenth.Exponent--
	low, high = new(apd.Decimal), new(apd.Decimal)
	_, errLow := exact.Sub(low, o.Value, tenth)
	_, errHigh := exact.Add(high, o.Value, tenth)
	if errLow != nil || low.Cmp(o.Low) > 0 {
		low = o.Low
	}
	if errHigh != nil || high.Cmp(o.High) < 0 {
		high = o.High
	}
	return low, high
}
