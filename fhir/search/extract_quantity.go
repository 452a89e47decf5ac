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
	x.v.Low, x.v.High = number(n.Member("low").Member("value")), number(n.Member("high").Member("value"))
	if x.v.Low == nil && x.v.High == nil {
		return true
	}
	return x.emit(Number, l)
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
	x.v.Low, x.v.High = number(low.Member("value")), number(high.Member("value"))
	if x.v.Low == nil && x.v.High == nil {
		return true
	}
	x.unit(low)
	if x.v.Low == nil {
		x.unit(high)
	}
	return x.emit(QuantityKind, l)
}

// readSampled emits the bounds of the sampled values in the unit of the origin
// (R4 searchparameter Observation-value-quantity: "just search on the bounds
// of the values in sampled data"). A sample is origin + factor × number; E is
// no value, L and U stand for the limits of detection, or for an open end when
// the limit is not given.
func readSampled(x *extraction, n *fhir.Node, l *leaf) bool {
	var low, high *apd.Decimal
	below, above := false, false
	for text := range strings.FieldsSeq(n.Member("data").Text()) {
		switch text {
		case "E":
			continue
		case "L":
			below = true
			continue
		case "U":
			above = true
			continue
		}
		d, ok := parseDecimal(text)
		if !ok {
			continue
		}
		if low == nil || d.Cmp(low) < 0 {
			low = d
		}
		if high == nil || d.Cmp(high) > 0 {
			high = d
		}
	}
	if low == nil && !below && !above {
		return true
	}
	x.v.Low, x.v.High = sampleBounds(n, low, high)
	limit(n, "lowerLimit", below, &x.v.Low, &x.v.High, -1)
	limit(n, "upperLimit", above, &x.v.High, &x.v.Low, 1)
	x.unit(n.Member("origin"))
	return x.emit(QuantityKind, l)
}

// sampleBounds scales the least and the greatest number; a negative factor
// swaps them.
func sampleBounds(n *fhir.Node, low, high *apd.Decimal) (*apd.Decimal, *apd.Decimal) {
	if low == nil {
		return nil, nil
	}
	origin, factor := number(n.Member("origin").Member("value")), number(n.Member("factor"))
	a, b := scaled(low, factor, origin), scaled(high, factor, origin)
	if a.Cmp(b) > 0 {
		return b, a
	}
	return a, b
}

func scaled(d, factor, origin *apd.Decimal) *apd.Decimal {
	out := new(apd.Decimal).Set(d)
	if factor != nil {
		_, _ = exact.Mul(out, out, factor)
	}
	if origin != nil {
		_, _ = exact.Add(out, out, origin)
	}
	return out
}

// limit widens the near end to the limit of detection when samples lie beyond
// it. Without numbers the far end is the limit too.
func limit(n *fhir.Node, name string, beyond bool, near, far **apd.Decimal, sign int) {
	if !beyond {
		return
	}
	bound := number(n.Member(name))
	if *far == nil && *near == nil {
		*far = bound
	}
	if bound != nil && *near != nil && bound.Cmp(*near)*sign < 0 {
		return
	}
	*near = nil
}
