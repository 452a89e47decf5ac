package interaction

import (
	"context"
	"sync"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// maxSelectors bounds the parsed queries of granular scopes that are kept.
const maxSelectors = 1024

// selectors are the queries of granular scopes, parsed once per type. A query
// that cannot be asked of the type is nil: it selects nothing.
type selectors struct {
	mu     sync.RWMutex
	parsed map[selector]*search.Expression
}

type selector struct{ resourceType, query string }

func (s *Service) selector(resourceType, query string) *search.Expression {
	key, c := selector{resourceType, query}, &s.selectors
	c.mu.RLock()
	e, known := c.parsed[key]
	c.mu.RUnlock()
	if known {
		return e
	}
	e, err := s.Catalog.ParseConditions(resourceType, query)
	if err != nil || !ownContent(e) {
		e = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parsed == nil || len(c.parsed) >= maxSelectors {
		c.parsed = map[selector]*search.Expression{}
	}
	c.parsed[key] = e
	return e
}

// ownContent reports whether an expression looks at the resource alone. A scope
// that followed references would depend on what others write.
func ownContent(e *search.Expression) bool {
	for _, c := range e.Conditions {
		if c.Link != nil || c.Recurses() {
			return false
		}
	}
	return true
}

// selects answers the queries of granular scopes about one resource (SMART App
// Launch 2.2, finer-grained resource constraints). A query that reads a class
// which the caller may not see selects nothing, else the scope would tell what
// the mask hides; so does one that cannot be decided.
func (s *Service) selects(ctx context.Context, resourceType string, open func(field.ClassSet) (*fhir.Resource, error)) func(string, field.ClassSet) bool {
	return func(query string, seen field.ClassSet) bool {
		e := s.selector(resourceType, query)
		if e == nil || !seen.Contains(reads(e)) {
			return false
		}
		r, err := open(reads(e))
		if err != nil {
			return false
		}
		ok, err := search.Matcher{Catalog: s.Catalog, Terminology: subsumption{s.Terminology}}.Match(ctx, e, r)
		return ok && err == nil
	}
}
