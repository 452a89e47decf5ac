package fhirpath

import "slices"

// sortItems orders by the keys, the items themselves without one; what has no
// key comes first. The order of equals stays.
func sortItems(in *invocation, c Collection) (Collection, error) {
	type row struct {
		item Item
		keys []Item
	}
	rows := make([]row, len(c))
	for i, item := range c {
		rows[i].item = item
		if len(in.args) == 0 {
			rows[i].keys = []Item{convert(item)}
		}
		for k := range in.args {
			key, err := in.argFor(k, item, i)
			if err != nil {
				return nil, err
			}
			if len(key) > 1 {
				return nil, in.failed("a key of several items")
			}
			var v Item
			if len(key) == 1 {
				v = convert(key[0])
			}
			rows[i].keys = append(rows[i].keys, v)
		}
	}
	var failed error
	slices.SortStableFunc(rows, func(a, b row) int {
		if failed == nil {
			failed = in.ev.spend(in.pos, 1)
		}
		for k := range a.keys {
			o, err := in.orderKeys(a.keys[k], b.keys[k])
			if err != nil && failed == nil {
				failed = err
			}
			if len(in.args) > k {
				if d, down := in.args[k].(*descending); down && !(d.emptyFirst && (a.keys[k] == nil || b.keys[k] == nil)) {
					o = -o
				}
			}
			if o != 0 {
				return o
			}
		}
		return 0
	})
	out := make(Collection, len(rows))
	for i := range rows {
		out[i] = rows[i].item
	}
	return out, failed
}

func (in *invocation) orderKeys(a, b Item) (int, error) {
	switch {
	case a == nil && b == nil:
		return 0, nil
	case a == nil:
		return -1, nil
	case b == nil:
		return 1, nil
	}
	o, comparable := compareItems(a, b)
	if !comparable {
		return 0, in.failed("keys of different types")
	}
	switch o {
	case less:
		return -1, nil
	case greater:
		return 1, nil
	}
	return 0, nil
}
