package fhirpath

import (
	"slices"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// static is what is known about the items of a collection before evaluation.
type static struct {
	any    bool // nothing is known
	types  []*definition.Type
	system bool // System values may be among them
	text   bool // those are strings
	number bool // those are numbers
	choice bool // the types are alternatives of one element, or of a union
	// unordered is the result of children() and descendants() (N1 §5.8).
	unordered bool
}

var unknownStatic = static{any: true}

// checker infers types (N1 §9.2). The compiled tree is complete before it runs.
type checker struct {
	reg    *definition.Registry
	strict bool
	root   static
}

func check(reg *definition.Registry, root node, context *definition.Type) error {
	c := &checker{reg: reg, strict: context != nil}
	f := unknownStatic
	if context != nil {
		f = static{types: []*definition.Type{context}}
		if context.Abstract {
			f = unknownStatic
		}
	}
	c.root = f
	_, err := c.infer(root, f, f)
	return err
}

// infer gives the static type of a node; this is the focus, in the input of a
// step.
func (c *checker) infer(n node, this, in static) (static, error) {
	switch n := n.(type) {
	case *literal:
		return literalStatic(n), nil
	case *group:
		return c.infer(n.inner, this, this)
	case *special:
		if n.name == "this" {
			return this, nil
		}
		return unknownStatic, nil
	case *variable:
		return c.variable(n), nil
	case *member:
		return c.member(n, in)
	case *call:
		return c.call(n, this, in)
	case *indexer:
		if c.strict && in.unordered {
			return in, fail(ErrSemantic, n.pos, "an index into a collection without order")
		}
		_, err := c.infer(n.index, this, this)
		return in, err
	case *path:
		return c.path(n, this, in)
	case *polarity:
		return c.infer(n.operand, this, this)
	case *typeOperator:
		return c.typeOperator(n, this)
	case *binary:
		return c.binary(n, this)
	case *descending:
		return c.infer(n.key, this, this)
	}
	return unknownStatic, nil
}

func literalStatic(n *literal) static {
	s := static{system: true}
	switch n.value.(type) {
	case String:
		s.text = true
	case Integer, Decimal, Quantity:
		s.number = true
	case nil:
		return unknownStatic // {} goes with everything
	}
	return s
}

func (c *checker) variable(n *variable) static {
	if n.name == "context" {
		return c.root
	}
	return unknownStatic
}

func (c *checker) path(n *path, this, in static) (static, error) {
	var err error
	for _, s := range n.steps {
		if in, err = c.infer(s, this, in); err != nil {
			return in, err
		}
	}
	return in, nil
}

// member looks the name up in each possible type. A type that may be any
// resource, and a System value, leave the result open.
func (c *checker) member(n *member, in static) (static, error) {
	if n.root != nil {
		if in.any || slices.ContainsFunc(in.types, func(t *definition.Type) bool { return derives(c.reg, t, n.root) }) {
			if n.root.Abstract {
				return in, nil
			}
			return static{types: []*definition.Type{n.root}}, nil
		}
		if n.root.Kind == definition.Resource && !hasMember(c.reg, in, n.name) {
			return static{types: []*definition.Type{n.root}}, nil // empty on this context
		}
	}
	if in.any {
		return unknownStatic, nil
	}
	out := static{unordered: in.unordered}
	open := in.system
	for _, t := range in.types {
		if t.Name == "Resource" || t.Name == "DomainResource" || t.Name == "Element" || t.Name == "BackboneElement" {
			open = true
		}
		if t.Kind == definition.Primitive && n.name == "value" {
			open = true
		}
		out.add(t, n.name)
	}
	if open {
		return unknownStatic, nil
	}
	if len(out.types) == 0 {
		return out, fail(ErrSemantic, n.pos, "no element %s here", n.name)
	}
	return out, nil
}

func hasMember(reg *definition.Registry, in static, name string) bool {
	for _, t := range in.types {
		if def, _ := t.Lookup(name); def != nil {
			return true
		}
	}
	return false
}

// add adds the types of the element.
func (s *static) add(t *definition.Type, name string) {
	for _, def := range t.Elements {
		if def.Name != name {
			continue
		}
		for _, ref := range def.Types {
			if !slices.Contains(s.types, ref.Type) {
				s.types = append(s.types, ref.Type)
			}
		}
		s.choice = s.choice || len(def.Types) > 1
	}
	if len(s.types) > 1 {
		s.choice = true
	}
}

func (c *checker) call(n *call, this, in static) (static, error) {
	if c.strict && n.function.ordered && in.unordered {
		return in, fail(ErrSemantic, n.pos, "%s on a collection without order", n.name)
	}
	if err := c.input(n, in); err != nil {
		return in, err
	}
	inner := this
	if n.function.each || n.name == "iif" && !n.first || n.name == "defineVariable" {
		inner = in
	}
	if n.name == "aggregate" || n.name == "repeat" {
		inner = unknownStatic
	}
	result := unknownStatic
	for i, a := range n.args {
		s, err := c.infer(a, inner, inner)
		if err != nil {
			return in, err
		}
		if i == 0 && n.function.returns == ofResult {
			result = s
		}
		if n.name == "iif" && i == 0 && c.strict && !s.any && s.system && (s.text || s.number) {
			return in, fail(ErrSemantic, n.pos, "iif: the criterion is no boolean")
		}
	}
	return c.returned(n, in, result), nil
}

func (c *checker) returned(n *call, in, result static) static {
	switch n.name {
	case "as", "ofType":
		spec := n.args[0].(*typeArgument).spec
		n.single = c.strict && n.name == "as" && oneType(in)
		return c.narrowed(spec)
	case "children", "descendants":
		return static{any: true, unordered: true}
	case "extension":
		return static{types: []*definition.Type{c.reg.Type("Extension")}}
	case "elementDefinition":
		return static{types: []*definition.Type{c.reg.Type("ElementDefinition")}}
	case "sort":
		in.unordered = false
		return in
	}
	switch n.function.returns {
	case ofInput:
		return in
	case ofResult:
		return result
	case ofSystem:
		return static{system: true}
	}
	return unknownStatic
}

// oneType reports an input where as selects nothing: one type, no choice.
func oneType(in static) bool {
	return !in.any && !in.choice && !in.system && len(in.types) == 1 && !in.types[0].Abstract
}

func (c *checker) narrowed(spec typeSpec) static {
	if spec.fhir != nil && spec.system == "" && !spec.fhir.Abstract {
		return static{types: []*definition.Type{spec.fhir}}
	}
	return unknownStatic
}

func (c *checker) typeOperator(n *typeOperator, this static) (static, error) {
	s, err := c.infer(n.operand, this, this)
	if err != nil {
		return s, err
	}
	if !n.as {
		return static{system: true}, nil
	}
	n.single = c.strict && oneType(s)
	return c.narrowed(n.spec), nil
}

func (c *checker) binary(n *binary, this static) (static, error) {
	a, err := c.infer(n.left, this, this)
	if err != nil {
		return a, err
	}
	b, err := c.infer(n.right, this, this)
	if err != nil || n.op != "|" {
		if n.op == "+" || n.op == "-" || n.op == "*" || n.op == "&" {
			return unknownStatic, err
		}
		return static{system: true}, err
	}
	if a.any || b.any {
		return unknownStatic, nil
	}
	out := static{system: a.system || b.system, text: a.text && b.text, number: a.number && b.number, choice: true,
		types: append(slices.Clone(a.types), b.types...)}
	return out, nil
}
