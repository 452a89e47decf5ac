package fhirpath

import (
	"strings"
	"unicode"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
)

// equivalent compares in any order (N1 §6.1.2).
func (ev *evaluation) equivalent(pos int, a, b Collection) (bool, error) {
	if len(a) != len(b) {
		return false, nil
	}
	return matchAll(len(a), func(i, j int) (bool, error) { return ev.equivalentItems(pos, a[i], b[j]) })
}

// matchAll pairs each of n things with another one of n, the nearest first.
func matchAll(n int, same func(i, j int) (bool, error)) (bool, error) {
	used := make([]bool, n)
	for i := range n {
		found := false
		for k := 0; k < n && !found; k++ {
			j := (i + k) % n
			if used[j] {
				continue
			}
			ok, err := same(i, j)
			if err != nil {
				return false, err
			}
			if ok {
				used[j], found = true, true
			}
		}
		if !found {
			return false, nil
		}
	}
	return true, nil
}

func (ev *evaluation) equivalentItems(pos int, a, b Item) (bool, error) {
	if err := ev.spend(pos, 1+textCost(a)+textCost(b)); err != nil {
		return false, err
	}
	x, y := convert(a), convert(b)
	ex, isElement := x.(*Element)
	ey, other := y.(*Element)
	if isElement || other {
		if !isElement || !other || ex.typ != ey.typ {
			return false, nil
		}
		same, err := ev.equivalentNodes(pos, ex.node, ey.node)
		if err == nil && same && ex.primitive() {
			same, err = ev.equivalentNodes(pos, ex.sibling, ey.sibling)
		}
		return same, err
	}
	return ev.equivalentValues(pos, x, y)
}

func (ev *evaluation) equivalentValues(pos int, a, b Item) (bool, error) {
	switch x := a.(type) {
	case String:
		y, ok := b.(String)
		return ok && sameText(string(x), string(y)), ev.spend(pos, len(x)/64)
	case Integer, Decimal:
		if q, ok := b.(Quantity); ok {
			return equivalentQuantities(asQuantity(a), q), nil
		}
		m, _ := number(a)
		n, ok := number(b)
		return ok && equivalentNumbers(m, n), nil
	case Quantity:
		if _, ok := number(b); ok {
			b = asQuantity(b)
		}
		y, ok := b.(Quantity)
		return ok && equivalentQuantities(x, y), nil
	}
	return equalValues(a, b) == yes, nil // undecided is false
}

// equivalentNumbers compares at the precision of the less precise one.
func equivalentNumbers(a, b *apd.Decimal) bool {
	places := min(significantScale(a), significantScale(b))
	x, y := rounded(a, places, apd.RoundHalfUp), rounded(b, places, apd.RoundHalfUp)
	return x != nil && y != nil && x.Cmp(y) == 0
}

// sameText ignores case, and which white space it is.
func sameText(a, b string) bool {
	return strings.EqualFold(a, b) || strings.EqualFold(spaced(a), spaced(b))
}

func spaced(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		return r
	}, s)
}

func (ev *evaluation) equivalentNodes(pos int, a, b *fhir.Node) (bool, error) {
	if a == nil || b == nil {
		return a == b, nil
	}
	if err := ev.spend(pos, 1); err != nil || a.Kind() != b.Kind() {
		return false, err
	}
	switch a.Kind() {
	case fhir.Object, fhir.Array:
		if a.Len() != b.Len() {
			return false, nil
		}
		return matchAll(a.Len(), func(i, j int) (bool, error) {
			x, y := a.At(i), b.At(j)
			if x.Name() != y.Name() {
				return false, ev.spend(pos, 1)
			}
			return ev.equivalentNodes(pos, x, y)
		})
	case fhir.String:
		return sameText(a.Text(), b.Text()), ev.spend(pos, len(a.Raw())/64)
	case fhir.Number:
		x, okX := parseNumber(string(a.Raw()))
		y, okY := parseNumber(string(b.Raw()))
		return okX && okY && equivalentNumbers(x, y), nil
	}
	return string(a.Raw()) == string(b.Raw()), nil
}
