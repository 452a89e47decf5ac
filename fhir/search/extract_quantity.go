package search

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
)

// number is the exact value of a number node, nil when n is none or out of
// bounds (see parseDecimal).
func number(n *fhir.Node) *apd.Decimal {
	if n == nil || n.Kind() != fhir.Number {
		return nil
	}
	d, ok := parseDecimal(string(n.Raw()))
	if !ok {
		return nil
	}
	return d
}

func readNumber(x *extraction, n *fhir.Node, l *leaf) bool {
	d := number(n)
	if d == nil {
		return true
	}
	x.v.Low, x.v.High = d, d
	return x.emit(Number, l)
}

// readNumberRange emits a Range for a number parameter; its unit is not
// compared.
func readNumberRange(x *extraction, n *fhir.Node, l *leaf) bool {
	low, high := number(n.Member("low").Member("value")), number(n.Member("high").Member("value"))
	if low == nil && high == nil {
		return true
	}
	x.v.Low, x.v.High = ascending(low, high)
	return x.emit(Number, l)
}

// ascending exchanges the ends of a Range whose low end is above the high one,
// which contradicts rng-2 (R4 datatypes.html#Range). nil is an open end.
func ascending(low, high *apd.Decimal) (*apd.Decimal, *apd.Decimal) {
	if low != nil && high != nil && low.Cmp(high) > 0 {
		return high, low
	}
	return low, high
}

// readQuantity emits a Quantity. With a comparator the true value lies beyond
// the stated one, so that end is open (R4 datatypes.html#Quantity).
func readQuantity(x *extraction, n *fhir.Node, l *leaf) bool {
	d := number(n.Member("value"))
	if d == nil {
		return true
	}
	x.v.Low, x.v.High = d, d
	if c := n.Member("comparator").Text(); strings.HasPrefix(c, "<") {
		x.v.Low = nil
	} else if strings.HasPrefix(c, ">") {
		x.v.High = nil
	}
	x.unit(n)
	return x.emit(QuantityKind, l)
}

func (x *extraction) unit(n *fhir.Node) {
	x.v.System, x.v.Code, x.v.Unit = n.Member("system").Text(), n.Member("code").Text(), n.Member("unit").Text()
}

// CurrencySystem is the system of Money.currency (R4 datatypes.html#Money).
const CurrencySystem = "urn:iso:std:iso:4217"

func readMoney(x *extraction, n *fhir.Node, l *leaf) bool {
	d := number(n.Member("value"))
	if d == nil {
		return true
	}
	x.v.Low, x.v.High = d, d
	if x.v.Code = n.Member("currency").Text(); x.v.Code != "" {
		x.v.System, x.v.Unit = CurrencySystem, x.v.Code
	}
	return x.emit(QuantityKind, l)
}

// readRange emits a Range in the unit of its low end, or of its high end; they
// are the same (R4 datatypes.html#Range rng-2).
func readRange(x *extraction, n *fhir.Node, l *leaf) bool {
	low, high := n.Member("low"), n.Member("high")
	from, to := number(low.Member("value")), number(high.Member("value"))
	if from == nil && to == nil {
		return true
	}
	x.unit(low)
	if from == nil {
		x.unit(high)
	}
	x.v.Low, x.v.High = ascending(from, to)
	return x.emit(QuantityKind, l)
}
