package terminology

import (
	"context"
	"errors"
	"fmt"
)

// Concept is one code of a code system.
type Concept struct {
	System, Version, Code, Display string
	// Abstract concepts group others; nobody should pick them (notSelectable).
	Abstract bool
	// Inactive concepts are no longer approved for use.
	Inactive bool
}

// Limits bound one call and what is kept between calls.
type Limits struct {
	// Depth of references from value set to value set.
	Depth int
	// Concepts that one call looks at, in all value sets together.
	Concepts int
	// Cached concepts of compiled resources, about 300 bytes each.
	Cached int
}

// DefaultLimits: the deepest official value set nests 3 deep. A resource of
// the product's size limit has about 90,000 concepts, so that it fits beside
// all embedded definitions, which have 37,000. A call that uses up its concepts
// takes well under a second, a full cache about 45 MB.
var DefaultLimits = Limits{Depth: 16, Concepts: 1_000_000, Cached: 150_000}

// MaxEnumerate is the limit of Enumerate, Descendants and Ancestors when the
// caller names none.
const MaxEnumerate = 10_000

// Options configure a Service.
type Options struct {
	Source Source // nil: the embedded definitions only
	Limits Limits // a zero field means the field of DefaultLimits
}

// Validate reports every problem.
func (o Options) Validate() error {
	var problems []error
	for name, n := range map[string]int{"Depth": o.Limits.Depth, "Concepts": o.Limits.Concepts, "Cached": o.Limits.Cached} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("terminology: Limits.%s is negative", name))
		}
	}
	return errors.Join(problems...)
}

// Service answers from the embedded definitions and a Source.
type Service struct {
	source Source
	limits Limits
	cache  *cache
}

// New returns a Service. Nothing is decoded before the first question.
func New(o Options) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Service{source: o.Source, limits: o.Limits}
	if s.source == nil {
		s.source = nothing{}
	}
	for _, f := range []struct{ field, fallback *int }{
		{&s.limits.Depth, &DefaultLimits.Depth},
		{&s.limits.Concepts, &DefaultLimits.Concepts},
		{&s.limits.Cached, &DefaultLimits.Cached},
	} {
		if *f.field == 0 {
			*f.field = *f.fallback
		}
	}
	s.cache = newCache(s.limits.Cached)
	return s, nil
}

// MemberOf is Contains under the name and shape that FHIRPath asks for
// (R4 fhirpath.html#functions, memberOf).
func (s *Service) MemberOf(ctx context.Context, canonical, system, code string) (bool, error) {
	return s.Contains(ctx, canonical, system, code)
}

// Lookup returns a concept of a code system, in the system's own spelling.
// system may carry "|version". ErrNotFound: a complete code system does not
// have the code. ErrNotSupported: the system's content is not held.
func (s *Service) Lookup(ctx context.Context, system, code string) (Concept, error) {
	c := s.call(ctx)
	cs, i, err := c.find(system, code)
	if err != nil {
		return Concept{}, err
	}
	return cs.concept(i), nil
}

// find looks a code up in the system that a canonical names.
func (c *call) find(system, code string) (*codeSystem, int32, error) {
	url, version := c.systemVersion(system)
	cs, err := c.codeSystem(url, version)
	if err != nil {
		return nil, 0, err
	}
	i, ok := cs.find(code)
	switch {
	case ok:
		return cs, i, nil
	case cs.complete:
		return nil, 0, fail(ErrNotFound, system, "no such code")
	default:
		return nil, 0, fail(ErrNotSupported, system, "only a part of the code system is held")
	}
}
