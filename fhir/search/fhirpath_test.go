package search_test

import (
	"context"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// byType resolves a reference to an empty resource of the type that it names:
// an index cannot fetch what a reference leads to (R4 search.html#reference).
type byType struct{}

func (byType) Resolve(_ context.Context, reference string) (*fhir.Resource, error) {
	ref, ok := fhir.ParseReference(reference)
	if !ok || ref.Type == "" {
		return nil, nil
	}
	return fhir.NewResource(fhir.NewObject(fhir.NewString(ref.Type).Named("resourceType"), fhir.NewString(ref.ID).Named("id")))
}

// pathHolder holds programs against the FHIRPath engine, with which they share
// no code.
type pathHolder struct {
	c            *search.Catalog
	compiled     map[string]*fhirpath.Expression
	found, tests int
}

func newPathHolder(c *search.Catalog) *pathHolder {
	return &pathHolder{c: c, compiled: map[string]*fhirpath.Expression{}}
}

// Every program selects what FHIRPath selects by the expression of its
// parameter, on every example and Synthea resource.
func TestProgramsSelectWhatFHIRPathDoes(t *testing.T) {
	t.Parallel()
	h := newPathHolder(catalog(t))
	for _, r := range corpus(t) {
		h.hold(t, r)
	}
	if h.found < 9_000 || h.tests == 0 {
		t.Fatalf("only %d elements and %d tests", h.found, h.tests)
	}
}

func (h *pathHolder) hold(t *testing.T, r *fhir.Resource) {
	t.Helper()
	for _, p := range h.c.Parameters(r.Type()) {
		sp := definition.Default().SearchParameter(r.Type(), p.Code)
		e := h.compiled[sp.Expression]
		if e == nil {
			var err error
			if e, err = fhirpath.Compile(sp.Expression); err != nil {
				t.Fatalf("%s: %v", sp.URL, err)
			}
			h.compiled[sp.Expression] = e
		}
		got, err := e.Evaluate(t.Context(), fhirpath.Context{Focus: fhirpath.Root(r), Resolver: byType{}})
		if err != nil {
			t.Fatalf("%s on %s/%s: %v", sp.URL, r.Type(), r.ID(), err)
		}
		if len(got) == 1 {
			if b, ok := got[0].(fhirpath.Boolean); ok {
				h.tests++
				h.holdTest(t, p, r, bool(b))
				continue
			}
		}
		h.found += len(got)
		holdNodes(t, p, r, h.c.Elements(p, r), got)
	}
}

// holdTest compares the answer of an expression that is a test.
func (h *pathHolder) holdTest(t *testing.T, p *search.Parameter, r *fhir.Resource, want bool) {
	t.Helper()
	h.c.Extract(p, r, func(v *search.Value) bool {
		if (v.Code == "true") != want {
			t.Errorf("%s.%s on %s: %s, FHIRPath says %v", p.Resource, p.Code, r.ID(), v.Code, want)
		}
		return true
	})
}

// holdNodes compares the nodes. A union drops what equals an earlier item, so
// an equal value counts for the program. References into the container are left
// out on both sides: they have no value.
func holdNodes(t *testing.T, p *search.Parameter, r *fhir.Resource, program []*fhir.Node, path fhirpath.Collection) {
	t.Helper()
	want := map[*fhir.Node]string{}
	values := map[string]bool{}
	for _, item := range path {
		e, ok := item.(*fhirpath.Element)
		if !ok {
			t.Errorf("%s.%s on %s: a value that is no element", p.Resource, p.Code, r.ID())
			continue
		}
		if n := e.Node(); n != nil && !intoContainer(n) {
			want[n] = e.Path()
			values[string(n.AppendJSON(nil))] = true
		}
	}
	for _, n := range program {
		if !intoContainer(n) && !values[string(n.AppendJSON(nil))] {
			t.Errorf("%s.%s on %s: the program selects what FHIRPath does not: %s", p.Resource, p.Code, r.ID(), n.Name())
		}
		delete(want, n)
	}
	for _, missed := range want {
		t.Errorf("%s.%s on %s: the program misses %s", p.Resource, p.Code, r.ID(), missed)
	}
}

func intoContainer(n *fhir.Node) bool { return strings.HasPrefix(n.Member("reference").Text(), "#") }
