package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/ucum"
)

// value is the System value of a primitive (R4 fhirpath.html#types), nil when
// it has none or one that is not of its type.
func (e *Element) value() Item {
	if e.node == nil || !e.primitive() {
		return nil
	}
	switch e.typ.Name {
	case "boolean":
		if e.node.Kind() == fhir.Bool {
			return Boolean(e.node.Raw()[0] == 't')
		}
	case "integer", "positiveInt", "unsignedInt":
		if e.node.Kind() == fhir.Number {
			return parseInteger(string(e.node.Raw()))
		}
	case "decimal":
		if e.node.Kind() == fhir.Number {
			return parseDecimal(string(e.node.Raw()))
		}
	case "date", "dateTime", "instant":
		return e.dateValue()
	case "time":
		if t, ok := parseTime(e.node.Text()); ok {
			return Time{t}
		}
	default:
		if e.node.Kind() == fhir.String {
			return String(e.node.Text())
		}
	}
	return nil
}

func (e *Element) dateValue() Item {
	s := e.node.Text()
	t, hasT, ok := parseDateTime(s)
	if !ok && strings.Contains(s, ":60") { // a leap second, which R4 allows and FHIRPath has no literal for
		t, hasT, ok = parseDateTime(strings.Replace(s, ":60", ":59", 1))
		ok = ok && t.second == 59
		t.second = 60
	}
	switch {
	case !ok:
		return nil
	case e.typ.Name == "date":
		if hasT {
			return nil
		}
		return Date{t}
	}
	return DateTime{t}
}

// convert is the System value of an item where one is expected: that of a
// primitive, or of a Quantity with a UCUM unit (R4 fhirpath.html#quantity). It
// is the item itself when there is none.
func convert(item Item) Item {
	e, ok := item.(*Element)
	if !ok {
		return item
	}
	if v := e.value(); v != nil {
		return v
	}
	if q, ok := e.quantity(); ok {
		return q
	}
	return item
}

// calendarOf maps the UCUM codes of FHIR quantities to calendar durations
// (R4 fhirpath.html#quantity).
var calendarOf = map[string]string{"a": "year", "mo": "month", "d": "day", "h": "hour", "min": "minute", "s": "second"}

// maxQuantityMembers is above what the definitions of Quantity allow; a hostile
// object would make each conversion slow.
const maxQuantityMembers = 32

// quantity is the System.Quantity of a FHIR Quantity or a type derived from it.
// One in units that are not UCUM's compares with the same unit only, and one
// with a comparator, which is no exact value, with nothing.
func (e *Element) quantity() (Quantity, bool) {
	if e.typ.Name != "Quantity" && e.typ.Base != "Quantity" || e.node == nil || e.node.Len() > maxQuantityMembers {
		return Quantity{}, false
	}
	n := e.node.Member("value")
	if n == nil || n.Kind() != fhir.Number {
		return Quantity{}, false
	}
	d, ok := parseDecimal(string(n.Raw())).(Decimal)
	if !ok {
		return Quantity{}, false
	}
	code := e.node.Member("code").Text()
	q := Quantity{value: d.d, unit: code}
	switch {
	case e.node.Member("comparator") != nil:
		q.foreign, q.unit = true, ""
	case e.node.Member("system").Text() == ucum.System && code != "":
		if word, ok := calendarOf[code]; ok {
			q.unit, q.calendar = word, true
		}
	case e.node.Member("system") == nil && code == "" && e.node.Member("unit") == nil:
		q.unit = "1"
	default:
		q.foreign = true
		if code == "" {
			code = e.node.Member("unit").Text()
		}
		q.unit = e.node.Member("system").Text() + "|" + code
	}
	return q, true
}

// Bounds of a number literal, in expressions and data (fhir.MaxNumberDigits).
const maxNumberBytes = 400

// parseInteger is nil outside of 32 bits (N1 §4.1.2).
func parseInteger(s string) Item {
	d, ok := parseNumber(s)
	if !ok {
		return nil
	}
	return toInteger(d)
}

// parseDecimal is nil for what is no number within the bounds.
func parseDecimal(s string) Item {
	d, ok := parseNumber(s)
	if !ok {
		return nil
	}
	return Decimal{d}
}

func parseNumber(s string) (*apd.Decimal, bool) {
	if s == "" || len(s) > maxNumberBytes || strings.Trim(s, "0123456789+-.eE") != "" {
		return nil, false
	}
	d, _, err := apd.NewFromString(s)
	if err != nil || d.Form != apd.Finite || d.Exponent > maxDigits || d.Exponent < -maxDigits {
		return nil, false
	}
	if d.Exponent > 0 { // 1e2 is 100: the text of a decimal has no exponent
		if _, err = exact.Quantize(d, d, 0); err != nil {
			return nil, false
		}
	}
	return d, true
}

// toInteger is nil unless the number is whole and has 32 bits.
func toInteger(d *apd.Decimal) Item {
	var whole, fraction apd.Decimal
	d.Modf(&whole, &fraction)
	if fraction.Sign() != 0 {
		return nil
	}
	i, err := whole.Int64()
	if err != nil || i < -1<<31 || i >= 1<<31 {
		return nil
	}
	return Integer(i)
}
