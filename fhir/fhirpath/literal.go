package fhirpath

import "github.com/cockroachdb/apd/v3"

// durations are the words of calendar durations (N1 §4.1.8).
var durations = map[string]string{
	"year": "year", "years": "year", "month": "month", "months": "month", "week": "week", "weeks": "week", "day": "day", "days": "day",
	"hour": "hour", "hours": "hour", "minute": "minute", "minutes": "minute", "second": "second", "seconds": "second",
	"millisecond": "millisecond", "milliseconds": "millisecond",
}

// number parses an integer, a decimal, or a quantity: a number before a unit.
func (p *parser) number() node {
	t := p.tok
	p.advance()
	d, ok := parseNumber(t.text)
	if !ok {
		return p.fail(ErrSyntax, t.pos, "a number with too many digits")
	}
	switch {
	case p.tok.kind == tokenString:
		unit := p.tok.text
		p.advance()
		return &literal{pos: t.pos, value: newQuantity(d, unit)}
	case p.tok.kind == tokenName && durations[p.tok.text] != "":
		word := p.tok.text
		p.advance()
		return &literal{pos: t.pos, value: newQuantity(d, word)}
	case d.Exponent < 0:
		return &literal{pos: t.pos, value: Decimal{d}}
	}
	if i := toInteger(d); i != nil {
		return &literal{pos: t.pos, value: i}
	}
	if v, err := d.Int64(); err == nil && v == 1<<31 {
		return &literal{pos: t.pos, large: true}
	}
	return p.fail(ErrSyntax, t.pos, "an integer of more than 32 bits")
}

// newQuantity has a UCUM unit, or a calendar duration when the text is the word
// for one (N1 §4.1.8, the unit representation).
func newQuantity(d *apd.Decimal, unit string) Quantity {
	if word := durations[unit]; word != "" {
		return Quantity{value: d, unit: word, calendar: true}
	}
	return Quantity{value: d, unit: unit}
}

func (p *parser) temporal() node {
	t := p.tok
	p.advance()
	if t.kind == tokenTime {
		if v, ok := parseTime(t.text); ok {
			return &literal{pos: t.pos, value: Time{v}}
		}
		return p.fail(ErrSyntax, t.pos, "no time of day")
	}
	v, hasT, ok := parseDateTime(t.text)
	switch {
	case !ok:
		return p.fail(ErrSyntax, t.pos, "no date of the calendar")
	case hasT:
		return &literal{pos: t.pos, value: DateTime{v}}
	}
	return &literal{pos: t.pos, value: Date{v}}
}
