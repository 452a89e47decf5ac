package fhirpath

// existence are the functions of N1 §5.1, and not() (§6.5.3).
var existence = map[string]*function{
	"empty":      {returns: ofSystem, eval: func(_ *invocation, c Collection) (Collection, error) { return truth(len(c) == 0), nil }},
	"exists":     {max: 1, each: true, returns: ofSystem, eval: exists},
	"all":        {min: 1, max: 1, each: true, returns: ofSystem, eval: all},
	"allTrue":    {returns: ofSystem, eval: quantifier(true, false)},
	"anyTrue":    {returns: ofSystem, eval: quantifier(true, true)},
	"allFalse":   {returns: ofSystem, eval: quantifier(false, false)},
	"anyFalse":   {returns: ofSystem, eval: quantifier(false, true)},
	"subsetOf":   {min: 1, max: 1, returns: ofSystem, eval: subsetOf},
	"supersetOf": {min: 1, max: 1, returns: ofSystem, eval: supersetOf},
	"count":      {returns: ofSystem, eval: func(_ *invocation, c Collection) (Collection, error) { return Collection{Integer(len(c))}, nil }},
	"distinct":   {returns: ofInput, eval: func(in *invocation, c Collection) (Collection, error) { return in.ev.distinct(in.pos, c) }},
	"isDistinct": {returns: ofSystem, eval: isDistinct},
	"not":        {returns: ofSystem, eval: not},
	"hasValue":   {returns: ofSystem, eval: hasValue},
}

func exists(in *invocation, c Collection) (Collection, error) {
	if len(in.args) == 0 {
		return truth(len(c) > 0), nil
	}
	for i, item := range c {
		if ok, err := in.holds(0, item, i); err != nil || ok {
			return truth(ok), err
		}
	}
	return truth(false), nil
}

func all(in *invocation, c Collection) (Collection, error) {
	for i, item := range c {
		if ok, err := in.holds(0, item, i); err != nil || !ok {
			return truth(false), err
		}
	}
	return truth(true), nil
}

// quantifier is allTrue and its like: some item, or each, is the value.
func quantifier(value, some bool) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		found := !some
		for _, item := range c {
			b, ok := convert(item).(Boolean)
			if !ok {
				return nil, in.failed("an item is no boolean")
			}
			if (bool(b) == value) == some {
				found = some
			}
		}
		return truth(found), nil
	}
}

// within reports whether each item of a is in b.
func (in *invocation) within(a, b Collection) (bool, error) {
	s := in.ev.newSet(in.pos)
	for _, item := range b {
		if _, err := s.add(item); err != nil {
			return false, err
		}
	}
	for _, item := range a {
		if found, err := s.has(item); err != nil || !found {
			return false, err
		}
	}
	return true, nil
}

func subsetOf(in *invocation, c Collection) (Collection, error) {
	other, err := in.arg(0)
	if err != nil {
		return nil, err
	}
	ok, err := in.within(c, other)
	return truth(ok), err
}

func supersetOf(in *invocation, c Collection) (Collection, error) {
	other, err := in.arg(0)
	if err != nil {
		return nil, err
	}
	ok, err := in.within(other, c)
	return truth(ok), err
}

func isDistinct(in *invocation, c Collection) (Collection, error) {
	d, err := in.ev.distinct(in.pos, c)
	return truth(len(d) == len(c)), err
}

func not(in *invocation, c Collection) (Collection, error) {
	v, ok, err := boolean(c, in.pos)
	if err != nil || !ok {
		return nil, err
	}
	return truth(!v), nil
}

// hasValue tells whether there is one primitive with a value (R4
// fhirpath.html#functions).
func hasValue(_ *invocation, c Collection) (Collection, error) {
	if len(c) != 1 {
		return truth(false), nil
	}
	e, ok := c[0].(*Element)
	if !ok {
		_, info := c[0].(TypeInfo)
		return truth(!info), nil
	}
	return truth(e.primitive() && e.node != nil), nil
}
