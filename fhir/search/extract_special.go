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

// part collects the values of a component below n.
func (x *extraction) part(p program, n *fhir.Node) []Value {
	var found []Value
	for _, l := range p.leaves {
		switch {
		case l.reader == nil:
		case l.fromRoot:
			found = append(found, x.sharedPart(l)...)
		default:
			found = append(found, x.collect(l, n, -1)...)
		}
	}
	return found
}

func (x *extraction) sharedPart(l *leaf) []Value {
	values, known := x.shared[l]
	if !known {
		values = x.collect(l, x.root, maxShared)
		if x.shared == nil {
			x.shared = map[*leaf][]Value{}
		}
		x.shared[l] = values
	}
	return values
}

// collect lists the values of a leaf below n, at most the given number of them
// unless it is negative.
func (x *extraction) collect(l *leaf, n *fhir.Node, most int) []Value {
	var found []Value
	inner := extraction{c: x.c, root: x.root, visit: func(v *Value) bool {
		found = append(found, *v)
		return len(found) != most
	}}
	walk(l.steps, n, func(n *fhir.Node) bool { return l.reader(&inner, n, l) })
	return found
}
