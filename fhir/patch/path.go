package patch

import (
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// place is where an element stands: under a member of an object, and in a list
// when the element repeats. A primitive has two homes, the member and its
// sibling with an underscore; one of them may be missing.
type place struct {
	parent *fhir.Node       // the object that has the element
	owner  *definition.Type // of parent; nil when it is not known
	name   string           // of the JSON member, without underscore; empty for the resource itself
	index  int              // in the list, -1 when the element does not repeat
}

// value is the element's own value, nil for a primitive that has only
// extensions.
func (p place) value() *fhir.Node { return p.item(p.name) }

// sibling is what holds a primitive's id and extensions, or nil.
func (p place) sibling() *fhir.Node { return p.item("_" + p.name) }

func (p place) item(name string) *fhir.Node {
	if p.name == "" {
		return p.parent
	}
	n := p.parent.Member(name)
	if n == nil || p.index < 0 {
		return n
	}
	if p.index >= n.Len() {
		return nil
	}
	return n.At(p.index)
}

// object is the JSON object that holds the children of the element, nil when
// there is none.
func (p place) object() *fhir.Node {
	if v := p.value(); v != nil && v.Kind() == fhir.Object {
		return v
	}
	if s := p.sibling(); s != nil && s.Kind() == fhir.Object {
		return s
	}
	return nil
}

// typ is the type of the element, nil when it is not known.
func (p place) typ() *definition.Type {
	if p.name == "" {
		return p.owner
	}
	if p.owner == nil {
		return nil
	}
	_, t := p.owner.Lookup(p.name)
	return t
}

// step is one step of a simple path.
type step struct {
	name  string // of an element; empty for an index
	index int
}

// parsePath reads "Patient.contact[0].name": names and indexes, the subset of
// FHIRPath that R4 fhirpatch.html uses. It returns false for anything else.
func parsePath(s string) (steps []step, ok bool) {
	for first := true; s != ""; first = false {
		if s[0] == '[' {
			number, rest, found := strings.Cut(s[1:], "]")
			i, isIndex := arrayIndex(number)
			if !found || !isIndex || first {
				return nil, false
			}
			steps, s = append(steps, step{index: i}), rest
			continue
		}
		if !first {
			if s[0] != '.' {
				return nil, false
			}
			s = s[1:]
		}
		end := strings.IndexAny(s, ".[")
		if end < 0 {
			end = len(s)
		}
		name := strings.Trim(s[:end], "`")
		if !elementName(name) || name[0] == '_' {
			return nil, false
		}
		steps, s = append(steps, step{name: name}), s[end:]
	}
	return steps, len(steps) > 0
}

func pathString(steps []step) string {
	var b strings.Builder
	for i, s := range steps {
		switch {
		case s.name == "":
			b.WriteString("[" + strconv.Itoa(s.index) + "]")
		case i > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

// pathElements are the names below the resource.
func pathElements(steps []step) (names []string) {
	for _, s := range steps[min(1, len(steps)):] {
		if s.name != "" {
			names = append(names, s.name)
		}
	}
	return names
}

// finder finds the places of one resource.
type finder struct {
	reg    *definition.Registry
	effort *effort
}

// find returns the places that a path selects.
func (f *finder) find(root *fhir.Node, steps []step) []place {
	typ := root.Member("resourceType").Text()
	if steps[0].name == typ || steps[0].name == "Resource" || steps[0].name == "DomainResource" {
		steps = steps[1:]
	}
	places := []place{{parent: root, owner: f.reg.Type(typ), index: -1}}
	for _, s := range steps {
		if s.name == "" {
			if s.index >= len(places) {
				return nil
			}
			places = places[s.index : s.index+1]
			continue
		}
		var next []place
		for _, p := range places {
			next = f.children(next, p, s.name)
		}
		places = next
	}
	return places
}

// children adds the places of an element of p. A choice element is found by
// its name without the type: value finds valueQuantity.
func (f *finder) children(to []place, p place, name string) []place {
	object := p.object()
	if object == nil || !f.effort.look(object.Len()) {
		return to
	}
	owner := f.objectType(p, object)
	for _, member := range memberNames(owner, name) {
		value, sibling := object.Member(member), object.Member("_"+member)
		if value == nil && sibling == nil {
			continue
		}
		n := max(length(value), length(sibling))
		if n < 0 {
			to = append(to, place{parent: object, owner: owner, name: member, index: -1})
		}
		f.effort.look(max(n, 0))
		for i := range max(n, 0) {
			to = append(to, place{parent: object, owner: owner, name: member, index: i})
		}
	}
	return to
}

// objectType is the type of the object that holds p's children; that of a
// resource inside of another is named by itself.
func (f *finder) objectType(p place, object *fhir.Node) *definition.Type {
	t := p.typ()
	if t != nil && t.Kind == definition.Resource && t.Abstract {
		return f.reg.Type(object.Member("resourceType").Text())
	}
	return t
}

// length is the number of items of a list, -1 for what is none.
func length(n *fhir.Node) int {
	if n == nil || n.Kind() != fhir.Array {
		return -1
	}
	return n.Len()
}

// memberNames are the JSON names that an element may have.
func memberNames(owner *definition.Type, name string) []string {
	if owner == nil {
		return []string{name}
	}
	for _, e := range owner.Elements {
		if e.Name != name || !e.Choice {
			continue
		}
		names := make([]string, len(e.Types))
		for i, t := range e.Types {
			names[i] = choiceName(e, t.Code)
		}
		return names
	}
	if e, _ := owner.Lookup(name); e == nil || e.Choice {
		return nil
	}
	return []string{name}
}

// choiceName is the JSON name of a choice element with a type.
func choiceName(e *definition.Element, code string) string {
	return e.Name + strings.ToUpper(code[:1]) + code[1:]
}
