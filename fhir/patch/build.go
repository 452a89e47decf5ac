package patch

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// maxNesting bounds parts inside of parts.
const maxNesting = 30

// addChild adds an element to an object: to the end of a list, or where there
// is none yet (R4 fhirpatch.html#concept).
func (f *finder) addChild(object *fhir.Node, owner *definition.Type, name string, part *fhir.Node, depth int) error {
	e := elementNamed(owner, name)
	if e == nil {
		return because(ErrTarget, "the element is not defined")
	}
	f.effort.look(object.Len())
	member, v, err := f.build(owner, e, part, depth)
	if err != nil {
		return err
	}
	if e.Repeats() {
		n := max(length(object.Member(member)), length(object.Member("_"+member)), 0)
		f.effort.look(n)
		insertItem(object, member, n, v)
		return nil
	}
	for _, other := range memberNames(owner, e.Name) {
		if object.Member(other) != nil || object.Member("_"+other) != nil {
			return because(ErrTarget, "the element is there already and does not repeat")
		}
	}
	v.insert(object, member, object.Len())
	return nil
}

func elementNamed(owner *definition.Type, name string) *definition.Element {
	if owner == nil {
		return nil
	}
	for _, e := range owner.Elements {
		if e.Name == name {
			return e
		}
	}
	e, _ := owner.Lookup(name)
	return e
}

// build makes the value of an element from the part that carries it, and tells
// its JSON name.
func (f *finder) build(owner *definition.Type, e *definition.Element, part *fhir.Node, depth int) (string, built, error) {
	if e == nil {
		return "", built{}, because(ErrTarget, "the element is not defined")
	}
	code, v := partValue(part)
	if r := part.Member("resource"); r != nil {
		c := r.Clone()
		v.value, code = &c, "Resource"
	}
	name := e.Name
	if e.Choice {
		name += code
	}
	known, t := owner.Lookup(name)
	if known != e {
		return "", built{}, because(ErrValue, "the element does not have this type")
	}
	if code == "" && t != nil && (t.Kind == definition.Backbone || t.Kind == definition.Complex) {
		object, err := f.anonymous(t, part, depth)
		return name, built{value: object}, err
	}
	if !fits(f.reg, t, code, v) {
		return "", built{}, ErrValue
	}
	return name, v, nil
}

// partValue is the value[x] of a part and the name of its type as it stands
// there: Quantity, DateTime.
func partValue(part *fhir.Node) (code string, b built) {
	for i := range part.Len() {
		m := part.At(i)
		name := strings.TrimPrefix(m.Name(), "_")
		if !strings.HasPrefix(name, "value") || len(name) == len("value") {
			continue
		}
		c := m.Clone().Named("")
		if code = name[len("value"):]; name == m.Name() {
			b.value = &c
		} else {
			b.sibling = &c
		}
	}
	return code, b
}

// anonymous builds a backbone element from parts, which may nest.
func (f *finder) anonymous(t *definition.Type, part *fhir.Node, depth int) (*fhir.Node, error) {
	parts := part.Member("part")
	if parts == nil || parts.Kind() != fhir.Array || parts.Len() == 0 {
		return nil, because(ErrValue, "it has neither a value nor parts")
	}
	if depth > maxNesting {
		return nil, ErrTooLarge
	}
	object := fhir.NewObject()
	for i := range parts.Len() {
		p := parts.At(i)
		if err := f.addChild(&object, t, p.Member("name").Text(), p, depth+1); err != nil {
			return nil, err
		}
	}
	return &object, nil
}

// fits reports whether a value can stand for the type: the JSON kinds of
// primitives must agree, complex types must be the same. What the value says is
// the validator's to judge.
func fits(reg *definition.Registry, t *definition.Type, code string, v built) bool {
	if t == nil || code == "" {
		return false
	}
	if t.Kind == definition.Primitive {
		return v.value == nil && v.sibling != nil || v.value != nil && v.value.Kind() == primitiveKind(t.Name)
	}
	if v.value == nil || v.value.Kind() != fhir.Object || v.sibling != nil {
		return false
	}
	if t.Kind == definition.Resource {
		return code == "Resource"
	}
	for s := reg.Type(code); s != nil; s = reg.Type(s.Base) {
		if s == t {
			return true
		}
	}
	return false
}

func primitiveKind(name string) fhir.Kind {
	switch name {
	case "boolean":
		return fhir.Bool
	case "integer", "positiveInt", "unsignedInt", "decimal":
		return fhir.Number
	}
	return fhir.String
}
