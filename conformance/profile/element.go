package profile

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// children judges what parent has of one element definition: how many, each of
// them, and the slices that they are in.
func (r *run) children(n *node, parent *fhirpath.Element) error {
	list := parent.Children(n.name)
	r.count(n, len(list), parent)
	for _, e := range list {
		if err := r.element(n, e); err != nil {
			return err
		}
	}
	if n.slicing == nil && len(n.slices) == 0 {
		return nil
	}
	return r.slices(n, list, parent)
}

func (r *run) count(n *node, found int, parent *fhirpath.Element) {
	name := n.name
	if n.slice != "" {
		name += ", slice " + n.slice
	}
	switch {
	case found < n.min:
		r.fault(parent, "required", name+": at least "+strconv.Itoa(n.min)+" needed")
	case n.max >= 0 && found > n.max:
		r.fault(parent, "structure", name+": at most "+strconv.Itoa(n.max)+" allowed")
	}
}

// element judges one element by one definition.
func (r *run) element(n *node, e *fhirpath.Element) error {
	if *r.visits++; *r.visits > maxVisits {
		return unsupported(n, "the size of the data")
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if n.missing != "" {
		return unsupported(n, n.missing)
	}
	if err := r.types(n, e); err != nil {
		return err
	}
	if n.value != nil && !holds(n.value, e.Node(), n.pattern) {
		r.fault(e, "value", "not the value that the profile demands")
	}
	if n.length > 0 && e.Node() != nil && utf8.RuneCountInString(e.Node().Text()) > n.length {
		r.fault(e, "too-long", "longer than the profile allows")
	}
	if err := r.binding(n, e); err != nil {
		return err
	}
	if err := r.rules(n, e); err != nil {
		return err
	}
	content := n
	if n.content != nil {
		content = n.content
	}
	for _, c := range content.children {
		if err := r.children(c, e); err != nil {
			return err
		}
	}
	return nil
}

// isType reports whether an element is of a type by its code.
func isType(e *fhirpath.Element, code string) bool {
	t := definition.Default().Type(code)
	return t != nil && e.Is(t)
}

// types judges the type of an element, the profiles on it and what a Reference
// leads to.
func (r *run) types(n *node, e *fhirpath.Element) error {
	var fits []typeRef
	for _, t := range n.types {
		if strings.HasPrefix(t.code, "http://hl7.org/fhirpath/") { // of ids and the values of primitives
			return nil
		}
		if isType(e, t.code) {
			fits = append(fits, t)
		}
	}
	if len(n.types) == 0 {
		return nil
	}
	if len(fits) == 0 {
		r.fault(e, "structure", "not of a type that the profile allows")
		return nil
	}
	var open error
	for _, t := range fits {
		ok, err := r.typed(t, e)
		if ok {
			return nil
		}
		open = errors.Join(open, err)
	}
	if open == nil {
		r.fault(e, "structure", "neither of the profiles that its type may have here")
	}
	return open
}

// typed asks whether an element is what one type says: of one of its profiles,
// and with one of its targets.
func (r *run) typed(t typeRef, e *fhirpath.Element) (ok bool, open error) {
	if e.Definition().Name == "Reference" && len(t.targets) > 0 {
		if ok, err := r.leads(t.targets, e.Node()); !ok || err != nil {
			return false, err
		}
	}
	for _, p := range t.profiles {
		s, err := r.load(p)
		if err == nil {
			ok, err = r.ask(func(sub *run) error { return sub.structure(s, e) })
		}
		if ok && err == nil {
			return true, nil
		}
		if errors.Is(err, ErrUnknown) {
			err = errors.Join(ErrUnsupported, err)
		}
		open = errors.Join(open, err)
	}
	return len(t.profiles) == 0, open
}

// leads asks whether a Reference may lead to one of the targets, by the type
// that it names.
func (r *run) leads(targets []string, n *fhir.Node) (bool, error) {
	typ := n.Member("type").Text()
	if ref, ok := fhir.ParseReference(n.Member("reference").Text()); ok && ref.Type != "" {
		typ = ref.Type
	}
	t := definition.Default().Type(typ)
	if t == nil {
		return true, nil
	}
	for _, target := range targets {
		base := fhirpath.BaseStructure(target)
		if base == nil {
			s, err := r.load(target)
			if errors.Is(err, ErrUnknown) {
				err = errors.Join(ErrUnsupported, err)
			}
			if err != nil {
				return false, err
			}
			base = definition.Default().Type(s.Type)
		}
		for up := t; up != nil; up = definition.Default().Type(up.Base) {
			if up == base {
				return true, nil
			}
		}
	}
	return false, nil
}

// binding judges a required binding that R4 does not have for the element
// itself: those are checked with the structure.
func (r *run) binding(n *node, e *fhirpath.Element) error {
	if n.binding == "" || sameBinding(n.binding, e) {
		return nil
	}
	codes := codesOf(e)
	if r.Terminology == nil && len(codes) > 0 {
		return unsupported(n, "the value set")
	}
	var open error
	for _, c := range codes {
		ok, err := r.Terminology.MemberOf(r.ctx, n.binding, c[0], c[1])
		if ok && err == nil {
			return nil
		}
		open = errors.Join(open, err)
	}
	if open != nil {
		return errors.Join(unsupported(n, "the value set"), open)
	}
	if e.Node() != nil { // else the code is missing, and an extension says why
		r.fault(e, "code-invalid", "no code of the value set that the profile demands")
	}
	return nil
}

func sameBinding(valueSet string, e *fhirpath.Element) bool {
	if e.Parent() == nil {
		return false
	}
	def, _ := e.Parent().Definition().Lookup(e.Name())
	return def != nil && def.Binding != nil && def.Binding.Strength == "required" && unversioned(def.Binding.ValueSet) == unversioned(valueSet)
}

func unversioned(canonical string) string {
	url, _, _ := strings.Cut(canonical, "|")
	return url
}

// codesOf are the systems and codes of a coded element.
func codesOf(e *fhirpath.Element) (codes [][2]string) {
	n := e.Node()
	switch {
	case n == nil:
	case e.Definition().Name == "CodeableConcept":
		for _, c := range items(n.Member("coding")) {
			codes = append(codes, [2]string{c.Member("system").Text(), c.Member("code").Text()})
		}
	case n.Kind() == fhir.Object:
		codes = append(codes, [2]string{n.Member("system").Text(), n.Member("code").Text()})
	default:
		codes = append(codes, [2]string{"", n.Text()})
	}
	return slices.DeleteFunc(codes, func(c [2]string) bool { return c[1] == "" })
}

// rules evaluates the invariants.
func (r *run) rules(n *node, e *fhirpath.Element) error {
	for _, c := range n.rules {
		if c.expression == nil {
			return unsupported(n, "the invariant "+c.key)
		}
		got, err := c.expression.Evaluate(r.ctx, fhirpath.Context{Focus: e, Terminology: r.Terminology, Profiles: nested{r}})
		if err != nil {
			return errors.Join(unsupported(n, "the invariant "+c.key), err)
		}
		if len(got) == 0 || len(got) == 1 && got[0] == fhirpath.Boolean(true) {
			continue // empty is undecided, as ref-1 is for a reference that only has a display
		}
		if r.fault(e, "invariant", c.key+": "+c.human); c.warning {
			r.issues[len(r.issues)-1].Severity = fhir.Warning
		}
	}
	return nil
}

// nested answers conformsTo within an invariant, with the depth that is left.
type nested struct{ r *run }

func (q nested) Conforms(_ context.Context, canonical string, e *fhirpath.Element) (bool, error) {
	if t := fhirpath.BaseStructure(canonical); t != nil {
		return e.Is(t), nil
	}
	s, err := q.r.load(canonical)
	if err != nil {
		return false, err
	}
	return q.r.ask(func(sub *run) error { return sub.structure(s, e) })
}

func (q nested) Slice(ctx context.Context, canonical, name string, e *fhirpath.Element) (bool, error) {
	return q.r.Checker.Slice(ctx, canonical, name, e)
}
