package field

import (
	"fmt"
	"sort"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// builder expands the rules over the definitions.
type builder struct {
	reg      *definition.Registry
	p        *policy
	t        *Table
	resource map[string]map[string]string // type → datatype → class
	walks    map[walkKey]*walk
	leaf     map[string]bool
	used     map[string]bool // exact paths that matched an element
	errs     []string
}

// walkKey: the same datatype is walked differently when its container gave it
// a class (inherit) and when its references may name a person.
type walkKey struct {
	typ     *definition.Type
	inherit bool
	person  bool
}

func newBuilder(reg *definition.Registry, p *policy) *builder {
	b := &builder{reg: reg, p: p, resource: map[string]map[string]string{}, walks: map[walkKey]*walk{}, leaf: map[string]bool{}, used: map[string]bool{}}
	b.t = &Table{types: map[string]*walk{}, extensions: map[string]Class{}, names: newDictionary(), paths: map[string]ClassSet{}}
	for f, name := range fixedNames {
		b.t.fixedSteps[f][0].n = uint32(b.id(name))
	}
	for _, r := range p.Resources {
		for _, typ := range b.expand(r.Types) {
			if b.resource[typ] == nil {
				b.resource[typ] = map[string]string{}
			}
			for d, c := range r.Datatypes {
				b.resource[typ][d] = c
			}
		}
	}
	for _, path := range p.Leaf {
		b.leaf[path] = true
	}
	return b
}

func (b *builder) expand(types []string) []string {
	var out []string
	for _, t := range types {
		if g, ok := b.p.Groups[t]; ok {
			out = append(out, g...)
		} else {
			out = append(out, t)
		}
	}
	for _, t := range out {
		if !b.reg.IsResource(t) {
			b.errs = append(b.errs, fmt.Sprintf("resources: %q is not a resource type", t))
		}
	}
	return out
}

func (b *builder) build() (*Table, error) {
	for url, c := range b.p.Extensions {
		b.t.extensions[url], _ = ParseClass(c)
	}
	b.t.primitiveSibling = &walk{path: "Element"}
	b.t.primitiveSibling.setMembers([]member{
		{name: "id", id: b.id("id")},
		{name: "extension", id: b.id("extension"), kind: extension, walk: blanketWalk},
	})
	for _, name := range b.reg.ResourceTypes() {
		if typ := b.reg.Type(name); typ != nil && !typ.Abstract {
			b.t.types[name] = b.object(typ, name, walkKey{typ: typ})
		}
	}
	b.choices()
	for path := range b.p.Paths {
		if !b.used[path] && !strings.HasPrefix(path, "*.") {
			b.errs = append(b.errs, fmt.Sprintf("paths: no element %q", path))
		}
	}
	sort.Slice(b.t.rules, func(i, j int) bool { return b.t.rules[i].Path < b.t.rules[j].Path })
	if len(b.errs) > 0 {
		return nil, fmt.Errorf("class policy: %s", strings.Join(b.errs, "; "))
	}
	return b.t, nil
}

func (b *builder) id(name string) uint16 {
	id, ok := b.t.names.ids[name]
	if !ok {
		b.errs = append(b.errs, fmt.Sprintf("names.txt lacks %q", name))
	}
	return id
}

// object builds the walk of a resource, backbone or datatype.
func (b *builder) object(typ *definition.Type, res string, key walkKey) *walk {
	if w := b.walks[key]; w != nil {
		return w
	}
	w := &walk{path: typ.Name, resource: typ.Kind == definition.Resource}
	b.walks[key] = w
	var ms []member
	for _, e := range typ.Elements {
		for _, ref := range e.Types {
			ms = append(ms, b.member(w, e, ref, res, key))
		}
	}
	w.setMembers(ms)
	return w
}

func jsonName(e *definition.Element, code string) string {
	if !e.Choice {
		return e.Name
	}
	return e.Name + strings.ToUpper(code[:1]) + code[1:]
}

func (b *builder) member(w *walk, e *definition.Element, ref definition.TypeRef, res string, key walkKey) member {
	code := ref.Code[strings.LastIndexAny(ref.Code, "/.")+1:]
	if code == "String" {
		code = "string"
	}
	m := member{name: jsonName(e, code)}
	m.id = b.id(m.name)
	if e.IsModifier {
		m.flags |= isModifier
	}
	switch {
	case code == "Extension":
		m.kind, m.walk = extension, blanketWalk
		return m
	case code == "Resource" || b.reg.IsResource(code):
		m.kind = resource
		return m
	case ref.Type != nil && ref.Type.Kind != definition.Primitive:
		m.kind = complexType
	}
	path := strings.TrimSuffix(e.Path, "[x]")
	if e.Choice {
		path = path[:len(path)-len(e.Name)] + m.name
	}
	if b.leaf[path] || b.leaf[e.Path] {
		m.flags |= isLeaf
	}
	b.classify(&m, e, ref, code, path, res, key)
	if w.resource {
		m.from = b.derivation(res, m.name)
	}
	return m
}
