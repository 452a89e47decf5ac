package search

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Bounds of a decimal. FHIR wants 18 digits; what is far beyond costs memory
// in exact arithmetic and measures nothing.
const (
	maxDecimalBytes    = 128
	maxDecimalExponent = 400
)

// exact is the context of additions and multiplications, which never round
// within the bounds of a decimal; quotients have its many digits.
var exact = apd.Context{Precision: 2 * (maxDecimalBytes + maxDecimalExponent), MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent}

// parseDecimal reads a JSON number exactly. A number outside the bounds is no
// value.
func parseDecimal(s string) (*apd.Decimal, bool) {
	if s == "" || len(s) > maxDecimalBytes || strings.Trim(s, "0123456789+-.eE") != "" || s[0] == '+' {
		return nil, false
	}
	d, _, err := apd.NewFromString(s)
	if err != nil || d.Form != apd.Finite || d.Exponent > maxDecimalExponent || d.Exponent < -maxDecimalExponent {
		return nil, false
	}
	return d, true
}

// ImpliedRange reads a number with the precision that its digits imply:
// 100 is [99.5, 100.5), 1e2 is [50, 150), 100.00 is [99.995, 100.005)
// (R4 search.html#number).
func ImpliedRange(s string) (value, low, high *apd.Decimal, ok bool) {
	value, ok = parseDecimal(s)
	if !ok {
		return nil, nil, nil, false
	}
	half := apd.New(5, value.Exponent-1)
	low, high = new(apd.Decimal), new(apd.Decimal)
	_, errLow := exact.Sub(low, value, half)
	_, errHigh := exact.Add(high, value, half)
	return value, low, high, errLow == nil && errHigh == nil
}
