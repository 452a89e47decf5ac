package search

import "fmt"

// Form says which parts of a coded value an operand compares
// (R4 search.html#token).
type Form uint8

// The forms of a token.
const (
	Exact     Form = iota // system|value; |value with an empty System: no system
	AnySystem             // value
	AnyValue              // system|
	Bare                  // a quantity without unit
)

// operandParser reads the alternatives of one comparison.
type operandParser struct {
	parameter *Parameter
	modifier  Modifier
	narrow    string // type that a reference's modifier names
	bases     []string
}

// parse reads one alternative, still escaped. The reason says what is wrong
// with it, without repeating it; it is empty on success.
func (p *operandParser) parse(s string) (Operand, string) {
	switch p.modifier {
	case Missing:
		if s != "true" && s != "false" {
			return Operand{}, "want true or false"
		}
		return Operand{Missing: s == "true"}, ""
	case Text, ExactText, Contains:
		return parseText(s)
	case In, NotIn:
		return parseValueSet(s)
	case OfType:
		return parseOfType(s)
	case IdentifierModifier:
		return parseCode(s)
	}
	switch p.parameter.Kind {
	case Number:
		return parseNumber(s)
	case Date:
		return parseDate(s)
	case String:
		return parseText(s)
	case TokenKind:
		return p.parseToken(s)
	case ReferenceKind:
		return p.parseReference(s)
	case QuantityKind:
		return parseQuantity(s)
	case URI:
		return p.parseURI(s)
	case Composite:
		return p.parseComposite(s)
	case Special:
		return parseNear(s)
	}
	return Operand{}, "a parameter of this kind cannot be compared"
}

const (
	reasonEmpty  = "empty value"
	reasonEscape = `\ may only stand before , | $ and \`
)

// literal is the text of an alternative that has no parts: what is escaped
// and what is not mean the same.
func literal(s string) (text, reason string) {
	text, ok := unescape(s)
	switch {
	case !ok:
		return "", reasonEscape
	case text == "":
		return "", reasonEmpty
	}
	return text, ""
}

// pieces cuts an alternative at | and unescapes what is between.
func pieces(s string) (parts []string, reason string) {
	parts = split(s, '|')
	for i := range parts {
		var ok bool
		if parts[i], ok = unescape(parts[i]); !ok {
			return nil, reasonEscape
		}
	}
	return parts, ""
}

// parseText reads a string (R4 search.html#string). What folds to nothing,
// such as punctuation alone, would match everything and is refused.
func parseText(s string) (Operand, string) {
	text, reason := literal(s)
	o := Operand{Text: text, folded: Fold(text)}
	if reason == "" && o.folded == "" {
		reason = reasonEmpty
	}
	return o, reason
}

// parseComposite reads one operand per component, separated by $
// (R4 search.html#composite).
func (p *operandParser) parseComposite(s string) (Operand, string) {
	parts := split(s, '$')
	if len(parts) != len(p.parameter.Components) {
		return Operand{}, fmt.Sprintf("want %d values separated by $", len(p.parameter.Components))
	}
	o := Operand{Parts: make([]Operand, len(parts))}
	for i, part := range parts {
		inner := operandParser{parameter: p.parameter.Components[i], bases: p.bases}
		var reason string
		if o.Parts[i], reason = inner.parse(part); reason != "" {
			return Operand{}, fmt.Sprintf("part %d: %s", i+1, reason)
		}
	}
	return o, ""
}
