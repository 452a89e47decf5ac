package search

import "github.com/fieldseal/fieldseal/fhir"

func readDate(x *extraction, n *fhir.Node, l *leaf) bool {
	from, until, ok := ParseTime(n.Text())
	if !ok {
		return true
	}
	x.v.From, x.v.Until = from, until
	return x.emit(Date, l)
}

// readPeriod emits the interval from the first of start to the last of end; a
// missing bound is open (R4 search.html#date). An end before the start
// contradicts per-1 (R4 datatypes.html#Period): then it is the interval that
// holds both, so that From is before Until in every value.
func readPeriod(x *extraction, n *fhir.Node, l *leaf) bool {
	from, startUntil, startsAt := ParseTime(n.Member("start").Text())
	endFrom, until, endsAt := ParseTime(n.Member("end").Text())
	switch {
	case !startsAt && !endsAt:
		return true
	case !startsAt:
		from = Beginning
	case !endsAt:
		until = EndOfTime
	case until <= from:
		from, until = endFrom, startUntil
	}
	x.v.From, x.v.Until = from, until
	return x.emit(Date, l)
}

// readTiming emits every event and the bounds within which the rest repeats.
// Bounds that are a Duration or Range have no place in time.
func readTiming(x *extraction, n *fhir.Node, l *leaf) bool {
	if events := n.Member("event"); events != nil && events.Kind() == fhir.Array {
		for i := range events.Len() {
			if !readDate(x, events.At(i), l) {
				return false
			}
		}
	}
	if bounds := n.Member("repeat").Member("boundsPeriod"); bounds != nil {
		return readPeriod(x, bounds, l)
	}
	return true
}
