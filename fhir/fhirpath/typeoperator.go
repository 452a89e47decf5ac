package fhirpath

// typeOperator is "is" and "as" (N1 §6.3).
type typeOperator struct {
	pos     int
	as      bool
	single  bool // "as" keeps the rule of one item, see CompileFor
	operand node
	spec    typeSpec
}

func (n *typeOperator) at() int { return n.pos }

func (n *typeOperator) eval(ev *evaluation, sc *scope, _ Collection) (Collection, error) {
	c, err := n.operand.eval(ev, sc.fork(), sc.focus)
	if err != nil {
		return nil, err
	}
	if n.as {
		return ev.as(n.pos, c, n.spec, n.single)
	}
	return ev.is(n.pos, c, n.spec)
}

func (ev *evaluation) is(pos int, c Collection, spec typeSpec) (Collection, error) {
	switch len(c) {
	case 0:
		return nil, nil
	case 1:
		return Collection{Boolean(spec.is(ev.reg, c[0]))}, nil
	}
	return nil, fail(ErrEvaluation, pos, "the type of several items")
}

func (ev *evaluation) as(pos int, c Collection, spec typeSpec, single bool) (Collection, error) {
	if single && len(c) > 1 {
		return nil, fail(ErrEvaluation, pos, "several items taken as one type")
	}
	var out Collection
	for _, item := range c {
		if spec.selects(ev.reg, item) {
			out = append(out, item)
			continue
		}
		// A primitive may be taken as its System type (R4 fhirpath.html#types).
		if e, ok := item.(*Element); ok && spec.system != "" {
			if v := convert(e); v != item && v.Type().Name == spec.system {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// typeArgument is the argument of is(), as() and ofType().
type typeArgument struct {
	pos  int
	spec typeSpec
}

func (n *typeArgument) at() int { return n.pos }

func (n *typeArgument) eval(*evaluation, *scope, Collection) (Collection, error) {
	return nil, fail(ErrSemantic, n.pos, "a type is no value")
}

// descending is a key of sort() with a minus or desc. What has no key comes
// first with a minus, and last with desc, being lower than every value.
type descending struct {
	key        node
	emptyFirst bool
}

func (n *descending) at() int { return n.key.at() }

func (n *descending) eval(ev *evaluation, sc *scope, in Collection) (Collection, error) {
	return n.key.eval(ev, sc, in)
}
