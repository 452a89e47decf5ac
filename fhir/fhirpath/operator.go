package fhirpath

// binary is an operator with two operands. Each operand has a scope of its own.
type binary struct {
	pos         int
	op          string
	left, right node
}

func (n *binary) at() int { return n.pos }

func (n *binary) eval(ev *evaluation, sc *scope, _ Collection) (Collection, error) {
	if err := ev.spend(n.pos, 1); err != nil {
		return nil, err
	}
	left, err := n.left.eval(ev, sc.fork(), sc.focus)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "and", "or", "xor", "implies":
		return n.logic(ev, sc, left)
	}
	right, err := n.right.eval(ev, sc.fork(), sc.focus)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "=", "!=", "~", "!~":
		return n.equality(ev, left, right)
	case "<", ">", "<=", ">=":
		return n.inequality(ev, left, right)
	case "|":
		return ev.union(n.pos, left, right)
	case "in":
		return ev.membership(n.pos, left, right)
	case "contains":
		return ev.membership(n.pos, right, left)
	}
	return n.arithmetic(ev, left, right)
}

// logic is three-valued (N1 §6.5). The right side is not needed where the left
// one decides.
func (n *binary) logic(ev *evaluation, sc *scope, left Collection) (Collection, error) {
	a, known, err := boolean(left, n.left.at())
	if err != nil {
		return nil, err
	}
	if known && (n.op == "and" && !a || n.op == "or" && a || n.op == "implies" && !a) {
		return truth(n.op != "and"), nil
	}
	right, err := n.right.eval(ev, sc.fork(), sc.focus)
	if err != nil {
		return nil, err
	}
	b, knownB, err := boolean(right, n.right.at())
	if err != nil {
		return nil, err
	}
	switch {
	case n.op == "and" && knownB && !b:
		return truth(false), nil
	case (n.op == "or" || n.op == "implies") && knownB && b:
		return truth(true), nil
	case !known || !knownB:
		return nil, nil
	case n.op == "xor":
		return truth(a != b), nil
	}
	return truth(b), nil // and, or, implies: the left side leaves it to the right
}

func (n *binary) equality(ev *evaluation, left, right Collection) (Collection, error) {
	if n.op == "~" || n.op == "!~" {
		equal, err := ev.equivalent(n.pos, left, right)
		if err != nil {
			return nil, err
		}
		return truth(equal == (n.op == "~")), nil
	}
	if len(left) == 0 || len(right) == 0 {
		return nil, nil
	}
	v, err := ev.equal(n.pos, left, right)
	if err != nil || v == undecided {
		return nil, err
	}
	return truth((v == yes) == (n.op == "=")), nil
}

// membership is "in" and "contains" (N1 §6.4).
func (ev *evaluation) membership(pos int, item, list Collection) (Collection, error) {
	switch len(item) {
	case 0:
		return nil, nil
	case 1:
		found, err := ev.find(pos, list, item[0])
		return truth(found), err
	}
	return nil, fail(ErrEvaluation, pos, "membership of several items")
}
