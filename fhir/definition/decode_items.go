package definition

// readTypes reads the types. References go forward too, so the types are
// allocated first.
func (d *decoder) readTypes() {
	n := d.num()
	if n > len(d.b) {
		d.fail()
		return
	}
	block := make([]Type, n)
	d.types = make([]*Type, n)
	for i := range block {
		d.types[i] = &block[i]
	}
	for i := range block {
		t := &block[i]
		t.Name = d.str()
		t.Kind = Kind(d.num())
		t.Base = d.str()
		t.Abstract = bit(d.num(), 0)
		t.Regex = d.str()
		t.SecurityCategory = d.str()
		t.Elements = list(d, d.element)
	}
}

func (d *decoder) element() *Element {
	e := &Element{Path: d.str(), Name: d.str()}
	flags := d.num()
	e.Choice, e.IsModifier, e.IsSummary = bit(flags, 0), bit(flags, 1), bit(flags, 2)
	e.Min = d.num()
	e.Max = d.num() - 1
	e.Types = list(d, d.typeRef)
	b := Binding{Strength: d.str(), ValueSet: d.str()}
	if b.Strength != "" {
		e.Binding = &b
	}
	e.FiveWs = d.str()
	return e
}

func (d *decoder) typeRef() TypeRef {
	ref := TypeRef{Code: d.str()}
	i := d.num()
	if i >= len(d.types) {
		d.fail()
		return ref
	}
	ref.Type = d.types[i]
	ref.Targets = list(d, d.str)
	return ref
}

func (d *decoder) param() *SearchParameter {
	p := &SearchParameter{URL: d.str(), Code: d.str(), Type: d.str(), Expression: d.str()}
	p.Base = list(d, d.str)
	p.Target = list(d, d.str)
	p.Modifiers = list(d, d.str)
	p.Comparators = list(d, d.str)
	definitions, expressions := list(d, d.str), list(d, d.str)
	if len(definitions) != len(expressions) {
		d.fail()
		return p
	}
	for i := range definitions {
		p.Components = append(p.Components, Component{definitions[i], expressions[i]})
	}
	flags := d.num()
	p.MultipleOr, p.MultipleAnd = bit(flags, 0), bit(flags, 1)
	return p
}

func (d *decoder) compartment() *Compartment {
	c := &Compartment{Code: d.str(), URL: d.str(), params: map[string][]string{}}
	types := list(d, d.str)
	params := list(d, func() []string { return list(d, d.str) })
	if len(types) != len(params) {
		d.fail()
		return c
	}
	for i, t := range types {
		c.params[t] = params[i]
	}
	return c
}

func (d *decoder) operation() *Operation {
	o := &Operation{Name: d.str(), URL: d.str(), Code: d.str()}
	f := d.num()
	o.System, o.Type, o.Instance = bit(f, 0), bit(f, 1), bit(f, 2)
	o.AffectsState, o.Query = bit(f, 3), bit(f, 4)
	o.Resources = list(d, d.str)
	o.Parameters = list(d, d.operationParameter)
	return o
}

func (d *decoder) operationParameter() OperationParameter {
	p := OperationParameter{Name: d.str(), Use: d.str(), Type: d.str(), SearchType: d.str()}
	p.Min = d.num()
	p.Max = d.num() - 1
	p.Targets = list(d, d.str)
	p.Parts = list(d, d.operationParameter)
	return p
}

func (d *decoder) valueSet() *ValueSet {
	v := &ValueSet{URL: d.str()}
	v.systems = list(d, func() system { return system{d.str(), newNames(list(d, d.str))} })
	return v
}
