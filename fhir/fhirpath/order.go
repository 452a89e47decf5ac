package fhirpath

import "time"

// order is the answer of a comparison that may be undecided.
type order uint8

const (
	unknown order = iota
	less
	same
	greater
)

// compareTemporal compares at each precision (N1 §6.1.1, §6.2). dates tells
// that years to days take part.
func compareTemporal(a, b temporal, dates bool) order {
	if dates && a.zoned != b.zoned {
		return compareMixed(a, b)
	}
	if a.zoned {
		a, b = a.atUTC(), b.atUTC()
	}
	first := toYear
	if !dates {
		first = toHour
	}
	for p := first; p <= toSecond; p++ {
		switch {
		case a.precision < p && b.precision < p:
			return same
		case a.precision < p || b.precision < p:
			return unknown
		}
		if o := compareInts(a.part(p), b.part(p)); o != same {
			return o
		}
	}
	return same
}

func compareInts(a, b int64) order {
	switch {
	case a < b:
		return less
	case a > b:
		return greater
	}
	return same
}

func (t *temporal) part(p precision) int64 {
	switch p {
	case toYear:
		return int64(t.year)
	case toMonth:
		return int64(t.month)
	case toDay:
		return int64(t.day)
	case toHour:
		return int64(t.hour)
	case toMinute:
		return int64(t.minute)
	}
	return int64(t.second)*1e9 + int64(t.nano)
}

// compareMixed compares a value with an offset to one without: decided only
// when every offset gives the same answer.
func compareMixed(a, b temporal) order {
	lowA, highA := a.interval()
	lowB, highB := b.interval()
	switch {
	case !highA.After(lowB):
		return less
	case !lowA.Before(highB):
		return greater
	}
	return unknown
}

// interval is the range of instants, the end excluded, that the value may be.
func (t temporal) interval() (low, high time.Time) {
	low = t.clockTime()
	switch t.precision {
	case toYear:
		high = low.AddDate(1, 0, 0)
	case toMonth:
		high = low.AddDate(0, 1, 0)
	case toDay:
		high = low.AddDate(0, 0, 1)
	case toHour:
		high = low.Add(time.Hour)
	case toMinute:
		high = low.Add(time.Minute)
	default:
		high = low.Add(time.Nanosecond)
	}
	if t.zoned {
		shift := -time.Duration(t.offset) * time.Minute
		return low.Add(shift), high.Add(shift)
	}
	return low.Add(-14 * time.Hour), high.Add(12 * time.Hour)
}
