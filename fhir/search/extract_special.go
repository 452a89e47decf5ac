package search

import (
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
)

// readPosition emits a position in degrees, as near compares it
// (R4 location.html#search).
func readPosition(x *extraction, n *fhir.Node, l *leaf) bool {
	latitude, okLat := degrees(n.Member("latitude"), 90)
	longitude, okLong := degrees(n.Member("longitude"), 180)
	if !okLat || !okLong {
		return true
	}
	x.v.Latitude, x.v.Longitude = latitude, longitude
	return x.emit(Special, l)
}

func degrees(n *fhir.Node, most float64) (float64, bool) {
	if n == nil || n.Kind() != fhir.Number {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(n.Raw()), 64)
	return v, err == nil && v >= -most && v <= most
}

// readComposite emits one value per base element: for each component the list
// of its values below that element. An element that lacks one of them has no
// value (R4 search.html#composite).
func readComposite(x *extraction, n *fhir.Node, l *leaf) bool {
	for _, p := range l.parts { // most elements lack a part, which is cheap to see
		if !x.has(p, n) {
			return true
		}
	}
	parts := make([][]Value, len(l.parts))
	for i := range l.parts {
		if parts[i] = x.part(l.parts[i], n); len(parts[i]) == 0 {
			return true
		}
	}
	x.v.Parts = parts
	return x.emit(Composite, l)
}

// maxShared bounds the values of a part that stands at the resource and is
// compared once for every base element (the chromosome of each variant of a
// MolecularSequence): the work is their product. Real ones have one or two
// codings; what is beyond the bound is not found.
const maxShared = 32

// has reports whether the component selects any element below n.
func (x *extraction) has(p program, n *fhir.Node) bool {
	for _, l := range p.leaves {
		start := n
		if l.fromRoot {
			start = x.root
		}
		if l.reader != nil && !walk(l.steps, start, func(*fhir.Node) bool { return false }) {
			return true
		}
	}
	return false
}

// part collects the values of a component below n.
func (x *extraction) part(p program, n *fhir.Node) []Value {
	var found []Value
	for _, l := range p.leaves {
		switch {
		case l.reader == nil:
		case l.fromRoot:
			found = append(found, x.sharedPart(l)...)
		default:
			found = x.collect(found, l, n, -1)
		}
	}
	return found
}

func (x *extraction) sharedPart(l *leaf) []Value {
	values, known := x.shared[l]
	if !known {
		values = x.collect(nil, l, x.root, maxShared)
		if x.shared == nil {
			x.shared = map[*leaf][]Value{}
		}
		x.shared[l] = values
	}
	return values
}

// collect appends the values of a leaf below n, until there are the given
// number of them, unless it is negative.
func (x *extraction) collect(found []Value, l *leaf, n *fhir.Node, most int) []Value {
	inner := extraction{c: x.c, root: x.root, visit: func(v *Value) bool {
		found = append(found, *v)
		return len(found) != most
	}}
	walk(l.steps, n, func(n *fhir.Node) bool { return l.reader(&inner, n, l) })
	return found
}
