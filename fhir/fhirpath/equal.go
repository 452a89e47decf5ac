package fhirpath

import (
	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
)

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
	if err := ev.spend(pos, 1); err != nil {
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

// set finds equal items. What has a key is looked up; the rest, dates and
// complex elements, is compared one by one within its kind.
type set struct {
	ev    *evaluation
	pos   int
	keys  map[any]struct{}
	lists map[bucket]Collection
}

// bucket holds what may be equal.
type bucket struct {
	kind string
	hash uint64
}

func (ev *evaluation) newSet(pos int) *set {
	return &set{ev: ev, pos: pos, keys: map[any]struct{}{}, lists: map[bucket]Collection{}}
}

// numberKey keys equal numbers alike.
type numberKey string

func keyOf(item Item) (key any, list bucket) {
	switch v := item.(type) {
	case Boolean, String, TypeInfo:
		return v, bucket{}
	case Integer, Decimal:
		d, _ := number(v)
		return reducedKey(d), bucket{kind: "quantity"}
	case Quantity:
		return nil, bucket{kind: "quantity"}
	case Date, DateTime:
		return nil, bucket{kind: "date"}
	case Time:
		return nil, bucket{kind: "time"}
	case *Element:
		return nil, bucket{kind: v.typ.Name, hash: hashNode(v.node)}
	}
	return nil, bucket{}
}

func reducedKey(d *apd.Decimal) numberKey {
	if d.Sign() == 0 {
		return "0"
	}
	r := new(apd.Decimal)
	r.Reduce(d)
	return numberKey(r.Text('e'))
}

// charge pays for reading a complex element.
func (s *set) charge(item Item) error {
	if e, ok := item.(*Element); ok && e.node != nil {
		return s.ev.spend(s.pos, countNodes(e.node))
	}
	return nil
}

// has reports whether an equal item was added.
func (s *set) has(item Item) (bool, error) {
	v := convert(item)
	if err := s.charge(v); err != nil {
		return false, err
	}
	key, list := keyOf(v)
	if key != nil {
		if _, ok := s.keys[key]; ok || list.kind == "" {
			return ok, s.ev.spend(s.pos, 1)
		}
	}
	for _, other := range s.lists[list] {
		if key != nil {
			if _, ok := other.(Quantity); !ok {
				continue
			}
		}
		if same, err := s.ev.equalItems(s.pos, other, v); err != nil || same == yes {
			return same == yes, err
		}
	}
	return false, nil
}

// add adds the item and reports whether it is new.
func (s *set) add(item Item) (bool, error) {
	found, err := s.has(item)
	if err != nil || found {
		return false, err
	}
	v := convert(item)
	key, list := keyOf(v)
	if key != nil {
		s.keys[key] = struct{}{}
	}
	if list.kind != "" {
		s.lists[list] = append(s.lists[list], v)
	}
	return true, nil
}

// addPlace is add for repeat: an element that was added is found by its place
// in the tree without comparing.
func (s *set) addPlace(item Item) (bool, error) {
	if e, ok := item.(*Element); ok && !e.primitive() && e.node != nil {
		if _, ok := s.keys[e.node]; ok {
			return false, s.ev.spend(s.pos, 1)
		}
		s.keys[e.node] = struct{}{}
	}
	return s.add(item)
}

func (ev *evaluation) find(pos int, list Collection, item Item) (bool, error) {
	for _, other := range list {
		if same, err := ev.equalItems(pos, other, item); err != nil || same == yes {
			return same == yes, err
		}
	}
	return false, nil
}

// distinct drops items that equal an earlier one (N1 §5.1.12).
func (ev *evaluation) distinct(pos int, lists ...Collection) (Collection, error) {
	s := ev.newSet(pos)
	var out Collection
	for _, c := range lists {
		for _, item := range c {
			fresh, err := s.add(item)
			if err != nil {
				return nil, err
			}
			if fresh {
				out = append(out, item)
			}
		}
	}
	return out, ev.hold(pos, out)
}

func (ev *evaluation) union(pos int, a, b Collection) (Collection, error) {
	return ev.distinct(pos, a, b)
}
