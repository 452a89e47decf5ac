package search_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/fhir/search/searchtest"
)

// item is an element as the oracle sees it: plain decoded JSON and, for a
// choice element, the type that its member name ends in.
type item struct {
	value  any
	choice string
}

// oracle evaluates an expression by splitting its text and looking at names
// only; it knows nothing of definitions but the names of types. It shares no
// code with the compiler.
type oracle struct {
	t    *testing.T
	root any
	typ  string
}

func (o *oracle) eval(s string, from []item) []item {
	var all []item
	for _, alternative := range searchtest.Cut(s, "|") {
		all = append(all, o.alternative(strings.TrimSpace(alternative), from)...)
	}
	return all
}

func (o *oracle) alternative(s string, from []item) []item {
	if parts := searchtest.Cut(s, " as "); len(parts) == 2 {
		return narrowed(o.alternative(parts[0], from), parts[1])
	}
	at := from
	for i, name := range searchtest.Cut(s, ".") {
		switch {
		case i == 0 && name == "%resource":
			at = []item{{value: o.root}}
		case i == 0 && name[0] == '(':
			at = o.eval(name[1:len(name)-1], from)
		case i == 0 && name[0] >= 'A' && name[0] <= 'Z':
			if name != o.typ && name != "Resource" && name != "DomainResource" {
				return nil
			}
		case strings.HasPrefix(name, "as("):
			at = narrowed(at, name[3:len(name)-1])
		case strings.HasPrefix(name, "where("):
			at = slices.DeleteFunc(at, func(i item) bool { return !o.holds(name[6:len(name)-1], i) })
		default:
			at = o.step(name, at)
		}
	}
	return at
}

// narrowed keeps the items of the type.
func narrowed(items []item, typ string) []item {
	return slices.DeleteFunc(items, func(i item) bool { return !strings.EqualFold(i.choice, typ) })
}

func (o *oracle) holds(condition string, i item) bool {
	m, _ := i.value.(map[string]any)
	if typ, ok := strings.CutPrefix(condition, "resolve() is "); ok {
		ref, _ := m["reference"].(string)
		if ref == "" {
			return m["type"] == typ
		}
		parts := strings.Split(ref, "/")
		return slices.Contains(parts, typ)
	}
	name, want, ok := strings.Cut(condition, "=")
	if !ok {
		o.t.Fatalf("condition %s", condition)
	}
	return m[name] == strings.Trim(want, "'")
}

func (o *oracle) step(name string, from []item) []item {
	name, index, indexed := strings.Cut(name, "[")
	var out []item
	for _, i := range from {
		m, _ := i.value.(map[string]any)
		for key, v := range m {
			rest, ok := strings.CutPrefix(key, name)
			if !ok || rest != "" && (!isChoice(rest) || !choiceNames()[name]) {
				continue
			}
			if list, isList := v.([]any); isList {
				for _, v := range list {
					out = append(out, item{v, rest})
				}
				continue
			}
			out = append(out, item{v, rest})
		}
	}
	if indexed {
		n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if err != nil {
			o.t.Fatalf("index %s", index)
		}
		out = out[min(n, len(out)):min(n+1, len(out))]
	}
	return slices.DeleteFunc(out, func(i item) bool { return i.value == nil })
}

// isChoice reports whether the end of a member name is the name of a type.
func isChoice(s string) bool {
	reg := definition.Default()
	if s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	return reg.Type(s) != nil || reg.Type(strings.ToLower(s[:1])+s[1:]) != nil
}

// choiceNames are the names of all choice elements of all types; a plain
// element may have a longer namesake (status, statusDate).
var choiceNames = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, typ := range definition.Default().Types() {
		for _, e := range typ.Elements {
			if e.Choice {
				names[e.Name] = true
			}
		}
	}
	return names
})

func canonicalJSON(t *testing.T, values []any) []string {
	t.Helper()
	out := make([]string, len(values))
	for i, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(b)
	}
	slices.Sort(out)
	return out
}

func decoded(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every program selects what its expression says, on every example and
// Synthea resource. References into the container are left out: they have no
// value and are not resolved.
func TestProgramsSelectWhatTheirExpressionsSay(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	selected := map[string]bool{}
	for _, r := range corpus(t) {
		holdAgainstOracle(t, c, r)
		c.ExtractAll(r, func(p *search.Parameter, _ *search.Value) { selected[p.URL] = true })
	}
	if len(selected) < 500 {
		t.Fatalf("only %d parameters found anything", len(selected))
	}
}

func uncontained(items []item) []any {
	var out []any
	for _, i := range items {
		if !contained(i.value) {
			out = append(out, i.value)
		}
	}
	return out
}

func contained(v any) bool {
	m, _ := v.(map[string]any)
	ref, _ := m["reference"].(string)
	return strings.HasPrefix(ref, "#")
}

func elements(t *testing.T, c *search.Catalog, p *search.Parameter, r *fhir.Resource) []any {
	t.Helper()
	var out []any
	for _, n := range c.Elements(p, r) {
		if v := decoded(t, n.AppendJSON(nil)); !contained(v) {
			out = append(out, v)
		}
	}
	return out
}
