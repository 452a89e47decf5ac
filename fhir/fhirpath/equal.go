package fhirpath

import "github.com/fieldseal/fieldseal/fhir"

// answer is true, false or empty.
type answer uint8

const (
	undecided answer = iota
	no
	yes
)

func decided(b bool) answer {
	if b {
		return yes
	}
	return no
}

// equal compares two collections that are not empty (N1 §6.1.1).
func (ev *evaluation) equal(pos int, a, b Collection) (answer, error) {
	if len(a) != len(b) {
		return no, nil
	}
	result := yes
	for i := range a {
		v, err := ev.equalItems(pos, a[i], b[i])
		if err != nil || v == no {
			return no, err
		}
		if v == undecided {
			result = undecided
		}
	}
	return result, nil
}

func (ev *evaluation) equalItems(pos int, a, b Item) (answer, error) {
	if err := ev.spend(pos, 1+textCost(a)+textCost(b)); err != nil {
		return no, err
	}
	x, y := convert(a), convert(b)
	ex, isElement := x.(*Element)
	ey, other := y.(*Element)
	switch {
	case isElement && other:
		if ex.typ != ey.typ {
			return no, nil
		}
		same, err := ev.equalNodes(pos, ex.node, ey.node)
		if err == nil && same && ex.primitive() {
			same, err = ev.equalNodes(pos, ex.sibling, ey.sibling)
		}
		return decided(same), err
	case isElement || other:
		return no, nil
	}
	return equalValues(x, y), nil
}

// textCost is what reading the text of an item costs, in steps.
func textCost(item Item) int {
	switch v := item.(type) {
	case String:
		return len(v) / 64
	case *Element:
		if v.node != nil {
			return len(v.node.Raw()) / 64
		}
	}
	return 0
}

func equalValues(a, b Item) answer {
	switch x := a.(type) {
	case Boolean, String, TypeInfo:
		return decided(a == b)
	case Integer, Decimal:
		if q, ok := b.(Quantity); ok {
			return equalQuantities(asQuantity(a), q)
		}
		m, _ := number(a)
		n, ok := number(b)
		return decided(ok && m.Cmp(n) == 0)
	case Quantity:
		if _, ok := number(b); ok {
			b = asQuantity(b)
		}
		y, ok := b.(Quantity)
		if !ok {
			return no
		}
		return equalQuantities(x, y)
	}
	o, comparable := compareTemporals(a, b)
	switch {
	case !comparable:
		return no
	case o == unknown:
		return undecided
	}
	return decided(o == same)
}

// compareTemporals compares what are dates and times; a Date beside a DateTime
// becomes one (N1 §5.5).
func compareTemporals(a, b Item) (order, bool) {
	if x, ok := a.(Time); ok {
		y, ok := b.(Time)
		if !ok {
			return unknown, false
		}
		return compareTemporal(x.temporal, y.temporal, false), true
	}
	x, okX := dateOf(a)
	y, okY := dateOf(b)
	if !okX || !okY {
		return unknown, false
	}
	return compareTemporal(x, y, true), true
}

func dateOf(item Item) (temporal, bool) {
	switch v := item.(type) {
	case Date:
		return v.temporal, true
	case DateTime:
		return v.temporal, true
	}
	return temporal{}, false
}

// equalNodes compares trees: members in any order, items in order, numbers by
// value.
func (ev *evaluation) equalNodes(pos int, a, b *fhir.Node) (bool, error) {
	if a == nil || b == nil {
		return a == b, nil
	}
	if err := ev.spend(pos, 1); err != nil {
		return false, err
	}
	if a.Kind() != b.Kind() {
		return false, nil
	}
	switch a.Kind() {
	case fhir.Object:
		return ev.equalObjects(pos, a, b)
	case fhir.Array:
		if a.Len() != b.Len() {
			return false, nil
		}
		for i := range a.Len() {
			if same, err := ev.equalNodes(pos, a.At(i), b.At(i)); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case fhir.String:
		return a.Text() == b.Text(), ev.spend(pos, len(a.Raw())/64)
	case fhir.Number:
		return equalNumbers(a, b), nil
	}
	return string(a.Raw()) == string(b.Raw()), nil
}

func (ev *evaluation) equalObjects(pos int, a, b *fhir.Node) (bool, error) {
	if a.Len() != b.Len() {
		return false, nil
	}
	for i := range a.Len() {
		m := a.At(i)
		other := b.At(i)
		if other.Name() != m.Name() {
			if other = b.Member(m.Name()); other == nil {
				return false, nil
			}
			if err := ev.spend(pos, b.Len()/8); err != nil {
				return false, err
			}
		}
		if same, err := ev.equalNodes(pos, m, other); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func equalNumbers(a, b *fhir.Node) bool {
	if string(a.Raw()) == string(b.Raw()) {
		return true
	}
	x, okX := parseNumber(string(a.Raw()))
	y, okY := parseNumber(string(b.Raw()))
	return okX && okY && x.Cmp(y) == 0
}

func (ev *evaluation) find(pos int, list Collection, item Item) (bool, error) {
	for _, other := range list {
		if same, err := ev.equalItems(pos, other, item); err != nil || same == yes {
			return same == yes, err
		}
	}
	return false, nil
}
