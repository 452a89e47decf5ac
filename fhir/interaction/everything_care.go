package interaction

import (
	"math"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// careDates is a range of care dates in microseconds: [from, until).
type careDates struct {
	given       bool
	from, until int64
}

func newCareDates(start, end string) (s careDates, err error) {
	s = careDates{from: math.MinInt64, until: math.MaxInt64}
	var ok bool
	if start != "" {
		if s.from, _, ok = search.ParseTime(start); !ok {
			return s, fail(Malformed, nil, "start must be a date")
		}
	}
	if end != "" {
		if _, s.until, ok = search.ParseTime(end); !ok {
			return s, fail(Malformed, nil, "end must be a date")
		}
	}
	s.given = start != "" || end != ""
	return s, nil
}

// holds reports whether the care that a resource is about fell into the span.
// What says nothing about time belongs to every span.
//
// When care happened is what R4 maps to the "done", "init" and "planned" of
// its FiveWs pattern (fivews.html); types that have none of these say when it
// was recorded.
func (s careDates) holds(r *fhir.Resource, reg *definition.Registry) bool {
	t := reg.Type(r.Type())
	var when times
	for _, wanted := range [...][]string{{"done", "init", "planned"}, {"recorded"}} {
		for _, e := range t.Elements {
			for _, w := range wanted {
				if strings.Contains(e.FiveWs, w) {
					when.element(r.Root(), e)
				}
			}
		}
		if when.known {
			break
		}
	}
	if has(r.Root(), "onset") && !has(r.Root(), "abatement") { // R4 condition.html: it goes on
		when.until = math.MaxInt64
	}
	return !when.known || when.from < s.until && when.until > s.from
}

// has reports whether a choice element is there.
func has(root *fhir.Node, name string) bool {
	for i := range root.Len() {
		if strings.HasPrefix(root.At(i).Name(), name) {
			return true
		}
	}
	return false
}

// times is the hull of the times of a resource.
type times struct {
	known       bool
	from, until int64
}

// element adds the values of an element.
func (t *times) element(root *fhir.Node, e *definition.Element) {
	for i := range root.Len() {
		if m := root.At(i); m.Name() == e.Name || e.Choice && strings.HasPrefix(m.Name(), e.Name) {
			t.add(m)
		}
	}
}

// add reads a date, a Period, or a Timing with its events and bounds.
func (t *times) add(n *fhir.Node) {
	switch n.Kind() {
	case fhir.String:
		if from, until, ok := search.ParseTime(n.Text()); ok {
			t.hull(from, until)
		}
	case fhir.Array:
		for i := range n.Len() {
			t.add(n.At(i))
		}
	case fhir.Object:
		start, end := n.Member("start"), n.Member("end")
		if start != nil || end != nil {
			t.period(start.Text(), end.Text())
		}
		for _, name := range [...]string{"event", "repeat", "boundsPeriod"} {
			if m := n.Member(name); m != nil {
				t.add(m)
			}
		}
	}
}

func (t *times) period(start, end string) {
	from, until := int64(math.MinInt64), int64(math.MaxInt64)
	if f, _, ok := search.ParseTime(start); ok {
		from = f
	}
	if _, u, ok := search.ParseTime(end); ok {
		until = u
	}
	t.hull(from, until)
}

func (t *times) hull(from, until int64) {
	if !t.known {
		t.known, t.from, t.until = true, from, until
		return
	}
	t.from, t.until = min(t.from, from), max(t.until, until)
}
