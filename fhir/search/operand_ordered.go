package search

import (
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir/ucum"
)

// cutPrefix takes the prefix from an ordered value (R4 search.html#prefix). No
// number and no date starts with a letter.
func cutPrefix(s string) (p Prefix, rest, reason string) {
	if s == "" || !letter(s[0]) {
		return Equal, s, ""
	}
	for i, name := range prefixNames {
		if rest, ok := strings.CutPrefix(s, name); ok {
			return Prefix(i), rest, ""
		}
	}
	return 0, "", "want a value after one of " + strings.Join(prefixNames[:], ", ")
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// parseNumber reads [prefix]number (R4 search.html#number).
func parseNumber(s string) (Operand, string) {
	prefix, rest, reason := cutPrefix(s)
	if reason != "" {
		return Operand{}, reason
	}
	o := Operand{Prefix: prefix}
	return o, o.number(rest)
}

// Bounds of a number: FHIR asks for 18 digits (R4 datatypes.html#decimal), and
// arithmetic on more costs work before it can be refused.
const (
	maxDigits   = 64
	maxExponent = 99
)

// number sets Value, Low and High.
func (o *Operand) number(s string) (reason string) {
	if !decimalText(s) {
		return "want a decimal number"
	}
	var ok bool
	if o.Value, o.Low, o.High, ok = ImpliedRange(s); !ok {
		return "want a decimal number"
	}
	return ""
}

// decimalText accepts [+-]digits[.digits][e[+-]digits] within bounds.
func decimalText(s string) bool {
	s = strings.TrimLeft(s, "+-")
	mantissa, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
		if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent || n < -maxExponent {
			return false
		}
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	return whole != "" && (!point || fraction != "") && len(mantissa) <= maxDigits &&
		strings.Trim(whole+fraction, "0123456789") == ""
}

// parseDate reads [prefix]date (R4 search.html#date). A blank stands where an
// unescaped + of the zone stood.
func parseDate(s string) (Operand, string) {
	prefix, rest, reason := cutPrefix(s)
	if reason != "" {
		return Operand{}, reason
	}
	from, until, ok := ParseTime(strings.Replace(rest, " ", "+", 1))
	if !ok {
		return Operand{}, "want a date: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss[.fff]][Z or offset]"
	}
	return Operand{Prefix: prefix, From: from, Until: until}, ""
}

// parseQuantity reads [prefix]number, [prefix]number|system|code or
// [prefix]number||code (R4 search.html#quantity).
func parseQuantity(s string) (Operand, string) {
	parts, reason := pieces(s)
	if reason != "" {
		return Operand{}, reason
	}
	o, reason := parseNumber(parts[0])
	if reason != "" {
		return Operand{}, reason
	}
	switch {
	case len(parts) == 1:
		o.Form = Bare
	case len(parts) != 3 || parts[2] == "":
		return Operand{}, "want number, number|system|code or number||code"
	case parts[1] == "":
		o.Form, o.Code = AnySystem, parts[2]
	default:
		o.Form, o.System, o.Code = Exact, parts[1], parts[2]
		o.base = o.canonical()
	}
	return o, ""
}

// DefaultNear is the distance of a near without one, in metres. R4 leaves it to
// the server (location.html#search): the way to the next town.
const DefaultNear = 50_000

// parseNear reads latitude|longitude[|distance[|unit]], the distance in
// kilometres unless a UCUM unit of length is given (R4 location.html#search).
func parseNear(s string) (Operand, string) {
	const want = "want latitude|longitude|distance|unit, in degrees and a unit of length"
	parts, reason := pieces(s)
	if reason != "" {
		return Operand{}, reason
	}
	if len(parts) < 2 || len(parts) > 4 {
		return Operand{}, want
	}
	o := Operand{Distance: DefaultNear}
	var ok1, ok2 bool
	o.Latitude, ok1 = degreesText(parts[0], 90)
	o.Longitude, ok2 = degreesText(parts[1], 180)
	if !ok1 || !ok2 {
		return Operand{}, want
	}
	if len(parts) > 2 && parts[2] != "" {
		unit := "km"
		if len(parts) == 4 && parts[3] != "" {
			unit = parts[3]
		}
		var ok bool
		if o.Distance, ok = metres(parts[2], unit); !ok {
			return Operand{}, want
		}
	}
	return o, ""
}

func degreesText(s string, most float64) (float64, bool) {
	if !decimalText(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && f >= -most && f <= most
}

// metres converts a length that is not negative.
func metres(s, unit string) (float64, bool) {
	if !decimalText(s) || s[0] == '-' {
		return 0, false
	}
	d, _, err := apd.NewFromString(s)
	if err != nil {
		return 0, false
	}
	base, m, ok := ucum.Canonical(ucum.System, unit, d)
	if !ok || base != "m" {
		return 0, false
	}
	f, err := m.Float64()
	return f, err == nil
}
