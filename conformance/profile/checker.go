package profile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// The errors of a Checker.
var (
	// ErrUnknown: there is no such profile here.
	ErrUnknown = errors.New("profile: not known here")
	// ErrUnsupported: the data meet what is not judged here: slicing in order,
	// slices of slices, discriminators that go through resolve() or extension(),
	// bounds of values, value sets that the terminology cannot answer, invariants
	// that do not compile; or a bound was reached.
	ErrUnsupported = errors.New("profile: not supported")
)

// Bounds of one Check.
const (
	maxDepth  = 32      // profiles within profiles
	maxVisits = 500_000 // element and definition brought together
	maxIssues = 200
)

// Source finds profiles, nil when there is none. The version may be empty.
type Source interface {
	Profile(ctx context.Context, url, version string) (*Structure, error)
}

// Checker judges elements. It is immutable and safe for concurrent use.
type Checker struct {
	Source      Source
	Terminology fhirpath.Terminology
}

// Check returns what of the profile the element breaks; warnings are rules that
// the profile itself calls so. That the element is valid as R4 defines its type
// is checked elsewhere (conformance/validation).
func (c Checker) Check(ctx context.Context, canonical string, e *fhirpath.Element) (fhir.Issues, error) {
	r := &run{Checker: c, ctx: ctx, visits: new(int), known: map[string]*Structure{}}
	s, err := r.load(canonical)
	if err != nil {
		return nil, err
	}
	if err := r.structure(s, e); err != nil {
		return nil, err
	}
	return r.issues, nil
}

// Conforms implements fhirpath.Profiles.
func (c Checker) Conforms(ctx context.Context, canonical string, e *fhirpath.Element) (bool, error) {
	issues, err := c.Check(ctx, canonical, e)
	return !issues.HasErrors(), err
}

// Slice implements fhirpath.Profiles.
func (c Checker) Slice(ctx context.Context, canonical, name string, e *fhirpath.Element) (bool, error) {
	r := &run{Checker: c, ctx: ctx, visits: new(int), known: map[string]*Structure{}}
	s, err := r.load(canonical)
	if err != nil {
		return false, err
	}
	whole, slice := s.root.find(name, e.Step())
	if slice == nil {
		return false, fmt.Errorf("%w: there is no such slice", ErrUnknown)
	}
	return r.inside(whole, slice, e)
}

// find looks for a slice by name, of the elements with the step.
func (n *node) find(name, step string) (whole, slice *node) {
	for _, s := range n.slices {
		if s.slice == name && s.name == step {
			return n, s
		}
	}
	for _, list := range [2][]*node{n.children, n.slices} {
		for _, c := range list {
			if whole, slice = c.find(name, step); slice != nil {
				return whole, slice
			}
		}
	}
	return nil, nil
}

// run is one Check, or a question within it.
type run struct {
	Checker
	ctx    context.Context
	issues fhir.Issues
	depth  int
	visits *int
	known  map[string]*Structure
}

func (r *run) load(canonical string) (*Structure, error) {
	if s := r.known[canonical]; s != nil {
		return s, nil
	}
	url, version, _ := strings.Cut(canonical, "|")
	s := builtIn[url]
	if t := fhirpath.BaseStructure(url); t != nil {
		s = &Structure{URL: url, Type: t.Name, root: &node{path: t.Name, max: -1}}
	}
	if s == nil {
		var err error
		if s, err = r.Source.Profile(r.ctx, url, version); err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, ErrUnknown
	}
	r.known[canonical] = s
	return s, nil
}

// builtIn are the profiles of R4 itself that the snapshots of others lean on.
var builtIn = map[string]*Structure{
	"http://hl7.org/fhir/StructureDefinition/SimpleQuantity": {Type: "Quantity",
		root: &node{path: "Quantity", max: -1, children: []*node{{path: "Quantity.comparator", name: "comparator"}}}},
}

// ask runs a question whose findings are not those of the resource.
func (r *run) ask(question func(*run) error) (bool, error) {
	sub := *r
	sub.issues = nil
	err := question(&sub)
	return !sub.issues.HasErrors(), err
}

func (r *run) structure(s *Structure, e *fhirpath.Element) error {
	if r.depth++; r.depth > maxDepth {
		return fmt.Errorf("%w: profiles are nested too deeply", ErrUnsupported)
	}
	defer func() { r.depth-- }()
	if !isType(e, s.Type) {
		r.fault(e, "structure", "the profile is for the type "+s.Type)
		return nil
	}
	return r.element(s.root, e)
}

// fault reports what an element breaks.
func (r *run) fault(e *fhirpath.Element, code, text string) {
	if len(r.issues) < maxIssues {
		r.issues = append(r.issues, fhir.Issue{Severity: fhir.Error, Code: code, Diagnostics: text, Expression: []string{e.Path()}})
	}
}

func unsupported(n *node, what string) error {
	return fmt.Errorf("%w: %s of %s", ErrUnsupported, what, n.path)
}
