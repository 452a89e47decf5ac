package terminology

import "context"

// Enumerate lists the codes of a value set in the order of its definition,
// each once per version of its system. canonical may carry "|version". limit 0
// means MaxEnumerate; a larger expansion is ErrTooMany. It is all or nothing:
// when any part is not supported, so is the whole. Other errors are those of
// Contains.
func (s *Service) Enumerate(ctx context.Context, canonical string, limit int) ([]Concept, error) {
	if limit <= 0 {
		limit = MaxEnumerate
	}
	c := s.call(ctx)
	v, err := c.valueSet(canonical)
	if err != nil {
		return nil, err
	}
	var out []Concept
	seen := map[probe]bool{}
	err = c.enumerate(v, func(con Concept) error {
		key := probe{con.System, con.Version, con.Code}
		if seen[key] {
			return nil
		}
		if len(out) == limit {
			return fail(ErrTooMany, canonical, "more concepts than the limit")
		}
		seen[key] = true
		out = append(out, con)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// emit takes one concept of an enumeration.
type emit func(Concept) error

// enumerate hands every code of the value set on, some more than once.
func (c *call) enumerate(v *valueSet, to emit) error {
	outer := c.path
	if err := c.enter(v); err != nil {
		return err
	}
	inner := c.path
	defer func() { c.path = outer }()
	// The receiver evaluates other value sets: it must not find this one on
	// the path, nor this one what the receiver entered.
	hand := func(con Concept) error {
		c.path = outer
		defer func() { c.path = inner }()
		return to(con)
	}
	if err := c.usable(v); err != nil {
		return err
	}
	if v.partial {
		return fail(ErrNotSupported, v.url, "the stored expansion is not whole")
	}
	for _, con := range v.listed {
		if err := c.visit(1); err != nil {
			return err
		}
		if err := hand(con); err != nil {
			return err
		}
	}
	for i := range v.include {
		if err := c.enumerateInclude(v, &v.include[i], hand); err != nil {
			return err
		}
	}
	return nil
}

// enumerateInclude hands on what one include selects and nothing removes.
func (c *call) enumerateInclude(v *valueSet, s *selection, to emit) error {
	sets := s.sets
	check := func(con Concept) error {
		p := probe{system: con.System, code: con.Code}
		for _, r := range sets {
			set, err := c.refer(r)
			if err != nil {
				return err
			}
			if in, err := c.contains(set, p); err != nil || !in {
				return err
			}
		}
		if out, err := c.removed(v, s, p); err != nil || out {
			return err
		}
		return to(con)
	}
	if s.system != "" {
		return c.enumerateSystem(s, check)
	}
	first, err := c.refer(sets[0])
	if err != nil {
		return err
	}
	sets = sets[1:]
	return c.enumerate(first, check)
}

// enumerateSystem hands on the codes of the selection's system that its codes
// and filters select.
func (c *call) enumerateSystem(s *selection, to emit) error {
	cs, err := c.codeSystem(s.system, s.version)
	switch {
	case err != nil && open(err) && s.byCode != nil && s.filters == nil:
		return c.enumerateListed(nil, s, to)
	case err != nil:
		return err
	case s.byCode != nil:
		return c.enumerateListed(cs, s, to)
	case !cs.complete:
		return fail(ErrNotSupported, cs.url, "only a part of the code system is held")
	}
	for i := range cs.concepts {
		if err := c.enumerateConcept(cs, s, int32(i), "", to); err != nil {
			return err
		}
	}
	return nil
}

// enumerateListed hands on the listed codes that exist, as far as that is
// known; cs is nil when the system is not held.
func (c *call) enumerateListed(cs *codeSystem, s *selection, to emit) error {
	for _, l := range s.concepts {
		if err := c.visit(1); err != nil {
			return err
		}
		var i int32
		known := false
		if cs != nil {
			i, known = cs.find(l.code)
		}
		var err error
		switch {
		case known:
			err = c.enumerateConcept(cs, s, i, l.display, to)
		case cs == nil:
			err = to(Concept{System: s.system, Version: s.version, Code: l.code, Display: l.display})
		case cs.complete: // not a code of the system
		case s.filters != nil:
			err = fail(ErrNotSupported, cs.url, "only a part of the code system is held")
		default:
			err = to(Concept{System: cs.url, Version: cs.version, Code: l.code, Display: l.display})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// enumerateConcept hands on a concept that the filters select. A display that
// the value set gives replaces the system's.
func (c *call) enumerateConcept(cs *codeSystem, s *selection, i int32, display string, to emit) error {
	if err := c.visit(1); err != nil {
		return err
	}
	if ok, err := c.matchAll(cs, s.filters, i); err != nil || !ok {
		return err
	}
	con := cs.concept(i)
	if display != "" {
		con.Display = display
	}
	return to(con)
}
