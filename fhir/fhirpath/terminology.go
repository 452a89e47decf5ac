package fhirpath

import "github.com/fieldseal/fieldseal/fhir"

// codings are the codes of a code, Coding or CodeableConcept, or of a string.
func (in *invocation) codings(item Item) ([]coded, error) {
	if s, ok := convert(item).(String); ok {
		return []coded{{code: string(s)}}, nil
	}
	e, ok := item.(*Element)
	if !ok {
		return nil, in.failed("a code is expected")
	}
	switch e.typ.Name {
	case "Coding":
		return []coded{codedOf(e.node)}, in.ev.spend(in.pos, e.width()/16)
	case "CodeableConcept":
		list := e.child("coding", nil)
		if err := in.ev.reach(in.pos, append(list, e)); err != nil {
			return nil, err
		}
		var out []coded
		for _, c := range list {
			out = append(out, codedOf(c.(*Element).node))
		}
		return out, nil
	case "Quantity":
		return []coded{codedOf(e.node)}, nil
	}
	return nil, in.failed("a code is expected")
}

// coded is a code with its system, if it has one.
type coded struct{ system, code string }

func codedOf(n *fhir.Node) coded {
	return coded{system: n.Member("system").Text(), code: n.Member("code").Text()}
}

func memberOf(in *invocation, c Collection) (Collection, error) {
	valueSet, ok, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	if len(c) > 1 {
		return nil, in.failed("there are several items")
	}
	if len(c) == 0 || !ok {
		return nil, nil
	}
	list, err := in.codings(c[0])
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		found, err := in.member(valueSet, c)
		if err != nil || found {
			return truth(found), err
		}
	}
	return truth(false), nil
}

// member asks Context.Terminology, or else the value sets of R4's required
// bindings.
func (in *invocation) member(valueSet string, c coded) (bool, error) {
	if t := in.ev.in.Terminology; t != nil {
		return t.MemberOf(in.ev.ctx, valueSet, c.system, c.code)
	}
	v := in.ev.reg.ValueSet(valueSet)
	switch {
	case v == nil:
		return false, in.failed("an unknown value set")
	case c.system != "":
		return v.Has(c.system, c.code), nil
	case len(v.Systems()) > 1:
		return false, in.failed("a code without system in a value set of several")
	}
	return v.HasCode(c.code), nil
}

// subsumption is subsumes and subsumedBy.
func subsumption(reverse bool) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		arg, err := in.arg(0)
		if err != nil || len(c) == 0 || len(arg) == 0 {
			return nil, err
		}
		if len(c) > 1 || len(arg) > 1 {
			return nil, in.failed("there are several items")
		}
		a, err := in.codings(c[0])
		if err != nil {
			return nil, err
		}
		b, err := in.codings(arg[0])
		if err != nil {
			return nil, err
		}
		if reverse {
			a, b = b, a
		}
		return in.subsumes(a, b)
	}
}

// subsumes compares each pair of codes of one system; codes of different
// systems alone have no defined relation, which is an error.
func (in *invocation) subsumes(a, b []coded) (Collection, error) {
	related := false
	for _, x := range a {
		for _, y := range b {
			if x.system != y.system {
				continue
			}
			related = true
			if x.code == y.code {
				return truth(true), nil
			}
			if in.ev.in.Terminology == nil {
				return nil, in.failed("there is no terminology to ask")
			}
			found, err := in.ev.in.Terminology.Subsumes(in.ev.ctx, x.system, x.code, y.code)
			if err != nil || found {
				return truth(found), err
			}
		}
	}
	if !related && len(a) > 0 && len(b) > 0 {
		return nil, in.failed("codes of different systems")
	}
	return truth(false), nil
}
