package search_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// shape is the tree of member names below a type that some parameter reads.
type shape map[string]shape

func (s shape) add(path string) {
	for name := range strings.SplitSeq(path, ".") {
		if s[name] == nil {
			s[name] = shape{}
		}
		s = s[name]
	}
}

// build makes an object of the type with every member of the shape. Where the
// definitions leave a choice (codes, targets), the variant takes one.
func build(typ *definition.Type, s shape, variant int) fhir.Node {
	o := fhir.NewObject()
	if typ.Kind == definition.Resource {
		o.Append(fhir.NewString(typ.Name).Named("resourceType"))
	}
	names := make([]string, 0, len(s))
	for name := range s {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		e, t := typ.Lookup(name)
		if e == nil {
			continue
		}
		v := sample(e, t, s[name], variant)
		if e.Repeats() {
			v = fhir.NewArray(v)
		}
		o.Append(v.Named(name))
	}
	return o
}

var samples = map[string]string{
	"boolean": `true`, "integer": `1`, "positiveInt": `2`, "unsignedInt": `3`, "decimal": `1.50`, "date": `"2020-01-02"`, "dateTime": `"2020"`,
	"instant": `"2020-01-01T00:00:00Z"`, "Period": `{"start":"2020"}`, "Identifier": `{"system":"s","value":"v"}`, "Coding": `{"system":"s","code":"c"}`,
	"Quantity": `{"value":1,"code":"g"}`,
}

func sample(e *definition.Element, t *definition.Type, s shape, variant int) fhir.Node {
	if t.Name == "Reference" {
		target := "Patient"
		if i := slices.IndexFunc(e.Types, func(r definition.TypeRef) bool { return r.Code == "Reference" && len(r.Targets) > 0 }); i >= 0 {
			target = e.Types[i].Targets[variant%len(e.Types[i].Targets)]
		}
		return fhir.NewObject(fhir.NewString(target + "/x").Named("reference"))
	}
	if t.Name == "Resource" {
		return fhir.NewObject(fhir.NewString("Composition").Named("resourceType"), fhir.NewString("c").Named("id"))
	}
	if text, ok := samples[t.Name]; ok && (len(s) == 0 || t.Kind == definition.Primitive) {
		return literal(text)
	}
	if t.Kind != definition.Primitive {
		return build(t, s, variant)
	}
	if e.Binding != nil && e.Binding.Codes != nil && t.Name == "code" {
		codes := e.Binding.Codes.Codes(e.Binding.Codes.Systems()[0])
		return fhir.NewString(codes[variant%len(codes)])
	}
	return fhir.NewString(e.Path + "-" + t.Name) // different where a path goes astray
}

func literal(text string) fhir.Node {
	n, err := fhir.ParseValue([]byte(text), fhir.DefaultLimits)
	if err != nil {
		panic(err)
	}
	return n
}

// Each parameter of each type finds a value in some resource that holds all
// that its Paths name, and its program selects there what its expression says.
// Examples exist for half of the parameters only.
func TestEveryParameterFindsItsValues(t *testing.T) {
	t.Parallel()
	c, reg := catalog(t), definition.Default()
	h := newPathHolder(c)
	const variants = 40 // as many as the longest list of targets or codes in a condition
	for _, typ := range reg.ResourceTypes() {
		s := shape{}
		for _, p := range c.Parameters(typ) {
			for _, path := range p.Paths {
				s.add(strings.TrimPrefix(path, typ+"."))
			}
		}
		missing := map[string]bool{}
		for _, p := range c.Parameters(typ) {
			missing[p.Code] = true
		}
		for variant := range variants {
			r, err := fhir.NewResource(build(reg.Type(typ), s, variant))
			if err != nil {
				t.Fatal(err)
			}
			c.ExtractAll(r, func(p *search.Parameter, _ *search.Value) { delete(missing, p.Code) })
			if variant < 2 {
				holdAgainstOracle(t, c, r)
			}
			h.hold(t, r)
		}
		for code := range missing {
			t.Errorf("%s.%s finds nothing", typ, code)
		}
	}
}

func holdAgainstOracle(t *testing.T, c *search.Catalog, r *fhir.Resource) {
	t.Helper()
	o := &oracle{t: t, root: decoded(t, r.AppendJSON(nil)), typ: r.Type()}
	for _, p := range c.Parameters(r.Type()) {
		sp := definition.Default().SearchParameter(r.Type(), p.Code)
		if strings.Contains(sp.Expression, " and ") {
			continue
		}
		want := uncontained(o.eval(sp.Expression, []item{{value: o.root}}))
		if diff := cmp.Diff(canonicalJSON(t, want), canonicalJSON(t, elements(t, c, p, r))); diff != "" {
			t.Errorf("%s.%s:\n%s", r.Type(), p.Code, diff)
		}
	}
}
