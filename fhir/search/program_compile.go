package search

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// compiler turns an expression into leaves for one resource type.
type compiler struct {
	reg      *definition.Registry
	resource *definition.Type
	// context is where bare names start: the resource, or the element of a
	// composite.
	context *leaf
	err     error
}

func (c *compiler) fail(format string, args ...any) []*leaf {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{errExpression}, args...)...)
	}
	return nil
}

// compile builds the program of an expression below context.
func compile(reg *definition.Registry, e *pathNode, context *leaf, resource *definition.Type) (program, error) {
	c := &compiler{reg: reg, resource: resource, context: context}
	var p program
	switch e.op {
	case opAnd, opEqual, opNotEqual:
		if !c.concerns(e) {
			return program{}, nil
		}
		p.test = c.condition(e, context)
	default:
		p.leaves = c.leaves(e)
	}
	return p, c.err
}

// concerns reports whether a test is about this type; a parameter's expression
// may also name other types.
func (c *compiler) concerns(e *pathNode) bool {
	for e != nil && e.op != opName {
		e = e.left
	}
	for e != nil && e.left != nil {
		e = e.left
		if e.op != opName && e.op != opCall {
			return true
		}
	}
	return e == nil || !c.isType(e.name) || c.isRoot(e.name)
}

func (c *compiler) leaves(e *pathNode) []*leaf {
	switch e.op {
	case opRoot:
		return []*leaf{{path: c.resource.Name, typ: c.resource, fromRoot: true}}
	case opName:
		return c.name(e)
	case opIndex:
		return c.index(c.leaves(e.left), e.index)
	case opUnion:
		return c.union(e)
	case opAs:
		return c.narrow(c.leaves(e.left), e.name)
	case opCall:
		return c.call(e)
	}
	return c.fail("a boolean inside a path")
}

func (c *compiler) isType(name string) bool { return name[0] >= 'A' && name[0] <= 'Z' }

func (c *compiler) isRoot(name string) bool {
	for t := c.resource; t != nil; t = c.reg.Type(t.Base) {
		if t.Name == name {
			return true
		}
	}
	return false
}

// name is a member, or at the start of a path a type or a member of the
// context.
func (c *compiler) name(e *pathNode) []*leaf {
	if e.left != nil {
		return c.members(c.leaves(e.left), e.name)
	}
	if !c.isType(e.name) {
		return c.members([]*leaf{c.context}, e.name)
	}
	if !c.isRoot(e.name) {
		return nil // an alternative for another type
	}
	return []*leaf{{path: c.resource.Name, typ: c.resource}}
}

// members steps down from every leaf. A name that no leaf knows is an error;
// for alternatives that end elsewhere (none) there is nothing to know.
func (c *compiler) members(from []*leaf, name string) []*leaf {
	var out []*leaf
	for _, l := range from {
		for _, e := range l.typ.Elements {
			if e.Name != name {
				continue
			}
			for _, ref := range e.Types {
				out = append(out, l.down(e, ref))
			}
		}
	}
	if len(out) == 0 && len(from) > 0 {
		return c.fail("no element %s below %s", name, from[0].path)
	}
	return out
}

func (l *leaf) clone() *leaf {
	c := *l
	c.steps, c.targets, c.filters = slices.Clone(l.steps), slices.Clone(l.targets), slices.Clone(l.filters)
	return &c
}

func (l *leaf) down(e *definition.Element, ref definition.TypeRef) *leaf {
	name := e.Name
	if e.Choice {
		name += strings.ToUpper(ref.Code[:1]) + ref.Code[1:]
	}
	d := l.clone()
	d.steps = append(d.steps, step{name: name})
	d.path += "." + name
	d.typ, d.element, d.ref = ref.Type, e, ref
	d.repeats = d.repeats || e.Repeats()
	return d
}

// index takes one item; it is understood where the element repeats only by
// itself, so that the item of the array is the item of the collection.
func (c *compiler) index(from []*leaf, i int) []*leaf {
	out := make([]*leaf, len(from))
	for j, l := range from {
		d := l.clone()
		last := len(d.steps) - 1
		if last < 0 || d.steps[last].kind != member || len(from) > 1 || c.repeatsBefore(d) {
			return c.fail("an index over several elements: %s", l.path)
		}
		d.steps[last].kind, d.steps[last].index = memberAt, i
		d.repeats = false
		out[j] = d
	}
	return out
}

// repeatsBefore reports whether an element before the last one may repeat.
func (c *compiler) repeatsBefore(l *leaf) bool {
	at := c.resource
	for _, s := range l.steps[:len(l.steps)-1] {
		if s.kind == filter {
			continue
		}
		e, t := at.Lookup(s.name)
		if e == nil || e.Repeats() && s.kind == member {
			return true
		}
		at = t
	}
	return false
}

func (c *compiler) union(e *pathNode) []*leaf {
	out := c.leaves(e.left)
	for _, l := range c.leaves(e.right) {
		if !slices.ContainsFunc(out, l.sameElements) {
			out = append(out, l)
		}
	}
	return out
}

// narrow keeps the leaves of the type or of a type derived from it; a primitive
// is itself only, so that a canonical is no uri (R4 fhirpath.html#functions,
// ofType). One official expression writes dateTime with a capital.
func (c *compiler) narrow(from []*leaf, typ string) []*leaf {
	if c.reg.Type(typ) == nil {
		lower := strings.ToLower(typ[:1]) + typ[1:]
		if c.reg.Type(lower) == nil {
			return c.fail("no type %s", typ)
		}
		typ = lower
	}
	var out []*leaf
	for _, l := range from {
		for t := l.typ; t != nil; t = c.reg.Type(t.Base) {
			if t.Name == typ && (t == l.typ || t.Kind != definition.Primitive) {
				out = append(out, l)
				break
			}
		}
	}
	return out
}

func (c *compiler) call(e *pathNode) []*leaf {
	if e.left == nil || len(e.args) != 1 {
		return c.fail("function %s", e.name)
	}
	from := c.leaves(e.left)
	switch arg := e.args[0]; e.name {
	case "as", "ofType":
		if arg.op == opName && arg.left == nil {
			return c.narrow(from, arg.name)
		}
	case "where":
		return c.where(from, arg)
	case "extension":
		if arg.op == opLiteral {
			return c.where(c.members(from, "extension"), &pathNode{op: opEqual, left: &pathNode{op: opName, name: "url"}, right: arg})
		}
	}
	return c.fail("function %s", e.name)
}

func (c *compiler) where(from []*leaf, arg *pathNode) []*leaf {
	out := make([]*leaf, 0, len(from))
	for _, l := range from {
		w := c.condition(arg, &leaf{path: l.path, typ: l.typ})
		if w == nil {
			return nil
		}
		d := l.clone()
		d.steps = append(d.steps, step{kind: filter, where: w})
		if w.op == opIs {
			d.targets = append(d.targets, w.target)
		}
		d.filters = append(d.filters, w.reads()...)
		out = append(out, d)
	}
	return out
}

// condition compiles a boolean expression about at.
func (c *compiler) condition(e *pathNode, at *leaf) *condition {
	inner := &compiler{reg: c.reg, resource: c.resource, context: at}
	w := inner.test(e)
	if inner.err != nil {
		c.fail("%v", inner.err)
		return nil
	}
	return w
}

func (c *compiler) test(e *pathNode) *condition {
	w := &condition{op: e.op}
	switch {
	case e.op == opAnd:
		w.left, w.right = c.test(e.left), c.test(e.right)
	case e.op == opIs && e.left.op == opCall && e.left.name == "resolve" && e.left.left == nil && c.context.typ.Name == "Reference":
		w.target = e.name
	case e.op == opCall && e.name == "exists" && e.left != nil && len(e.args) == 0:
		w.leaves = c.leaves(e.left)
	case (e.op == opEqual || e.op == opNotEqual) && e.right.op == opLiteral:
		w.leaves, w.literal, w.kind = c.leaves(e.left), e.right.name, fhir.String
		if e.right.name == "true" || e.right.name == "false" {
			w.kind = fhir.Bool
		}
	default:
		c.fail("a condition")
	}
	return w
}

// reads lists the definition paths that the condition looks at.
func (c *condition) reads() []string {
	if c == nil {
		return nil
	}
	paths := append(c.left.reads(), c.right.reads()...)
	for _, l := range c.leaves {
		paths = append(append(paths, l.path), l.filters...)
	}
	return paths
}
