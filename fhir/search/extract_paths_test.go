package search_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// dump writes out all of a value, which its own printing withholds.
func dump(v *search.Value) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q %q|%q %v %q %q %s/%s %q %d..%d %s..%s %q %g,%g", v.Kind, v.Text, v.System, v.Code, v.ImpliedSystem, v.Texts,
		v.OfType, v.Type, v.ID, v.URL, v.From, v.Until, decimal(v.Low), decimal(v.High), v.Unit, v.Latitude, v.Longitude)
	if v.Identifier != nil {
		fmt.Fprintf(&b, " identifier %q", *v.Identifier)
	}
	for _, part := range v.Parts {
		b.WriteString(" (")
		for i := range part {
			b.WriteString(dump(&part[i]) + ";")
		}
		b.WriteString(")")
	}
	return b.String()
}

func decimal(d *apd.Decimal) string {
	if d == nil {
		return "open"
	}
	return d.String()
}

// plain drops what only modifiers look at; empty tells that nothing is left.
func plain(v search.Value) (search.Value, bool) {
	v.Texts, v.OfType, v.Identifier = nil, nil, nil
	v.Parts = slices.Clone(v.Parts)
	for i, part := range v.Parts {
		var kept []search.Value
		for _, p := range part {
			if p, ok := plain(p); ok {
				kept = append(kept, p)
			}
		}
		if v.Parts[i] = kept; len(kept) == 0 {
			return v, false
		}
	}
	switch v.Kind {
	case search.TokenKind:
		return v, v.System != "" || v.Code != ""
	case search.ReferenceKind:
		return v, v.Type != "" || v.URL != ""
	}
	return v, true
}

func values(c *search.Catalog, p *search.Parameter, r *fhir.Resource, onlyPlain bool) []string {
	var found []string
	c.Extract(p, r, func(v *search.Value) bool {
		if !onlyPlain {
			found = append(found, dump(v))
		} else if v, ok := plain(*v); ok {
			found = append(found, dump(&v))
		}
		return true
	})
	return found
}

// corpus is every official example and every Synthea resource.
func corpus(t testing.TB) []*fhir.Resource {
	t.Helper()
	list := syntheaResources(t)
	for name, b := range fhirtest.Examples(t) {
		r, err := fhir.Parse(b, fhir.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, r)
	}
	return list
}

// prune copies n without what keep refuses; path is that of n.
func prune(n *fhir.Node, path string, keep func(path string) (whole, some bool)) fhir.Node {
	if n.Kind() == fhir.Array {
		a := fhir.NewArray()
		for i := range n.Len() {
			a.Append(prune(n.At(i), path, keep))
		}
		return a
	}
	if n.Kind() != fhir.Object {
		return *n
	}
	o := fhir.NewObject()
	for i := range n.Len() {
		m := n.At(i)
		at := path + "." + m.Name()
		whole, some := keep(at)
		switch {
		case whole || m.Name() == "resourceType":
			o.Append(*m)
		case some:
			o.Append(prune(m, at, keep).Named(m.Name()))
		}
	}
	return o
}

// A parameter finds the same when everything but its Paths is taken away: it
// reads nothing that the permit does not ask for.
func TestNothingOutsideThePathsIsRead(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	checked := 0
	for _, r := range corpus(t) {
		for _, p := range c.Parameters(r.Type()) {
			want := values(c, p, r, false)
			pruned, err := fhir.NewResource(prune(r.Root(), r.Type(), func(path string) (whole, some bool) {
				for _, q := range p.Paths {
					whole = whole || path == q
					some = some || strings.HasPrefix(q, path+".")
				}
				return whole, some
			}))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, values(c, p, pruned, false)); diff != "" {
				t.Fatalf("%s.%s of %s reads more than %v:\n%s", r.Type(), p.Code, r.ID(), p.Paths, diff)
			}
			checked += len(want)
		}
	}
	if checked < 8_000 {
		t.Fatalf("only %d values", checked)
	}
}

// The same for the classes that Needs names without modifier, with the class
// table itself as judge: a role that sees only these finds the same.
func TestNothingOutsideTheNeededClassesIsCompared(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	classes, err := loadClasses()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, r := range corpus(t) {
		for _, p := range c.Parameters(r.Type()) {
			want := values(c, p, r, true)
			if len(want) == 0 {
				continue
			}
			needs := p.Needs(search.NoModifier)
			if needs.Has(field.Restricted) { // reads contents of another type
				continue
			}
			visible, err := fhir.NewResource(mask(r.Root(), classes.Root(r.Type()), needs))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, values(c, p, visible, true)); diff != "" {
				t.Fatalf("%s.%s of %s needs more than %s:\n%s", r.Type(), p.Code, r.ID(), needs, diff)
			}
			checked += len(want)
		}
	}
	if checked < 8_000 {
		t.Fatalf("only %d values", checked)
	}
}

// mask keeps what has one of the classes.
func mask(n *fhir.Node, at field.Cursor, visible field.ClassSet) fhir.Node {
	if n.Kind() != fhir.Object && n.Kind() != fhir.Array {
		return *n
	}
	out := fhir.NewObject()
	if n.Kind() == fhir.Array {
		out = fhir.NewArray()
	}
	for i := range n.Len() {
		m := n.At(i)
		cursor := at.Child(n, m)
		if class, _, ok := cursor.Uniform(m); ok && m.Name() != "resourceType" {
			if visible.Has(class) {
				out.Append(*m)
			}
			continue
		}
		out.Append(mask(m, cursor, visible).Named(m.Name()))
	}
	return out
}

// The shared walk finds what the walk of each parameter finds.
func TestExtractAllFindsWhatExtractFinds(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for _, r := range corpus(t) {
		all := map[string][]string{}
		c.ExtractAll(r, func(p *search.Parameter, v *search.Value) { all[p.Code] = append(all[p.Code], dump(v)) })
		for _, p := range c.Parameters(r.Type()) {
			want, got := values(c, p, r, false), all[p.Code]
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s.%s of %s:\n%s", r.Type(), p.Code, r.ID(), diff)
			}
		}
	}
}

// Facts that planners rely on hold on the corpus.
func TestSingleInstantAndCoveringHold(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	for _, r := range corpus(t) {
		for _, p := range c.Parameters(r.Type()) {
			found := values(c, p, r, false)
			if p.Single && len(found) > 1 {
				t.Errorf("%s.%s: %d values", r.Type(), p.Code, len(found))
			}
			if p.Covering != "" {
				all := values(c, c.Parameter(r.Type(), p.Covering), r, false)
				for _, v := range found {
					if !slices.Contains(all, v) {
						t.Errorf("%s.%s is not covered by %s", r.Type(), p.Code, p.Covering)
					}
				}
			}
			c.Extract(p, r, func(v *search.Value) bool {
				if v.Kind != p.Kind || v.Classes == 0 || !p.Needs(search.NoModifier).Contains(v.Classes) {
					t.Errorf("%s.%s: a %s of %s", r.Type(), p.Code, v.Kind, v.Classes)
				}
				const day = 24 * 3600 * 1_000_000
				if p.Instant && v.Until-v.From <= day && floorDiv(v.From, day) != floorDiv(v.Until-1, day) {
					t.Errorf("%s.%s: a value lies in two days", r.Type(), p.Code)
				}
				return true
			})
		}
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
