package trail

import (
	"context"
	"math"
	"slices"
	"sort"
)

// find implements medium: the newest of all chains.
func (t *files) find(ctx context.Context, q find) ([]found, error) {
	var out []found
	for _, c := range t.all() {
		some, err := c.findOwn(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	if len(t.history) > 0 {
		slices.SortStableFunc(out, func(a, b found) int { return b.position().compare(a.position()) })
	}
	return out[:min(len(out), q.limit)], nil
}

// findOwn returns frames of one chain, newest first.
func (t *files) findOwn(ctx context.Context, q find) (out []found, err error) {
	bound := q.on(t.origin.Name)
	for _, v := range slices.Backward(t.views()) {
		if len(out) == q.limit {
			break
		}
		if v.first >= bound.before || v.lastTime < q.from || v.firstTime > bound.to {
			continue
		}
		if err := t.findSegment(ctx, v, q, bound, &out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// bound is the end of what a query may find in one chain.
type bound struct {
	to     int64  // highest time
	before uint64 // lowest sequence number that is out
}

// on is the bound of a chain. Times never decrease within one, so that a place
// in the own chain is a sequence number, and in another one a time.
func (q *find) on(origin string) bound {
	b := bound{q.to, math.MaxUint64}
	if q.before == (Position{}) {
		return b
	}
	switch at := q.before.Time.UnixMicro(); {
	case origin == q.before.Origin:
		b.before = q.before.Seq
	case origin < q.before.Origin:
		b.to = min(b.to, at)
	default:
		b.to = min(b.to, at-1)
	}
	return b
}

func (t *files) findSegment(ctx context.Context, v view, q find, b bound, out *[]found) error {
	r, err := t.open(v)
	if err != nil {
		return err
	}
	defer r.close()
	lo, hi, err := r.window(v.first, q.from, b)
	if err != nil {
		return err
	}
	match, err := r.match(q.clauses)
	if err != nil {
		return err
	}
	for i := hi - 1; i >= lo && len(*out) < q.limit; i-- {
		if match != nil {
			if match = match[:sort.Search(len(match), func(n int) bool { return int(match[n]) > i })]; len(match) == 0 {
				return nil
			}
			if i = int(match[len(match)-1]); i < lo {
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := r.frame(i, v.first+uint64(i))
		if err != nil {
			return err
		}
		*out = append(*out, found{t.origin.Name, f})
	}
	return nil
}

// window narrows the ordinals of a segment by date and position; times never
// decrease within a trail.
func (r *reader) window(first uint64, from int64, b bound) (lo, hi int, err error) {
	n := r.count()
	if b.before-first < uint64(n) {
		n = int(b.before - first)
	}
	at := func(i int) int64 {
		_, when, _, rerr := r.row(i)
		if rerr != nil {
			err = rerr
		}
		return when
	}
	lo = sort.Search(n, func(i int) bool { return at(i) >= from })
	hi = sort.Search(n, func(i int) bool { return at(i) > b.to })
	return lo, hi, err
}

// match intersects the clauses; nil means that every record matches.
func (r *reader) match(clauses [][]uint64) ([]uint32, error) {
	var all []uint32
	for i, clause := range clauses {
		var some []uint32
		for _, term := range clause {
			p, err := r.postings(term)
			if err != nil {
				return nil, err
			}
			some = append(some, p...)
		}
		slices.Sort(some)
		some = slices.Compact(some)
		if i > 0 {
			some = slices.DeleteFunc(some, func(o uint32) bool { _, ok := slices.BinarySearch(all, o); return !ok })
		}
		all = some
		if all == nil {
			all = []uint32{}
		}
	}
	return all, nil
}
