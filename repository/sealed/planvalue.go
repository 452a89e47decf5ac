package sealed

import (
	"strings"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// operands adds the tokens of every alternative of a condition.
func (q *query) operands(c *search.Condition) {
	for i := range c.Operands {
		o := &c.Operands[i]
		switch c.Parameter.Kind {
		case search.TokenKind:
			q.tokenOperand(c.Modifier, o)
		case search.String:
			q.stringOperand(c.Modifier, o)
		case search.ReferenceKind:
			q.referenceOperand(c.Modifier, o)
		case search.URI:
			q.uriOperand(c.Modifier, o)
		case search.Number, search.QuantityKind:
			q.numberOperand(c.Parameter.Kind, o)
		default:
			q.fails = "it has no tokens"
		}
		if q.fails != "" {
			return
		}
	}
}

// codes adds codes of whatever system: a value without one may be meant too.
func (q *query) codes(list []string) {
	q.exact = false
	for _, code := range list {
		q.add(blind.TokenCode, search.FoldCode(code))
	}
}

func (q *query) tokenOperand(m search.Modifier, o *search.Operand) {
	code := search.FoldCode(o.Code)
	switch {
	case m == search.OfType:
		q.add(blind.TokenOfType, o.System, o.Code, o.Text)
	case m != search.NoModifier:
		q.fails = "what :" + m.String() + " finds has no token of its own"
	case o.Form == search.AnyValue && q.p.HoldsType("Identifier"):
		q.add(blind.TokenSystem, o.System)
	case o.Form == search.AnyValue:
		q.fails = "a system alone has no token"
	case o.Form == search.Exact && o.System != "":
		q.add(blind.TokenSystemCode, o.System, code)
		if q.implies() {
			q.add(blind.TokenCode, code)
			q.exact = false
		}
	default:
		q.add(blind.TokenCode, code)
		q.exact = q.exact && o.Form == search.AnySystem
	}
	// A folded token stands for every spelling.
	q.exact = q.exact && m == search.NoModifier && (strings.ToUpper(code) == code || o.System != "" && !q.p.CaseSensitive(o.System))
}

// implies reports whether values of the parameter may have a system that is not
// written in the resource.
func (q *query) implies() bool {
	return q.p.HoldsType("code") || q.p.HoldsType("boolean") || q.p.HoldsType("id")
}

// stringOperand asks for the longest beginning that has a token.
func (q *query) stringOperand(m search.Modifier, o *search.Operand) {
	q.exact = false
	switch m {
	case search.ExactText:
		q.add(blind.StringExact, o.Text)
	case search.NoModifier:
		folded := search.Fold(o.Text)
		longest := ""
		for _, n := range q.b.v.policy.prefixesOf(q.p) {
			if prefix, ok := firstLetters(folded, n); ok {
				longest = prefix
			}
		}
		if longest == "" {
			q.fails = "it is too short for a token"
			return
		}
		q.add(blind.StringPrefix, longest)
		q.exact = utf8.RuneCountInString(longest) == utf8.RuneCountInString(folded)
	default:
		q.fails = "what :" + m.String() + " finds has no token of its own"
	}
}

func (q *query) referenceOperand(m search.Modifier, o *search.Operand) {
	switch {
	case m == search.IdentifierModifier && o.Form == search.AnyValue:
		q.fails = "a system alone has no token"
	case m == search.IdentifierModifier && o.Form == search.Exact && o.System != "":
		q.add(blind.ReferenceIdentifier, o.System, o.Code)
	case m == search.IdentifierModifier:
		q.add(blind.ReferenceValue, o.Code)
		q.exact = false
	case m != search.NoModifier:
		q.fails = "what :" + m.String() + " finds has no token of its own"
	case o.URL != "":
		q.add(blind.ReferenceURL, o.URL)
	case o.Type != "":
		q.referenceKey(o.Type, q.b.v.ring.StorageID(o.Type, o.ID))
	default:
		for _, typ := range q.p.Targets {
			q.referenceKey(typ, q.b.v.ring.StorageID(typ, o.ID))
		}
	}
}

func (q *query) referenceKey(typ string, id repository.StorageID) {
	for _, t := range q.makers {
		q.tokens = append(q.tokens, repository.Token(t.TokenBytes(q.p.Resource, q.p.Code, blind.ReferenceKey, []byte(typ), id[:])))
	}
}

func (q *query) uriOperand(m search.Modifier, o *search.Operand) {
	switch {
	case m == search.NoModifier:
		q.add(blind.URIExact, o.Text)
	case m == search.Below && !strings.HasPrefix(o.Text, "urn:"):
		q.add(blind.URIPrefix, strings.TrimRight(o.Text, "/"))
	case m == search.Below:
		q.add(blind.URIExact, o.Text)
	case m == search.Above && !strings.HasPrefix(o.Text, "urn:"):
		segments(o.Text, func(prefix string) { q.add(blind.URIExact, prefix) })
	case m == search.Above:
		q.add(blind.URIExact, o.Text)
	default:
		q.fails = "what :" + m.String() + " finds has no token of its own"
	}
	q.exact = false
}

// numberOperand covers the range of numbers that the prefix and the implied
// precision leave open.
func (q *query) numberOperand(k search.Kind, o *search.Operand) {
	q.exact = false
	low, high, ok := numberRange(o)
	if !ok {
		q.fails = "ne leaves nearly everything"
		return
	}
	if k == search.Number || o.Form != search.Exact {
		q.numbers(blind.NumberBucket, low, high)
		return
	}
	q.numbers(blind.QuantityBucket, low, high, o.System+"|"+o.Code)
	v := search.Value{Low: low, High: high, System: o.System, Code: o.Code}
	if l, h, unit, ok := search.CanonicalEnds(&v); ok {
		q.numbers(blind.QuantityBucket, l, h, unit)
	}
}

func (q *query) numbers(kind blind.Kind, low, high *apd.Decimal, unit ...string) {
	q.add(kind, append(unit, interval)...)
	coverNumbers(low, high, func(b string) { q.add(kind, append(unit, b)...) })
}

// numberRange is the closed range that holds every number which the operand
// may match; nil is an open end.
func numberRange(o *search.Operand) (low, high *apd.Decimal, ok bool) {
	switch o.Prefix {
	case search.NotEqual:
		return nil, nil, false
	case search.Greater, search.GreaterOrEqual, search.StartsAfter:
		return o.Value, nil, true
	case search.Less, search.LessOrEqual, search.EndsBefore:
		return nil, o.Value, true
	case search.Approximately:
		low, high = o.ApproximateRange()
		return low, high, true
	}
	return o.Low, o.High, true
}
