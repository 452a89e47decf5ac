package terminology

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// call is the state of one question: what it may still cost, and what it has
// resolved, so that one call sees one version of every resource and asks for
// it once.
type call struct {
	ctx     context.Context
	service *Service
	left    int // concepts that may still be visited
	systems map[string]found[*codeSystem]
	sets    map[string]found[*valueSet]
	path    *frame // value sets under evaluation, innermost first
}

// frame is a value set under evaluation; up is the one that refers to it.
type frame struct {
	set   *valueSet
	up    *frame
	depth int
}

type found[T any] struct {
	value T
	err   error
}

func (s *Service) call(ctx context.Context) *call {
	return &call{ctx: ctx, service: s, left: s.limits.Concepts}
}

// visit accounts for n concepts, and looks at the context now and then.
func (c *call) visit(n int) error {
	before := c.left
	c.left -= n
	if c.left < 0 {
		return fmt.Errorf("terminology: %w: more than %d concepts", ErrTooCostly, c.service.limits.Concepts)
	}
	if before>>10 != c.left>>10 {
		return c.ctx.Err()
	}
	return nil
}

// enter puts a value set on the path; a value set that is on it already refers
// to itself.
func (c *call) enter(v *valueSet) error {
	depth := 1
	if c.path != nil {
		depth += c.path.depth
	}
	for f := c.path; f != nil; f = f.up {
		if f.set == v {
			return fail(ErrInvalid, v.url, "the value set refers to itself")
		}
	}
	if depth > c.service.limits.Depth {
		return fail(ErrTooCostly, v.url, "too many levels of value sets")
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.path = &frame{v, c.path, depth}
	return c.visit(1)
}

func (c *call) leave() { c.path = c.path.up }

// split divides "url|version".
func split(canonical string) (url, version string) {
	if i := strings.LastIndexByte(canonical, '|'); i >= 0 {
		return canonical[:i], canonical[i+1:]
	}
	return canonical, ""
}

// systemVersion is split for code systems; some official URLs contain a bar.
func (c *call) systemVersion(system string) (url, version string) {
	if embeddedIndex().has(codeSystemType, system) {
		return system, ""
	}
	return split(system)
}

func join(url, version string) string {
	if version == "" {
		return url
	}
	return url + "|" + version
}

// codeSystem returns the code system whose content answers for the url, or
// ErrNotSupported when none is held.
func (c *call) codeSystem(url, version string) (*codeSystem, error) {
	key := join(url, version)
	f, ok := c.systems[key]
	if !ok {
		f.value, f.err = c.loadCodeSystem(url, version)
		if c.systems == nil {
			c.systems = map[string]found[*codeSystem]{}
		}
		c.systems[key] = f
	}
	return f.value, f.err
}

func (c *call) loadCodeSystem(url, version string) (*codeSystem, error) {
	key := join(url, version)
	if url == "" {
		return nil, fail(ErrNotSupported, key, "no code system is named")
	}
	cs, err := resolve(c, codeSystemType, url, version, c.service.source.CodeSystem, compileCodeSystem)
	switch {
	case err != nil:
		return nil, err
	case cs != nil && (cs.absent || cs.supplement):
		if own := embeddedIndex().find(codeSystemType, url, version); own != nil {
			return load(c, own.stored(), compileCodeSystem) // no content must not hide content
		}
		return nil, fail(ErrNotSupported, key, "the content of the code system is not held here")
	case cs == nil && version != "":
		return nil, fail(ErrNotSupported, key, "this version of the code system is not held here")
	case cs == nil:
		return nil, fail(ErrNotSupported, key, "the code system is not held here")
	}
	return cs, nil
}

// supplement says whether the supplement with the canonical is held.
func (c *call) supplement(canonical string) error {
	url, version := split(canonical)
	cs, err := resolve(c, codeSystemType, url, version, c.service.source.CodeSystem, compileCodeSystem)
	if err == nil && (cs == nil || !cs.supplement) {
		err = fail(ErrNotSupported, canonical, "the supplement is not held here")
	}
	return err
}

// valueSet returns the value set that a canonical names.
func (c *call) valueSet(canonical string) (*valueSet, error) {
	f, ok := c.sets[canonical]
	if !ok {
		f.value, f.err = c.loadValueSet(canonical)
		if c.sets == nil {
			c.sets = map[string]found[*valueSet]{}
		}
		c.sets[canonical] = f
	}
	return f.value, f.err
}

func (c *call) loadValueSet(canonical string) (*valueSet, error) {
	url, version := split(canonical)
	if url == "" {
		return nil, fail(ErrNotFound, canonical, "no value set is named")
	}
	v, err := resolve(c, valueSetType, url, version, c.service.source.ValueSet, compileValueSet)
	if v != nil || err != nil {
		return v, err
	}
	cs, err := resolve(c, allOfSystemType, url, version, c.service.source.CodeSystemOf, compileCodeSystem)
	switch {
	case err != nil:
		return nil, err
	case cs != nil:
		return wholeSystem(url, cs), nil
	case implicit(url):
		return nil, fail(ErrNotSupported, canonical, "this implicit value set is not held here")
	}
	return nil, fail(ErrNotFound, canonical, "no such value set is held here")
}

// implicit recognises value sets that their terminology defines by URL
// (R4 snomedct.html#implicit, loinc.html#implicit).
func implicit(url string) bool {
	return strings.HasPrefix(url, "http://snomed.info/sct") && strings.Contains(url, "fhir_vs") ||
		strings.HasPrefix(url, "http://loinc.org/vs")
}

// finder is a method of Source.
type finder func(ctx context.Context, url, version string) (*Stored, error)

// resolve finds a resource and returns its compiled form, nil when there is
// none. The embedded definitions win for what the FHIR specification owns, the
// stored resources for everything else.
func resolve[T any](c *call, k kind, url, version string, find finder, compile func(*fhir.Node) (T, int, error)) (T, error) {
	entry := embeddedIndex().find(k, url, version)
	if entry != nil && strings.HasPrefix(url, "http://hl7.org/fhir/") {
		return load(c, entry.stored(), compile)
	}
	stored, err := find(c.ctx, url, version)
	switch {
	case err != nil:
		var none T
		return none, fmt.Errorf("terminology: asking for a stored resource: %w", err)
	case stored != nil:
		return load(c, stored, compile)
	case entry != nil:
		return load(c, entry.stored(), compile)
	}
	var none T
	return none, nil
}

// load returns the compiled form of a found resource.
func load[T any](c *call, s *Stored, compile func(*fhir.Node) (T, int, error)) (T, error) {
	if v, ok := c.service.cache.get(s.Tag); ok {
		if t, ok := v.(T); ok {
			return t, nil
		}
	}
	var none T
	if err := c.ctx.Err(); err != nil {
		return none, err
	}
	r, err := s.Load(c.ctx)
	if err != nil {
		return none, fmt.Errorf("terminology: loading a resource: %w", err)
	}
	if r == nil {
		return none, errors.New("terminology: loading a resource: the source returned none")
	}
	t, weight, err := compile(r.Root())
	if err != nil {
		return none, err
	}
	c.service.cache.put(s.Tag, t, weight)
	return t, nil
}
