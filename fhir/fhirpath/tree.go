package fhirpath

import (
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// tree are the functions of N1 §5.8 and §5.9, and type() (§9.2).
var tree = map[string]*function{
	"children":       {returns: ofAny, eval: childrenOf},
	"descendants":    {returns: ofAny, eval: descendants},
	"trace":          {min: 1, max: 2, each: true, returns: ofInput, eval: trace},
	"defineVariable": {min: 1, max: 2, returns: ofInput, eval: defineVariable},
	"type":           {returns: ofAny, eval: typeOf},
}

func childrenOf(in *invocation, c Collection) (Collection, error) {
	var out Collection
	for _, item := range c {
		e, ok := item.(*Element)
		if !ok {
			continue
		}
		if err := in.ev.spend(in.pos, e.width()); err != nil {
			return nil, err
		}
		out = e.children(out)
	}
	return out, in.ev.spend(in.pos, len(out))
}

// descendants gives each node of the tree once, below its parent.
func descendants(in *invocation, c Collection) (Collection, error) {
	var out Collection
	for _, item := range c {
		e, ok := item.(*Element)
		if !ok {
			continue
		}
		var err error
		if out, err = in.below(e, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (in *invocation) below(e *Element, out Collection) (Collection, error) {
	from := len(out)
	out = e.children(out)
	if err := in.ev.spend(in.pos, 1+e.width()+len(out)-from); err != nil {
		return nil, err
	}
	if err := in.ev.hold(in.pos, out); err != nil {
		return nil, err
	}
	for i, to := from, len(out); i < to; i++ {
		var err error
		if out, err = in.below(out[i].(*Element), out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// trace hands the input, or a projection of it, to Context.Trace (N1 §5.9.1).
func trace(in *invocation, c Collection) (Collection, error) {
	name, _, err := in.textArg(0)
	if err != nil || in.ev.in.Trace == nil {
		return c, err
	}
	logged := c
	if len(in.args) == 2 {
		logged = nil
		for i, item := range c {
			r, err := in.argFor(1, item, i)
			if err != nil {
				return nil, err
			}
			logged = append(logged, r...)
			if err := in.ev.hold(in.pos, logged); err != nil {
				return nil, err
			}
		}
	}
	in.ev.in.Trace(name, logged)
	return c, nil
}

// defineVariable is seen by the steps after it in its path, and in what those
// contain.
func defineVariable(in *invocation, c Collection) (Collection, error) {
	name, ok, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, in.failed("a variable without a name")
	}
	if _, taken := in.ev.environment(name); taken || in.sc.find(name) != nil {
		return nil, in.failed("the variable is defined already")
	}
	value := c
	if len(in.args) == 2 {
		inner := in.sc.fork()
		inner.focus = c
		if value, err = in.args[1].eval(in.ev, inner, c); err != nil {
			return nil, err
		}
	}
	in.sc.vars = &definedVariable{name: name, value: value, prev: in.sc.vars}
	return c, nil
}

func typeOf(in *invocation, c Collection) (Collection, error) {
	out := make(Collection, 0, len(c))
	for _, item := range c {
		t := item.Type()
		info := TypeInfo{Namespace: t.Namespace, Name: t.Name, BaseType: "System.Any"}
		if e, ok := item.(*Element); ok {
			info.Class = !e.primitive()
			if base := baseName(in.ev.reg, e.typ); base != "" {
				info.BaseType = namespaceFHIR + "." + base
			}
		}
		out = append(out, info)
	}
	return out, nil
}

func baseName(reg *definition.Registry, t *definition.Type) string {
	if t.Kind == definition.Backbone {
		t = reg.Type(t.Base)
	}
	if t == nil {
		return ""
	}
	return t.Base
}
