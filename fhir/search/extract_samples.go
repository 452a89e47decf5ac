package search

import (
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
)

// readSampled emits the bounds of the sampled values in the unit of the origin
// (R4 searchparameter Observation-value-quantity: "just search on the bounds
// of the values in sampled data"). A sample is origin + factor × number; E is
// no value, L and U stand for the limits of detection, or for an open end when
// the limit is not given.
func readSampled(x *extraction, n *fhir.Node, l *leaf) bool {
	s := scanSamples(n.Member("data").Text())
	b := s.scale(number(n.Member("factor")), number(n.Member("origin").Member("value")))
	openLow := s.below && !b.extend(number(n.Member("lowerLimit")))
	openHigh := s.above && !b.extend(number(n.Member("upperLimit")))
	if b.low == nil {
		return true
	}
	if x.v.Low = b.low; openLow {
		x.v.Low = nil
	}
	if x.v.High = b.high; openHigh {
		x.v.High = nil
	}
	x.unit(n.Member("origin"))
	return x.emit(QuantityKind, l)
}

// bounds are the least and the greatest of some numbers; nil of none.
type bounds struct{ low, high *apd.Decimal }

// extend takes one more number in; false when there is none.
func (b *bounds) extend(d *apd.Decimal) bool {
	if d == nil {
		return false
	}
	if b.low == nil || d.Cmp(b.low) < 0 {
		b.low = d
	}
	if b.high == nil || d.Cmp(b.high) > 0 {
		b.high = d
	}
	return true
}

// samples is what SampledData.data holds.
type samples struct {
	bounds
	below, above bool // some lie beyond the limits of detection
}

func scanSamples(data string) samples {
	var s samples
	for text := range strings.FieldsSeq(data) {
		switch text {
		case "L":
			s.below = true
		case "U":
			s.above = true
		default: // E is no number
			if d, ok := parseDecimal(text); ok {
				s.extend(d)
			}
		}
	}
	return s
}

// scale maps numbers to values; a negative factor swaps the ends.
func (s samples) scale(factor, origin *apd.Decimal) bounds {
	var b bounds
	for _, d := range []*apd.Decimal{s.low, s.high} {
		if d == nil {
			continue
		}
		v := new(apd.Decimal).Set(d)
		if factor != nil {
			_, _ = exact.Mul(v, v, factor)
		}
		if origin != nil {
			_, _ = exact.Add(v, v, origin)
		}
		b.extend(v)
	}
	return b
}
