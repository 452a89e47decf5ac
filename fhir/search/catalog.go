package search

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Classifier tells which element classes an element holds, by its definition
// path; an unknown path must be answered with the most restrictive class.
// *field.Table is one.
type Classifier interface {
	ElementClasses(path string) field.ClassSet
}

// Catalog holds every search parameter of every resource type, compiled. It is
// immutable and safe for concurrent use.
type Catalog struct {
	reg   *definition.Registry
	types map[string]*typeCatalog
	bases []string
}

// typeCatalog is what one resource type offers.
type typeCatalog struct {
	list   []*Parameter // sorted by code
	byCode map[string]*Parameter
	walks  *trie
	tests  []*Parameter // those whose program is a test
}

// NewCatalog compiles the search parameters of the registry. It fails when an
// expression is not understood, instead of leaving a parameter that finds too
// little. Parameters without an expression (_text, _content, _query) are not
// in it.
func NewCatalog(reg *definition.Registry, classes Classifier) (*Catalog, error) {
	b := &catalogBuilder{reg: reg, classes: classes, parsed: map[string]*pathNode{}, byURL: map[string]*definition.SearchParameter{}}
	for _, sp := range reg.AllSearchParameters() {
		b.byURL[sp.URL] = sp
	}
	c := &Catalog{reg: reg, types: make(map[string]*typeCatalog, len(reg.ResourceTypes()))}
	for _, name := range reg.ResourceTypes() {
		t, err := b.typeCatalog(reg.Type(name))
		if err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		c.types[name] = t
	}
	c.markHierarchical()
	return c, nil
}

// WithBases returns a catalog for which absolute references below one of the
// base URLs are references to this server.
func (c *Catalog) WithBases(bases ...string) *Catalog {
	w := *c
	w.bases = make([]string, len(bases))
	for i, b := range bases {
		w.bases[i] = strings.TrimRight(b, "/")
	}
	return &w
}

// Registry is what the catalog was compiled from.
func (c *Catalog) Registry() *definition.Registry { return c.reg }

// Parameter returns one parameter of a type, nil when R4 has none or it has no
// expression.
func (c *Catalog) Parameter(resourceType, code string) *Parameter {
	t := c.types[resourceType]
	if t == nil {
		return nil
	}
	return t.byCode[code]
}

// Parameters lists the parameters of a type, those of every type among them
// (_id, _lastUpdated, _profile, _security, _source, _tag), sorted by code. The
// slice belongs to the catalog.
func (c *Catalog) Parameters(resourceType string) []*Parameter {
	t := c.types[resourceType]
	if t == nil {
		return nil
	}
	return t.list
}

// Elements returns the elements that the parameter selects, before anything is
// read from them: nil for a parameter whose expression yields a boolean.
func (c *Catalog) Elements(p *Parameter, r *fhir.Resource) []*fhir.Node {
	var found []*fhir.Node
	for _, l := range p.program.leaves {
		walk(l.steps, r.Root(), func(n *fhir.Node) bool {
			found = append(found, n)
			return true
		})
	}
	return found
}

// catalogBuilder compiles; its maps avoid parsing an expression that 60 types
// share 60 times.
type catalogBuilder struct {
	reg     *definition.Registry
	classes Classifier
	parsed  map[string]*pathNode
	byURL   map[string]*definition.SearchParameter
}

func (b *catalogBuilder) typeCatalog(typ *definition.Type) (*typeCatalog, error) {
	t := &typeCatalog{byCode: map[string]*Parameter{}, walks: &trie{}}
	for _, sp := range b.reg.SearchParameters(typ.Name) {
		if sp.Expression == "" {
			continue
		}
		p, err := b.parameter(sp, sp.Expression, typ, &leaf{path: typ.Name, typ: typ})
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", typ.Name, sp.Code, err)
		}
		if !p.program.finds() {
			return nil, fmt.Errorf("%s.%s: no element to compare in %q", typ.Name, sp.Code, sp.Expression)
		}
		t.list, t.byCode[p.Code] = append(t.list, p), p
		if p.program.test != nil {
			t.tests = append(t.tests, p)
		}
		for _, l := range p.program.leaves {
			t.walks.add(p, l)
		}
	}
	cover(t.list)
	return t, nil
}

// parameter compiles one parameter, or one component of a composite below
// context.
func (b *catalogBuilder) parameter(sp *definition.SearchParameter, expression string, typ *definition.Type, context *leaf) (*Parameter, error) {
	e, ok := b.parsed[expression]
	if !ok {
		var err error
		if e, err = parseExpression(expression); err != nil {
			return nil, err
		}
		b.parsed[expression] = e
	}
	p := &Parameter{Code: sp.Code, URL: sp.URL, Resource: typ.Name, Kind: ParseKind(sp.Type)}
	if p.Kind == 0 {
		return nil, fmt.Errorf("unknown type of parameter %q", sp.Type)
	}
	var err error
	if p.program, err = compile(b.reg, e, context, typ); err != nil {
		return nil, err
	}
	if p.Kind == Composite {
		return p, b.components(p, sp, typ)
	}
	for _, l := range p.program.leaves {
		l.reader = readerOf(p.Kind, l.typ.Name)
		l.system = impliedSystem(l)
	}
	b.describe(p, sp)
	return p, nil
}

// components compiles the parts below each base element of the composite.
func (b *catalogBuilder) components(p *Parameter, sp *definition.SearchParameter, typ *definition.Type) error {
	p.Components = make([]*Parameter, len(sp.Components))
	for _, l := range p.program.leaves {
		l.reader = readComposite
		for i := range sp.Components {
			def := b.byURL[sp.Components[i].Definition]
			if def == nil {
				return fmt.Errorf("no definition of component %s", sp.Components[i].Definition)
			}
			q, err := b.component(def, sp, i, typ, &leaf{path: l.path, typ: l.typ})
			if err != nil {
				return err
			}
			l.parts = append(l.parts, q.program)
			l.classes |= q.Classes
			p.Components[i] = merge(p.Components[i], q)
		}
		p.Single = len(p.program.leaves) == 1 && !l.repeats
		p.Classes |= l.classes
	}
	for _, q := range p.Components {
		p.Paths = append(p.Paths, q.Paths...)
	}
	slices.Sort(p.Paths)
	p.Paths = slices.Compact(p.Paths)
	return nil
}

// component compiles one part below a base element. DocumentReference's
// relationship has the expressions of its two components exchanged (a code
// where the definition wants a reference): a component that finds nothing by
// its own expression takes the next one's.
func (b *catalogBuilder) component(def, sp *definition.SearchParameter, i int, typ *definition.Type, context *leaf) (*Parameter, error) {
	for range sp.Components {
		q, err := b.parameter(def, sp.Components[i].Expression, typ, context)
		if err != nil || q.program.finds() {
			return q, err
		}
		i = (i + 1) % len(sp.Components)
	}
	return nil, fmt.Errorf("component %s finds no element below %s", def.Code, context.path)
}

// merge joins the forms of a component below two base elements, for what may
// be said of it in general.
func merge(p, q *Parameter) *Parameter {
	if p == nil {
		c := *q
		c.Paths, c.Targets = slices.Clone(q.Paths), slices.Clone(q.Targets)
		return &c
	}
	p.Paths = append(p.Paths, q.Paths...)
	slices.Sort(p.Paths)
	p.Paths = slices.Compact(p.Paths)
	p.Classes |= q.Classes
	for i := range p.needs {
		p.needs[i] |= q.needs[i]
	}
	p.Single, p.Instant = p.Single && q.Single, p.Instant && q.Instant
	for _, t := range q.Targets {
		if i, has := slices.BinarySearch(p.Targets, t); !has {
			p.Targets = slices.Insert(p.Targets, i, t)
		}
	}
	p.program.leaves = append(slices.Clone(p.program.leaves), q.program.leaves...)
	return p
}
