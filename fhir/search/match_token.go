package search

import (
	"slices"
	"strings"
)

// acceptsToken compares a token (R4 search.html#token). The caller reverses
// :not and :not-in.
func (x *comparison) acceptsToken(p *Parameter, o *Operand, v *Value) (bool, error) {
	switch x.modifier {
	case Text: // "processed as a string"
		folded := o.fold()
		return slices.ContainsFunc(v.Texts, func(s string) bool { return strings.HasPrefix(Fold(s), folded) }), nil
	case OfType:
		return v.Code == o.Text && slices.Contains(v.OfType, Coding{o.System, o.Code}), nil
	case In, NotIn:
		if v.Code == "" {
			return false, nil
		}
		if x.terminology == nil {
			return false, errNoTerminology(p)
		}
		return x.decided(p)(x.terminology.Contains(x.ctx, o.URL, v.System, v.Code))
	case Above, Below:
		return x.subsumes(p, o, v)
	}
	return sameSystem(o, v) && (o.Form == AnyValue || sameCode(p, o, v)), nil
}

func errNoTerminology(p *Parameter) error {
	return &ParameterError{Parameter: p.Code, Reason: "no terminology is configured", Err: ErrNotOffered}
}

// sameSystem compares what the form says of the system. A code element has no
// system of its own, so that both |code and the implied one find it.
func sameSystem(o *Operand, v *Value) bool {
	switch o.Form {
	case AnySystem:
		return true
	case AnyValue:
		return v.System == o.System && v.System != ""
	}
	return v.System == o.System || o.System == "" && v.ImpliedSystem
}

func sameCode(p *Parameter, o *Operand, v *Value) bool {
	if v.Code == "" {
		return false
	}
	return v.Code == o.Code || !p.CaseSensitive(v.System) && FoldCode(v.Code) == FoldCode(o.Code)
}

// subsumes decides :below (the value is a descendant of the operand) and :above.
// A code without system is taken to be of the value's system.
func (x *comparison) subsumes(p *Parameter, o *Operand, v *Value) (bool, error) {
	switch {
	case v.Code == "" || !sameSystem(o, v):
		return false, nil
	case sameCode(p, o, v):
		return true, nil
	case v.System == "":
		return false, nil
	case x.terminology == nil:
		return false, errNoTerminology(p)
	}
	ancestor, descendant := o.Code, v.Code
	if x.modifier == Above {
		ancestor, descendant = v.Code, o.Code
	}
	return x.decided(p)(x.terminology.Subsumes(x.ctx, v.System, ancestor, descendant))
}

// decided names the parameter in the error of an answer that could not be
// given.
func (x *comparison) decided(p *Parameter) func(bool, error) (bool, error) {
	return func(found bool, err error) (bool, error) {
		if err != nil {
			return false, &UndecidedError{p.Code, err}
		}
		return found, nil
	}
}
