package searchtest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// element is one element that an expression selects.
type element struct {
	value any
	typ   *definition.Type
	def   *definition.Element // nil at the root
}

// member is a member of an object.
func (e element) member(name string) any {
	m, _ := e.value.(map[string]any)
	return m[name]
}

func (e element) text(name string) string { return textOf(e.member(name)) }

// under is the element below a member whose type the definitions tell.
func (e element) under(name string) []element { return step(name, []element{e}) }

// elements are what a parameter selects in a resource.
func (w *World) elements(r *Resource, code string) []element {
	if found, ok := r.found[code]; ok {
		return found
	}
	sp := w.Definitions.SearchParameter(r.Type, code)
	found := w.Select(r, sp.Expression)
	r.found[code] = found
	return found
}

// Select evaluates the expression of a search parameter by splitting its text:
// paths, |, as, where, and the one test that R4 has (Patient.deceased).
func (w *World) Select(r *Resource, expression string) []element {
	root := element{value: r.root, typ: w.Definitions.Type(r.Type)}
	if left, _, test := strings.Cut(expression, ".exists() and "); test {
		holds := slices.ContainsFunc(w.eval(root, left, []element{root}), func(e element) bool { return e.value != false })
		return []element{{value: holds, typ: w.Definitions.Type("boolean")}}
	}
	return w.eval(root, expression, []element{root})
}

// Values are what Select finds, as decoded JSON.
func (w *World) Values(r *Resource, expression string) (values []any) {
	for _, e := range w.Select(r, expression) {
		values = append(values, e.value)
	}
	return values
}

// Cut splits a text at the separator outside of parentheses and quotes.
func Cut(s, sep string) []string {
	var parts []string
	depth, quoted, start := 0, false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\'':
			quoted = !quoted
		case quoted:
		case s[i] == '(':
			depth++
		case s[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(s[i:], sep):
			parts = append(parts, s[start:i])
			start = i + len(sep)
			i = start - 1
		}
	}
	return append(parts, s[start:])
}

func (w *World) eval(root element, s string, from []element) (all []element) {
	for _, alternative := range Cut(s, "|") {
		all = append(all, w.path(root, strings.TrimSpace(alternative), from)...)
	}
	return all
}

func (w *World) path(root element, s string, from []element) []element {
	if parts := Cut(s, " as "); len(parts) == 2 {
		return narrowed(w.path(root, parts[0], from), parts[1])
	}
	at := slices.Clone(from)
	for i, name := range Cut(s, ".") {
		switch {
		case i == 0 && name == "%resource":
			at = []element{root}
		case i == 0 && name[0] == '(':
			at = w.eval(root, name[1:len(name)-1], from)
		case i == 0 && name[0] >= 'A' && name[0] <= 'Z':
			if name != root.typ.Name && name != "Resource" && name != "DomainResource" {
				return nil
			}
		case strings.HasPrefix(name, "as("):
			at = narrowed(at, name[3:len(name)-1])
		case strings.HasPrefix(name, "where("):
			at = slices.DeleteFunc(at, func(e element) bool { return !holds(name[6:len(name)-1], e) })
		default:
			at = indexed(name, at)
		}
	}
	return at
}

// narrowed keeps the elements of the type, or of one derived from it (FHIRPath
// N1 §6.3.3): a canonical is a uri.
func narrowed(at []element, typ string) []element {
	return slices.DeleteFunc(at, func(e element) bool {
		return !strings.EqualFold(e.typ.Name, typ) && (e.typ.Name != "canonical" || typ != "uri")
	})
}

func holds(condition string, e element) bool {
	if typ, ok := strings.CutPrefix(condition, "resolve() is "); ok {
		ref := e.text("reference")
		if ref == "" {
			return e.text("type") == typ
		}
		return slices.Contains(strings.Split(ref, "/"), typ)
	}
	name, want, ok := strings.Cut(condition, "=")
	if !ok {
		panic("condition " + condition)
	}
	return e.text(name) == strings.Trim(want, "'")
}

func indexed(name string, at []element) []element {
	name, index, has := strings.Cut(name, "[")
	at = step(name, at)
	if has {
		n, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if err != nil {
			panic("index " + index)
		}
		at = at[min(n, len(at)):min(n+1, len(at))]
	}
	return at
}

// step goes to the members of the name; a choice element has its type in the
// member's name.
func step(name string, from []element) (out []element) {
	for _, e := range from {
		m, _ := e.value.(map[string]any)
		for key, v := range m {
			def, typ := e.typ.Lookup(key)
			if def == nil || def.Name != name || v == nil || key != name && !def.Choice {
				continue
			}
			list, isList := v.([]any)
			if !isList {
				list = []any{v}
			}
			for _, v := range list {
				if v != nil {
					out = append(out, element{v, typ, def})
				}
			}
		}
	}
	return out
}
