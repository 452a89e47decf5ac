package search

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// conditionParser reads one condition for one searched type.
type conditionParser struct {
	*searchParser
	name         string   // as an error may repeat it
	alternatives []string // still escaped
}

// condition reads a parameter name from the left: a _has, a chain, or the
// parameter that is compared. hops counts the links so far.
func (p *conditionParser) condition(typ, path string, hops int) (*Condition, error) {
	if hops > MaxHops {
		return nil, p.bad(fmt.Sprintf("more than %d hops", MaxHops))
	}
	if rest, ok := strings.CutPrefix(path, "_has:"); ok {
		return p.has(typ, rest, hops)
	}
	head, rest, chained := strings.Cut(path, ".")
	if chained {
		return p.chain(typ, head, rest, hops)
	}
	return p.comparison(typ, head)
}

func (p *conditionParser) bad(reason string) error {
	return &ParameterError{Parameter: p.name, Reason: reason, Err: ErrMalformed}
}

func (p *conditionParser) unknown(typ string) error {
	return &ParameterError{Parameter: p.name, Reason: "for " + typ, Err: ErrUnknownParameter}
}

// parameterOf finds the parameter, or says why there is none.
func (p *conditionParser) parameterOf(typ, code string) (*Parameter, error) {
	if param := p.catalog.Parameter(typ, code); param != nil {
		return param, nil
	}
	if notOffered(code) {
		return nil, &ParameterError{Parameter: p.name, Err: ErrNotOffered}
	}
	return nil, p.unknown(typ)
}

// chain reads reference[:Type].rest (R4 search.html#chaining). Without a type
// it leads to every type that the reference may have and that knows the rest.
func (p *conditionParser) chain(typ, head, rest string, hops int) (*Condition, error) {
	code, target, typed := strings.Cut(head, ":")
	ref, err := p.parameterOf(typ, code)
	if err != nil {
		return nil, err
	}
	if ref.Kind != ReferenceKind {
		return nil, p.bad(code + " is no reference that can be followed")
	}
	targets := ref.Targets
	if len(targets) == 0 {
		targets = p.catalog.resourceTypes()
	}
	if typed {
		if !p.catalog.isResource(target) || !ref.LeadsTo(target) {
			return nil, p.bad(code + " does not lead to such a type")
		}
		targets = []string{target}
	}
	link := &Link{Reference: ref}
	var first error
	for _, t := range targets {
		e, err := p.end(t, rest, hops+1)
		switch {
		case err == nil:
			link.Targets = append(link.Targets, e)
		case p.nodes > MaxExpressions:
			return nil, err
		case first == nil || errors.Is(first, ErrUnknownParameter):
			first = err // a bad value says more than an unknown name
		}
	}
	if len(link.Targets) == 0 {
		return nil, first
	}
	return &Condition{Name: p.name, Link: link}, nil
}

// has reads Type:reference:rest (R4 search.html#has).
func (p *conditionParser) has(typ, path string, hops int) (*Condition, error) {
	parts := strings.SplitN(path, ":", 3)
	if len(parts) != 3 || parts[2] == "" {
		return nil, p.bad("want _has:Type:reference:parameter")
	}
	other := parts[0]
	if !p.catalog.isResource(other) {
		return nil, p.bad("unknown resource type")
	}
	ref, err := p.parameterOf(other, parts[1])
	if err != nil {
		return nil, err
	}
	if ref.Kind != ReferenceKind || !ref.LeadsTo(typ) {
		return nil, p.bad(parts[1] + " is no reference that leads to " + typ)
	}
	e, err := p.end(other, parts[2], hops+1)
	if err != nil {
		return nil, err
	}
	return &Condition{Name: p.name, Link: &Link{Reference: ref, Reverse: true, Targets: []*Expression{e}}}, nil
}

// end reads what must hold at the other end of a link.
func (p *conditionParser) end(typ, path string, hops int) (*Expression, error) {
	if p.nodes++; p.nodes > MaxExpressions {
		return nil, p.bad("the chain leads to too many types; name one, as in subject:Patient.name")
	}
	c, err := p.condition(typ, path, hops)
	if err != nil {
		return nil, err
	}
	return &Expression{Type: typ, Conditions: []*Condition{c}}, nil
}

// comparison reads the parameter that is compared, with its modifier.
func (p *conditionParser) comparison(typ, head string) (*Condition, error) {
	code, suffix, modified := strings.Cut(head, ":")
	param, err := p.parameterOf(typ, code)
	if err != nil {
		return nil, err
	}
	o := operandParser{parameter: param, bases: p.bases}
	if modified {
		if err := p.modify(&o, suffix); err != nil {
			return nil, err
		}
	}
	c := &Condition{Name: p.name, Parameter: param, Modifier: o.modifier}
	if o.modifier == Missing && len(p.alternatives) > 1 {
		return nil, p.bad("want true or false")
	}
	for _, a := range p.alternatives {
		if len(a) > MaxValueBytes {
			return nil, p.bad(fmt.Sprintf("value is longer than %d bytes", MaxValueBytes))
		}
		operand, reason := o.parse(a)
		if reason != "" {
			return nil, p.bad(reason)
		}
		c.Operands = append(c.Operands, operand)
	}
	return c, nil
}

// modify applies a modifier, which may be the type of a reference.
func (p *conditionParser) modify(o *operandParser, suffix string) error {
	if o.parameter.Kind == ReferenceKind && p.catalog.isResource(suffix) {
		if !o.parameter.LeadsTo(suffix) {
			return p.bad(o.parameter.Code + " does not lead to " + suffix)
		}
		o.narrow = suffix
		return nil
	}
	allowed := o.parameter.Modifiers()
	m := slices.IndexFunc(allowed, func(m Modifier) bool { return m.String() == suffix })
	if m < 0 {
		return &ParameterError{Parameter: p.name, Reason: allowedModifiers(o.parameter, allowed), Err: ErrModifier}
	}
	o.modifier = allowed[m]
	return nil
}

func allowedModifiers(param *Parameter, allowed []Modifier) string {
	if len(allowed) == 0 {
		return "a " + param.Kind.String() + " parameter takes none"
	}
	var names []string
	for _, m := range allowed {
		names = append(names, ":"+m.String())
	}
	if param.Kind == ReferenceKind {
		names = append(names, "a resource type")
	}
	return "allowed: " + strings.Join(names, ", ")
}

// Modifiers lists what the parameter takes (R4 search.html#modifiers), apart
// from a reference's resource types. :of-type is narrower than R4: it is for
// Identifiers, which alone have a type. References take :above and :below when
// they lead to a type with a hierarchy (R4 search.html#recurse).
func (p *Parameter) Modifiers() []Modifier {
	switch p.Kind {
	case String:
		return []Modifier{Missing, ExactText, Contains}
	case TokenKind:
		ms := []Modifier{Missing, Text, Not, Above, Below, In, NotIn}
		if p.readsIdentifier() {
			ms = append(ms, OfType)
		}
		return ms
	case ReferenceKind:
		ms := []Modifier{Missing, IdentifierModifier}
		if p.hierarchical {
			ms = append(ms, Above, Below)
		}
		return ms
	case URI:
		return []Modifier{Missing, Above, Below}
	case Number, Date, QuantityKind, Special:
		return []Modifier{Missing}
	}
	return nil
}
