package fhirpath

import (
	"slices"
)

// filtering are the functions of N1 §5.2 to §5.4, §6.3, §7 and sort.
var filtering = map[string]*function{
	"where":     {min: 1, max: 1, each: true, returns: ofInput, eval: where},
	"select":    {min: 1, max: 1, each: true, returns: ofResult, eval: selectEach},
	"repeat":    {min: 1, max: 1, each: true, returns: ofAny, eval: repeat},
	"ofType":    {min: 1, max: 1, types: true, returns: ofAny, eval: ofType},
	"as":        {min: 1, max: 1, types: true, returns: ofAny, eval: asFunction},
	"is":        {min: 1, max: 1, types: true, returns: ofSystem, eval: isFunction},
	"single":    {returns: ofInput, eval: single},
	"first":     {ordered: true, returns: ofInput, eval: func(_ *invocation, c Collection) (Collection, error) { return c[:min(1, len(c))], nil }},
	"last":      {ordered: true, returns: ofInput, eval: func(_ *invocation, c Collection) (Collection, error) { return c[max(0, len(c)-1):], nil }},
	"tail":      {ordered: true, returns: ofInput, eval: func(_ *invocation, c Collection) (Collection, error) { return c[min(1, len(c)):], nil }},
	"skip":      {min: 1, max: 1, ordered: true, returns: ofInput, eval: skip},
	"take":      {min: 1, max: 1, ordered: true, returns: ofInput, eval: take},
	"intersect": {min: 1, max: 1, returns: ofInput, eval: intersect},
	"exclude":   {min: 1, max: 1, returns: ofInput, eval: exclude},
	"union":     {min: 1, max: 1, returns: ofAny, eval: union},
	"combine":   {min: 1, max: 1, returns: ofAny, eval: combine},
	"aggregate": {min: 1, max: 2, each: true, returns: ofAny, eval: aggregate},
	"iif":       {min: 2, max: 3, returns: ofAny, eval: iif},
	"sort":      {max: 16, each: true, returns: ofInput, eval: sortItems},
	"coalesce":  {min: 1, max: 64, returns: ofAny, eval: coalesce},
}

func where(in *invocation, c Collection) (Collection, error) {
	var out Collection
	for i, item := range c {
		ok, err := in.holds(0, item, i)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, item)
		}
	}
	return out, nil
}

func selectEach(in *invocation, c Collection) (Collection, error) {
	var out Collection
	for i, item := range c {
		r, err := in.argFor(0, item, i)
		if err != nil {
			return nil, err
		}
		out = append(out, r...)
		if err := in.ev.hold(in.pos, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// repeat collects what the projection finds, again and again, each equal item
// once (N1 §5.2.3).
func repeat(in *invocation, c Collection) (Collection, error) {
	seen := in.ev.newSet(in.pos)
	var out Collection
	for len(c) > 0 {
		var fresh Collection
		for i, item := range c {
			r, err := in.argFor(0, item, i)
			if err != nil {
				return nil, err
			}
			for _, found := range r {
				isNew, err := seen.addPlace(found)
				if err != nil {
					return nil, err
				}
				if isNew {
					fresh = append(fresh, found)
				}
			}
		}
		out = append(out, fresh...)
		if err := in.ev.hold(in.pos, out); err != nil {
			return nil, err
		}
		c = fresh
	}
	return out, nil
}

func ofType(in *invocation, c Collection) (Collection, error) {
	spec := in.args[0].(*typeArgument).spec
	var out Collection
	for _, item := range c {
		if spec.selects(in.ev.reg, item) {
			out = append(out, item)
		}
	}
	return out, nil
}

func asFunction(in *invocation, c Collection) (Collection, error) {
	return in.ev.as(in.pos, c, in.args[0].(*typeArgument).spec, in.single)
}

func isFunction(in *invocation, c Collection) (Collection, error) {
	return in.ev.is(in.pos, c, in.args[0].(*typeArgument).spec)
}

func single(in *invocation, c Collection) (Collection, error) {
	if len(c) > 1 {
		return nil, in.failed("there are several items")
	}
	return c, nil
}

func skip(in *invocation, c Collection) (Collection, error) {
	n, ok, err := in.integerArg(0)
	if err != nil || !ok {
		return nil, err
	}
	return c[min(max(n, 0), len(c)):], nil
}

func take(in *invocation, c Collection) (Collection, error) {
	n, ok, err := in.integerArg(0)
	if err != nil || !ok {
		return nil, err
	}
	return slices.Clip(c[:min(max(n, 0), len(c))]), nil
}

func intersect(in *invocation, c Collection) (Collection, error) {
	return in.filter(c, true)
}

func exclude(in *invocation, c Collection) (Collection, error) {
	return in.filter(c, false)
}

// filter keeps the items that are, or are not, in the argument; intersect drops
// duplicates, exclude keeps them (N1 §5.3.7, §5.3.8).
func (in *invocation) filter(c Collection, inside bool) (Collection, error) {
	other, err := in.arg(0)
	if err != nil {
		return nil, err
	}
	s := in.ev.newSet(in.pos)
	for _, item := range other {
		if _, err := s.add(item); err != nil {
			return nil, err
		}
	}
	var out Collection
	for _, item := range c {
		found, err := s.has(item)
		if err != nil {
			return nil, err
		}
		if found == inside {
			out = append(out, item)
		}
	}
	if inside {
		return in.ev.distinct(in.pos, out)
	}
	return out, nil
}

func union(in *invocation, c Collection) (Collection, error) {
	other, err := in.arg(0)
	if err != nil {
		return nil, err
	}
	return in.ev.union(in.pos, c, other)
}

func combine(in *invocation, c Collection) (Collection, error) {
	other, err := in.arg(0)
	if err != nil {
		return nil, err
	}
	if err := in.ev.spend(in.pos, len(c)+len(other)); err != nil {
		return nil, err
	}
	return append(slices.Clip(c), other...), nil
}

// aggregate folds the items into $total (N1 §7.1).
func aggregate(in *invocation, c Collection) (Collection, error) {
	total, err := in.arg(1)
	if err != nil {
		return nil, err
	}
	for i, item := range c {
		if err := in.ev.spend(in.pos, 1); err != nil {
			return nil, err
		}
		sc := in.sc.each(item, i)
		sc.total = &total
		next, err := in.args[0].eval(in.ev, sc, sc.focus)
		if err != nil {
			return nil, err
		}
		total = next
	}
	return total, nil
}

// iif evaluates one of its results only (N1 §5.5.1). With an input item, that
// item is $this.
func iif(in *invocation, c Collection) (Collection, error) {
	sc := in.sc
	if !in.first {
		if len(c) > 1 {
			return nil, in.failed("there are several items")
		}
		inner := *sc
		if inner.focus = c; len(c) == 1 {
			inner.index = 0
		}
		sc = &inner
	}
	criterion, err := in.args[0].eval(in.ev, sc.fork(), sc.focus)
	if err != nil {
		return nil, err
	}
	v, ok, err := boolean(criterion, in.pos)
	switch {
	case err != nil:
		return nil, err
	case ok && v:
		return in.args[1].eval(in.ev, sc.fork(), sc.focus)
	case len(in.args) == 3:
		return in.args[2].eval(in.ev, sc.fork(), sc.focus)
	}
	return nil, nil
}

// coalesce is the first argument that is not empty.
func coalesce(in *invocation, _ Collection) (Collection, error) {
	for i := range in.args {
		if c, err := in.arg(i); err != nil || len(c) > 0 {
			return c, err
		}
	}
	return nil, nil
}
