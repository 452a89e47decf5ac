package terminology

import (
	"context"
	"strings"
)

// probe is the code that is asked for. version is the caller's, if any. A code
// that an include takes from one version is the same code in every other: an
// exclude or a second value set of another version still applies to it.
type probe struct{ system, version, code string }

// Contains reports whether the code is in the value set. canonical may carry
// "|version"; so may system, which then asks about that version of the code
// system only. With an empty system the code stands alone, as in an element of
// type code: the systems that the value set draws from are tried, and it is in
// the value set if it is there with any of them.
//
// Errors: ErrNotFound for an unknown value set, ErrNotSupported when what is
// held does not decide, ErrInvalid, ErrTooCostly. A true answer comes as soon
// as one include gives it, even if others are not supported.
func (s *Service) Contains(ctx context.Context, canonical, system, code string) (bool, error) {
	c := s.call(ctx)
	v, err := c.valueSet(canonical)
	if err != nil {
		return false, err
	}
	if system != "" {
		url, version := c.systemVersion(system)
		return c.contains(v, probe{system: url, version: version, code: code})
	}
	systems := &systems{call: c, seen: map[*valueSet]bool{}, has: map[string]bool{}}
	if err := systems.of(v); err != nil {
		return false, err
	}
	undecided := systems.undecided
	for _, system := range systems.list {
		in, err := c.contains(v, probe{system: system, code: code})
		if in || err != nil && !open(err) {
			return in, err
		}
		if err != nil {
			undecided = err
		}
	}
	return false, undecided
}

// refer resolves a reference to a value set.
func (c *call) refer(r reference) (*valueSet, error) {
	if r.contained != nil {
		return r.contained, nil
	}
	return c.valueSet(r.canonical)
}

// usable is an error when a value set cannot be evaluated at all.
func (c *call) usable(v *valueSet) error {
	for _, s := range v.supplements {
		if err := c.supplement(s); err != nil {
			return err
		}
	}
	if v.empty {
		return fail(ErrNotSupported, v.url, "the value set has neither a definition nor an expansion")
	}
	return nil
}

// contains decides in three values: true, false, and an error that is open
// when the content does not decide.
func (c *call) contains(v *valueSet, p probe) (bool, error) {
	if err := c.enter(v); err != nil {
		return false, err
	}
	defer c.leave()
	if err := c.usable(v); err != nil {
		return false, err
	}
	if v.index != nil {
		return c.expanded(v, p)
	}
	var undecided error
	for i := range v.include {
		in, err := c.selects(&v.include[i], p)
		if err != nil && !open(err) {
			return false, err
		}
		if err == nil && !in {
			continue
		}
		out, outErr := c.removed(v, &v.include[i], p)
		switch {
		case outErr != nil && !open(outErr):
			return false, outErr
		case outErr == nil && out:
		case outErr == nil && err == nil:
			return true, nil
		case err != nil:
			undecided = err
		default:
			undecided = outErr
		}
	}
	return false, undecided
}

// expanded looks into the stored expansion.
func (c *call) expanded(v *valueSet, p probe) (bool, error) {
	if v.index[pair{p.system, p.code}] {
		return true, nil
	}
	if cs, err := c.codeSystem(p.system, ""); err == nil {
		if i, ok := cs.find(p.code); ok && v.index[pair{p.system, cs.concepts[i].code}] {
			return true, nil
		}
	} else if !open(err) {
		return false, err
	}
	if v.partial {
		return false, fail(ErrNotSupported, v.url, "the stored expansion is not whole")
	}
	return false, nil
}

// removed reports whether what an include selects is taken out again: by an
// exclude, or because it is inactive and the value set wants active codes.
func (c *call) removed(v *valueSet, by *selection, p probe) (bool, error) {
	if v.activeOnly {
		cs, err := c.codeSystem(p.system, by.version)
		if err != nil && !open(err) {
			return false, err
		}
		if err == nil {
			if i, ok := cs.find(p.code); ok && cs.concepts[i].inactive {
				return true, nil
			}
		}
	}
	p.version = ""
	var undecided error
	for i := range v.exclude {
		out, err := c.selects(&v.exclude[i], p)
		if out || err != nil && !open(err) {
			return out, err
		}
		if err != nil {
			undecided = err
		}
	}
	return false, undecided
}

// selects reports whether all conditions of an include or exclude hold.
func (c *call) selects(s *selection, p probe) (bool, error) {
	if err := c.visit(1); err != nil {
		return false, err
	}
	var undecided error
	if s.system != "" {
		if s.system != p.system {
			return false, nil
		}
		in, err := c.selectsCode(s, p)
		if err != nil && !open(err) || err == nil && !in {
			return false, err
		}
		undecided = err
	}
	for _, r := range s.sets {
		set, err := c.refer(r)
		in := false
		if err == nil {
			in, err = c.contains(set, p)
		}
		if err != nil && !open(err) || err == nil && !in {
			return false, err
		}
		if err != nil {
			undecided = err
		}
	}
	return undecided == nil, undecided
}

// selectsCode decides the codes and filters of a selection of the probe's own
// system.
func (c *call) selectsCode(s *selection, p probe) (bool, error) {
	cs, err := c.codeSystem(s.system, s.version)
	if err != nil {
		switch {
		case !open(err):
			return false, err
		case s.byCode != nil && !s.byCode[p.code]:
			return false, nil
		case s.byCode != nil && s.filters == nil:
			return true, nil // a listed code needs no content
		}
		return false, err
	}
	if p.version != "" && cs.version != "" && p.version != cs.version {
		return false, nil
	}
	i, ok := cs.find(p.code)
	if !ok {
		return c.selectsUnknown(cs, s, p.code)
	}
	if s.byCode != nil && !s.lists(cs, i) {
		return false, nil
	}
	return c.matchAll(cs, s.filters, i)
}

// selectsUnknown decides about a code that the held content does not have.
func (c *call) selectsUnknown(cs *codeSystem, s *selection, code string) (bool, error) {
	switch {
	case cs.complete, s.byCode != nil && !s.byCode[code]:
		return false, nil
	case s.byCode != nil && s.filters == nil:
		return true, nil
	}
	return false, fail(ErrNotSupported, cs.url, "only a part of the code system is held")
}

// lists reports whether the concept is among the listed codes.
func (s *selection) lists(cs *codeSystem, i int32) bool {
	code := cs.concepts[i].code
	if s.byCode[code] {
		return true
	}
	if cs.exactCase {
		return false
	}
	j, ok := cs.find(s.byFolded[strings.ToLower(code)])
	return ok && i == j
}

// matchAll reports whether every filter selects the concept.
func (c *call) matchAll(cs *codeSystem, filters []filter, i int32) (bool, error) {
	var undecided error
	for n := range filters {
		ok, err := c.match(cs, &filters[n], i)
		if err != nil && !open(err) || err == nil && !ok {
			return false, err
		}
		if err != nil {
			undecided = err
		}
	}
	return undecided == nil, undecided
}
