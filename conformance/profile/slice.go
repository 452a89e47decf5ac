package profile

import (
	"errors"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// slices judges the slices of an element (R4 profiling.html#slicing).
func (r *run) slices(n *node, list []*fhirpath.Element, parent *fhirpath.Element) error {
	found := make([]int, len(n.slices))
	for _, e := range list {
		in := -1
		for i, s := range n.slices {
			ok, err := r.inside(n, s, e)
			if err != nil {
				return err
			}
			if ok {
				in = i
				break
			}
		}
		if in < 0 {
			if n.slicing.closed {
				r.fault(e, "structure", "in none of the slices that the profile allows")
			}
			continue
		}
		found[in]++
		if err := r.element(n.slices[in], e); err != nil {
			return err
		}
	}
	for i, s := range n.slices {
		r.count(s, found[i], parent)
	}
	return nil
}

// inside asks whether an element is in a slice, by all discriminators.
func (r *run) inside(whole, s *node, e *fhirpath.Element) (bool, error) {
	if whole.slicing == nil || len(whole.slicing.by) == 0 {
		return false, unsupported(whole, "slices without a discriminator")
	}
	for _, d := range whole.slicing.by {
		ok, err := r.discriminates(d, s, e)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *run) discriminates(d discriminator, s *node, e *fhirpath.Element) (bool, error) {
	defs, rest, err := r.defined(s, d.path)
	if err != nil {
		return false, err
	}
	found, err := along(s, e, d.path)
	if err != nil {
		return false, err
	}
	if len(defs) == 0 && d.kind != "value" && d.kind != "pattern" {
		return false, unsupported(s, "the discriminator")
	}
	switch d.kind {
	case "value", "pattern":
		return r.valued(s, defs, rest, found)
	case "exists":
		switch n := defs[0]; {
		case n.max == 0:
			return len(found) == 0, nil
		case n.min > 0:
			return len(found) > 0, nil
		}
	case "type":
		for _, f := range found {
			for _, t := range defs[0].types {
				if isType(f, t.code) {
					return true, nil
				}
			}
		}
		return false, nil
	case "profile":
		return r.profiled(s, defs[0], found)
	}
	return false, unsupported(s, "the discriminator")
}

// profiled asks whether an element conforms to a profile of its definition.
func (r *run) profiled(s, def *node, found []*fhirpath.Element) (bool, error) {
	var open error
	n := 0
	for _, t := range def.types {
		for _, f := range found {
			if n += len(t.profiles); !isType(f, t.code) {
				continue
			}
			ok, err := r.typed(t, f)
			if ok {
				return true, nil
			}
			open = errors.Join(open, err)
		}
	}
	if n == 0 && len(found) > 0 {
		return false, unsupported(s, "a discriminator without profile")
	}
	return false, open
}

// defined follows the path of a discriminator through the definitions of a
// slice, and into the profiles of their types. What is left of the path lies
// within the fixed or pattern value of the last definition.
func (r *run) defined(s *node, path []string) (defs []*node, rest []string, err error) {
	n := s
	for i, step := range path {
		if n.value != nil {
			return []*node{n}, path[i:], nil
		}
		next, err := r.below(n, step)
		if err != nil {
			return nil, nil, err
		}
		if next == nil {
			return nil, nil, unsupported(s, "a discriminator that the slice says nothing about")
		}
		n = next
	}
	return []*node{n}, nil, nil
}

// below is the definition of a child: in the snapshot itself, or in the one
// profile that the type has.
func (r *run) below(n *node, step string) (*node, error) {
	for _, c := range n.children {
		if c.name == step {
			return c, nil
		}
	}
	if len(n.types) != 1 || len(n.types[0].profiles) != 1 {
		return nil, nil
	}
	s, err := r.load(n.types[0].profiles[0])
	if errors.Is(err, ErrUnknown) {
		err = errors.Join(unsupported(n, "the profile"), err)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range s.root.children {
		if c.name == step {
			return c, nil
		}
	}
	return nil, nil
}

// along follows the path of a discriminator through the data.
func along(s *node, e *fhirpath.Element, path []string) ([]*fhirpath.Element, error) {
	found := []*fhirpath.Element{e}
	for _, step := range path {
		if strings.ContainsAny(step, "()'$") {
			return nil, unsupported(s, "the path of a discriminator")
		}
		var next []*fhirpath.Element
		for _, f := range found {
			next = append(next, f.Children(step)...)
		}
		found = next
	}
	return found, nil
}

// valued asks whether one of the elements has the value that tells the slice.
func (r *run) valued(s *node, defs []*node, rest []string, found []*fhirpath.Element) (bool, error) {
	def := defs[0]
	want := def.value
	for _, step := range rest {
		if want != nil && want.Kind() == fhir.Array && want.Len() == 1 {
			want = want.At(0)
		}
		if want = want.Member(step); want == nil {
			return false, unsupported(s, "a discriminator that the slice says nothing about")
		}
	}
	if want != nil && want.Kind() == fhir.Array {
		if want.Len() != 1 {
			return false, unsupported(s, "a discriminator with several values")
		}
		want = want.At(0)
	}
	if want == nil {
		return r.bound(s, def, found)
	}
	for _, f := range found {
		if holds(want, f.Node(), def.pattern) {
			return true, nil
		}
	}
	return false, nil
}

// bound asks for a slice that is told by a required binding, or by the values of
// what is below.
func (r *run) bound(s, def *node, found []*fhirpath.Element) (bool, error) {
	if def.binding == "" && !tells(def) {
		return false, unsupported(s, "a discriminator without value")
	}
	for _, f := range found {
		ok, err := r.ask(func(sub *run) error {
			if def.binding != "" {
				return sub.binding(def, f)
			}
			return sub.told(def, f)
		})
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// tells reports whether a definition demands a value below itself.
func tells(n *node) bool {
	for _, c := range n.children {
		if c.min > 0 && (c.value != nil || tells(c)) {
			return true
		}
	}
	return false
}

// told judges the values alone that a definition demands below itself.
func (r *run) told(n *node, e *fhirpath.Element) error {
	for _, c := range n.children {
		if c.min == 0 || c.value == nil && !tells(c) {
			continue
		}
		any := false
		for _, f := range e.Children(c.name) {
			ok := c.value == nil || holds(c.value, f.Node(), c.pattern)
			if ok && c.value == nil {
				var err error
				if ok, err = r.ask(func(sub *run) error { return sub.told(c, f) }); err != nil {
					return err
				}
			}
			any = any || ok
		}
		if !any {
			r.fault(e, "value", "not in the slice")
		}
	}
	return nil
}

// holds compares a value with a fixed or a pattern value (R4
// elementdefinition-definitions.html#ElementDefinition.pattern_x_).
func holds(want, have *fhir.Node, pattern bool) bool {
	if have == nil || want.Kind() != have.Kind() {
		return false
	}
	switch want.Kind() {
	case fhir.Object:
		for i := range want.Len() {
			if m := want.At(i); !holds(m, have.Member(m.Name()), pattern) {
				return false
			}
		}
		return pattern || want.Len() == have.Len()
	case fhir.Array:
		return pattern && each(want, have) || !pattern && same(want, have)
	case fhir.String:
		return want.Text() == have.Text()
	}
	return string(want.Raw()) == string(have.Raw())
}

// each reports whether every wanted item is among those that are there.
func each(want, have *fhir.Node) bool {
	for _, w := range items(want) {
		found := false
		for _, h := range items(have) {
			found = found || holds(w, h, true)
		}
		if !found {
			return false
		}
	}
	return true
}

func same(want, have *fhir.Node) bool {
	if want.Len() != have.Len() {
		return false
	}
	for i := range want.Len() {
		if !holds(want.At(i), have.At(i), false) {
			return false
		}
	}
	return true
}
