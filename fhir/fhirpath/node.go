package fhirpath

import (
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// node is a part of a compiled expression. in is what a path step is invoked
// on; a term at the start of a path gets the focus of the scope.
type node interface {
	eval(ev *evaluation, sc *scope, in Collection) (Collection, error)
	at() int // offset in the source
}

type literal struct {
	pos   int
	value Item // nil for {}
	large bool // 2147483648, which only a minus makes an Integer
}

func (n *literal) at() int { return n.pos }

func (n *literal) eval(*evaluation, *scope, Collection) (Collection, error) {
	switch {
	case n.large:
		return nil, fail(ErrEvaluation, n.pos, "an integer of more than 32 bits")
	case n.value == nil:
		return nil, nil
	}
	return Collection{n.value}, nil
}

// group is a parenthesis.
type group struct{ inner node }

func (n *group) at() int { return n.inner.at() }

func (n *group) eval(ev *evaluation, sc *scope, _ Collection) (Collection, error) {
	return n.inner.eval(ev, sc, sc.focus)
}

// special is $this, $index or $total (N1 §5.2, §7).
type special struct {
	pos  int
	name string
}

func (n *special) at() int { return n.pos }

func (n *special) eval(_ *evaluation, sc *scope, _ Collection) (Collection, error) {
	switch {
	case n.name == "this":
		return sc.focus, nil
	case n.name == "index" && sc.index >= 0:
		return Collection{Integer(sc.index)}, nil
	case n.name == "total" && sc.total != nil:
		return *sc.total, nil
	}
	return nil, fail(ErrEvaluation, n.pos, "$%s has no meaning here", n.name)
}

// variable is an environment variable (N1 §8).
type variable struct {
	pos  int
	name string
}

func (n *variable) at() int { return n.pos }

func (n *variable) eval(ev *evaluation, sc *scope, _ Collection) (Collection, error) {
	if b := sc.find(n.name); b != nil {
		return b.value, nil
	}
	if c, ok := ev.environment(n.name); ok {
		return c, nil
	}
	return nil, fail(ErrEvaluation, n.pos, "an environment variable that is not defined")
}

// member is a step to the children with a name.
type member struct {
	pos  int
	name string
	root *definition.Type // a type of that name, at the start of a path
}

func (n *member) at() int { return n.pos }

func (n *member) eval(ev *evaluation, _ *scope, in Collection) (Collection, error) {
	if n.root != nil && len(in) == 1 {
		if e, ok := in[0].(*Element); ok && derives(ev.reg, e.typ, n.root) {
			return in, nil
		}
	}
	if err := ev.spend(n.pos, 1+len(in)); err != nil {
		return nil, err
	}
	var out Collection
	for _, item := range in {
		switch v := item.(type) {
		case *Element:
			if err := ev.spend(n.pos, v.width()/16); err != nil {
				return nil, err
			}
			out = v.child(n.name, out)
		case TypeInfo:
			out = v.child(n.name, out)
		case Quantity:
			out = v.child(n.name, out)
		}
	}
	if err := ev.reach(n.pos, out); err != nil {
		return nil, err
	}
	return out, ev.hold(n.pos, out)
}

// reach charges for items that were stepped to: each, and looking for a member
// in it, as for the resourceType of a resource or the url of an extension.
func (ev *evaluation) reach(pos int, c Collection) error {
	total := len(c)
	for _, item := range c {
		if e, ok := item.(*Element); ok {
			total += e.width() / 16
		}
	}
	return ev.spend(pos, total)
}

// child are the members of a TypeInfo (N1 §9.2).
func (t TypeInfo) child(name string, out Collection) Collection {
	switch name {
	case "namespace":
		return append(out, String(t.Namespace))
	case "name":
		return append(out, String(t.Name))
	case "baseType":
		return append(out, String(t.BaseType))
	}
	return out
}

// child are the parts of a System.Quantity (N1 §4.1.8).
func (q Quantity) child(name string, out Collection) Collection {
	switch name {
	case "value":
		return append(out, Decimal{q.value})
	case "unit":
		return append(out, String(q.unit))
	}
	return out
}

// call is a function invocation.
type call struct {
	pos      int
	name     string
	function *function
	args     []node
	first    bool // at the start of a path: the input is the focus
	single   bool // of as(), see typeOperator
}

func (n *call) at() int { return n.pos }

func (n *call) eval(ev *evaluation, sc *scope, in Collection) (Collection, error) {
	if err := ev.spend(n.pos, 1+len(in)); err != nil {
		return nil, err
	}
	out, err := n.function.eval(&invocation{ev: ev, sc: sc, call: n}, in)
	if err != nil {
		return nil, err
	}
	return out, ev.hold(n.pos, out)
}

// indexer is [n] (N1 §5.3.1).
type indexer struct {
	pos   int
	index node
}

func (n *indexer) at() int { return n.pos }

func (n *indexer) eval(ev *evaluation, sc *scope, in Collection) (Collection, error) {
	c, err := n.index.eval(ev, sc.fork(), sc.focus)
	if err != nil {
		return nil, err
	}
	i, ok, err := integer(c, n.pos)
	if err != nil || !ok || int(i) >= len(in) || i < 0 {
		return nil, err
	}
	return in[i : i+1 : i+1], nil
}

// path is a term and the steps from it.
type path struct{ steps []node }

func (n *path) at() int { return n.steps[0].at() }

func (n *path) eval(ev *evaluation, sc *scope, in Collection) (Collection, error) {
	inner := sc.fork() // defineVariable is seen by the steps after it
	for _, s := range n.steps {
		var err error
		if in, err = s.eval(ev, inner, in); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// polarity is a sign (N1 §6.6).
type polarity struct {
	pos     int
	minus   bool
	operand node
}

func (n *polarity) at() int { return n.pos }

func (n *polarity) eval(ev *evaluation, sc *scope, _ Collection) (Collection, error) {
	c, err := n.operand.eval(ev, sc.fork(), sc.focus)
	if err != nil || len(c) == 0 {
		return nil, err
	}
	if len(c) > 1 {
		return nil, fail(ErrEvaluation, n.pos, "a sign before several items")
	}
	switch v := convert(c[0]).(type) {
	case Integer:
		if !n.minus {
			return Collection{v}, nil
		}
		if v == -1<<31 {
			return nil, nil
		}
		return Collection{-v}, nil
	case Decimal:
		return Collection{Decimal{signed(v.d, n.minus)}}, nil
	case Quantity:
		v.value = signed(v.value, n.minus)
		return Collection{v}, nil
	}
	return nil, fail(ErrEvaluation, n.pos, "a sign before what is no number")
}
