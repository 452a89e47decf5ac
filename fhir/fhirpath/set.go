package fhirpath

import "github.com/cockroachdb/apd/v3"

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

// wholeKey and numberKey key equal numbers alike.
type (
	wholeKey  int64
	numberKey string
)

func keyOf(item Item) (key any, list bucket) {
	switch v := item.(type) {
	case Boolean, String, TypeInfo:
		return v, bucket{}
	case Integer:
		return wholeKey(v), bucket{}
	case Decimal:
		return decimalKey(v.d), bucket{}
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

func decimalKey(d *apd.Decimal) any {
	if i, err := d.Int64(); err == nil {
		return wholeKey(i)
	}
	r := new(apd.Decimal)
	r.Reduce(d)
	return numberKey(r.Text('e'))
}

// charge pays for reading the item.
func (s *set) charge(item Item) error {
	if e, ok := item.(*Element); ok && e.node != nil {
		return s.ev.spend(s.pos, cost(e.node))
	}
	return s.ev.spend(s.pos, textCost(item))
}

// has reports whether an equal item was added.
func (s *set) has(item Item) (bool, error) {
	v := convert(item)
	if err := s.charge(v); err != nil {
		return false, err
	}
	key, list := keyOf(v)
	if key != nil {
		if _, ok := s.keys[key]; ok {
			return true, s.ev.spend(s.pos, 1)
		}
	}
	if err := s.ev.spend(s.pos, 1); err != nil {
		return false, err
	}
	for _, other := range s.lists[list] {
		if same, err := s.ev.equalItems(s.pos, other, v); err != nil || same == yes {
			return same == yes, err
		}
	}
	if _, ok := v.(Quantity); ok {
		return s.hasNumber(v)
	}
	return false, nil
}

// hasNumber looks for a number that equals the quantity.
func (s *set) hasNumber(q Item) (bool, error) {
	for key := range s.keys {
		var n Item
		switch k := key.(type) {
		case wholeKey:
			n = Decimal{apd.New(int64(k), 0)}
		case numberKey:
			n = parseDecimal(string(k))
		default:
			continue
		}
		if same, err := s.ev.equalItems(s.pos, n, q); err != nil || same == yes {
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
	if list.kind != "" && key == nil {
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
