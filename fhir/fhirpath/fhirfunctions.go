package fhirpath

import (
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/narrative"
)

// fhirFunctions are those of R4 fhirpath.html#functions.
var fhirFunctions = map[string]*function{
	"extension":         {min: 1, max: 1, returns: ofAny, eval: extension},
	"getValue":          {returns: ofSystem, eval: getValue},
	"resolve":           {returns: ofAny, eval: resolve},
	"elementDefinition": {returns: ofAny, eval: elementDefinition},
	"slice":             {min: 2, max: 2, returns: ofInput, eval: slice},
	"checkModifiers":    {max: 64, returns: ofInput, eval: checkModifiers},
	"conformsTo":        {min: 1, max: 1, returns: ofSystem, eval: conformsTo},
	"memberOf":          {min: 1, max: 1, returns: ofSystem, eval: memberOf},
	"subsumes":          {min: 1, max: 1, returns: ofSystem, eval: subsumption(false)},
	"subsumedBy":        {min: 1, max: 1, returns: ofSystem, eval: subsumption(true)},
	"htmlChecks":        {returns: ofSystem, eval: htmlChecks},
}

func (e *Element) resource() bool { return e.typ.Kind == definition.Resource }

func extension(in *invocation, c Collection) (Collection, error) {
	url, ok, err := in.textArg(0)
	if err != nil || !ok {
		return nil, err
	}
	var out Collection
	for _, item := range c {
		e, ok := item.(*Element)
		if !ok {
			continue
		}
		list, err := in.extensions(e, "extension")
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			if x.(*Element).node.Member("url").Text() == url {
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// extensions are the extensions, or modifier extensions, of an element.
func (in *invocation) extensions(e *Element, name string) (Collection, error) {
	list := e.child(name, nil)
	if err := in.ev.spend(in.pos, e.width()/16); err != nil {
		return nil, err
	}
	return list, in.ev.reach(in.pos, list)
}

func getValue(in *invocation, c Collection) (Collection, error) {
	if len(c) > 1 {
		return nil, in.failed("there are several items")
	}
	if len(c) == 1 {
		if e, ok := c[0].(*Element); ok {
			if v := e.value(); v != nil {
				return Collection{v}, nil
			}
			return nil, nil
		}
	}
	return c, nil
}

// htmlChecks tells whether the narrative keeps txt-1 and txt-2.
func htmlChecks(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil || !ok {
		return nil, err
	}
	return truth(narrative.Check(s) == ""), in.pay(16 * len(s))
}

// checkModifiers lets the input through when it has no modifier extensions but
// those of the arguments.
func checkModifiers(in *invocation, c Collection) (Collection, error) {
	known := map[string]bool{}
	for i := range in.args {
		arg, err := in.arg(i)
		if err != nil {
			return nil, err
		}
		for _, item := range arg {
			url, ok := convert(item).(String)
			if !ok {
				return nil, in.failed("a URL is expected")
			}
			known[string(url)] = true
		}
	}
	for _, item := range c {
		e, ok := item.(*Element)
		if !ok {
			continue
		}
		list, err := in.extensions(e, "modifierExtension")
		if err != nil {
			return nil, err
		}
		for _, x := range list {
			if !known[x.(*Element).node.Member("url").Text()] {
				return nil, in.failed("an element has a modifier extension that is not allowed for")
			}
		}
	}
	return c, nil
}

const structureBase = "http://hl7.org/fhir/StructureDefinition/"

// conformsTo asks Context.Profiles; without one, the type's own structure is
// known and means to be of the type.
func conformsTo(in *invocation, c Collection) (Collection, error) {
	structure, ok, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	if len(c) > 1 {
		return nil, in.failed("there are several items")
	}
	if len(c) == 0 || !ok {
		return nil, nil
	}
	e, ok := c[0].(*Element)
	if !ok {
		return nil, in.failed("an element is expected")
	}
	if in.ev.in.Profiles != nil {
		ok, err := in.ev.in.Profiles.Conforms(in.ev.ctx, structure, e)
		return truth(ok), err
	}
	t := BaseStructure(structure)
	if t == nil {
		return nil, in.failed("an unknown structure")
	}
	return truth(derives(in.ev.reg, e.typ, t)), nil
}

// BaseStructure is the type whose own StructureDefinition the canonical URL
// names, nil for a profile or an unknown URL.
func BaseStructure(url string) *definition.Type {
	if len(url) <= len(structureBase) || url[:len(structureBase)] != structureBase {
		return nil
	}
	t := definition.Default().Type(url[len(structureBase):])
	if t == nil || t.Kind == definition.Backbone {
		return nil
	}
	return t
}

func slice(in *invocation, c Collection) (Collection, error) {
	structure, okS, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	name, okN, err := in.textArg(1)
	if err != nil || !okS || !okN {
		return nil, err
	}
	if in.ev.in.Profiles == nil {
		return nil, in.failed("an unknown structure")
	}
	var out Collection
	for _, item := range c {
		e, ok := item.(*Element)
		if !ok {
			continue
		}
		inside, err := in.ev.in.Profiles.Slice(in.ev.ctx, structure, name, e)
		if err != nil {
			return nil, err
		}
		if inside {
			out = append(out, item)
		}
	}
	return out, nil
}
