package field

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// classify applies the rules in their order and sets the member's class and
// walk.
func (b *builder) classify(m *member, e *definition.Element, ref definition.TypeRef, code, path, res string, key walkKey) {
	backbone := m.kind == complexType && ref.Type.Kind == definition.Backbone
	rule, source := b.rule(e, code, path, res, key)
	person := namesPerson(code, ref)
	if rule == byTarget {
		rule = Administrative.String()
		if key.person {
			rule = Identifier.String()
		}
		if m.name == "display" {
			m.flags |= isCosmetic
		}
	}
	if rule == byType {
		rule = ""
	}
	inherit := key.inherit
	if rule != "" {
		m.class, _ = ParseClass(rule)
		inherit = true
	}
	split := m.kind == complexType && rule == "" && !inherit && (backbone || b.p.Datatypes[code].members != nil)
	switch {
	case m.kind != complexType:
	case backbone:
		m.walk = b.object(ref.Type, res, walkKey{typ: ref.Type, inherit: inherit})
	case split:
		m.walk = b.object(ref.Type, "", walkKey{typ: ref.Type, person: person})
	default:
		m.walk = b.object(ref.Type, "", walkKey{typ: ref.Type, inherit: true})
	}
	if rule == "" && !inherit && !split {
		m.class, source = Restricted, "none"
	}
	b.record(m, code, path, source, key, split && !backbone, person)
}

// rule finds the first rule that names the element. In a container that
// already has a class only an exact path counts.
func (b *builder) rule(e *definition.Element, code, path, res string, key walkKey) (rule, source string) {
	for _, p := range []string{path, e.Path} {
		if c, ok := b.p.Paths[p]; ok {
			b.used[p] = true
			return c, "path"
		}
	}
	if key.inherit {
		return "", "inherited"
	}
	if d := b.p.Datatypes[key.typ.Name]; d.members != nil {
		if c, ok := d.members[path[strings.LastIndexByte(path, '.')+1:]]; ok {
			return c, "datatype"
		}
	}
	last := path[strings.LastIndexByte(path, '.')+1:]
	if last == "id" {
		return Administrative.String(), "path"
	}
	if c, ok := b.p.Paths["*."+last]; ok && key.typ.Kind == definition.Resource {
		return c, "path"
	}
	if rules := b.resource[res]; rules != nil {
		c, ok := rules[code]
		if !ok && !isContainer(code) {
			c = rules["*"]
		}
		if c != "" && c != byType {
			return c, "resource"
		}
	}
	return b.p.Datatypes[code].whole, "datatype"
}

func isContainer(code string) bool {
	return code == "BackboneElement" || code == "Element" || code == ""
}

// namesPerson reports whether a reference may lead to a patient or a relative.
func namesPerson(code string, ref definition.TypeRef) bool {
	if code != "Reference" {
		return false
	}
	for _, t := range []string{"Patient", "RelatedPerson", "Person", "Resource"} {
		if slices.Contains(ref.Targets, t) {
			return true
		}
	}
	return len(ref.Targets) == 0
}

// record adds the element to the expanded table, at the granularity of rules:
// what merely inherits is not listed.
func (b *builder) record(m *member, code, path, source string, key walkKey, split, person bool) {
	if key.person {
		typ, rest, _ := strings.Cut(path, ".")
		path = typ + "(person)." + rest
	}
	switch {
	case split && code == "Reference" && person:
		b.t.rules = append(b.t.rules, Rule{path, "Reference(person)", Group0, "parts"})
	case split:
		b.t.rules = append(b.t.rules, Rule{path, code, Group0, "parts"})
	case m.class != Group0:
		b.t.rules = append(b.t.rules, Rule{path, code, m.class, source})
	}
}

// choices adds the "value[x]" form of every choice element.
func (b *builder) choices() {
	for key, w := range b.walks {
		if key.inherit || key.person {
			continue
		}
		for _, e := range key.typ.Elements {
			if !e.Choice {
				continue
			}
			var s ClassSet
			for i := range w.slots {
				m := &w.slots[i]
				if m.name != "" && strings.HasPrefix(m.name, e.Name) && b.isChoice(e, m.name) {
					s |= b.t.below(cursor{}.to(m), map[*walk]bool{})
				}
			}
			b.t.paths[e.Path] = s
			b.t.paths[strings.TrimSuffix(e.Path, "[x]")] = s
		}
	}
}

func (b *builder) isChoice(e *definition.Element, name string) bool {
	for _, ref := range e.Types {
		if jsonName(e, ref.Code[strings.LastIndexByte(ref.Code, '/')+1:]) == name {
			return true
		}
	}
	return false
}
