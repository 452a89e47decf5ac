package field

import (
	"fmt"

	"github.com/fieldseal/fieldseal/fhir"
)

// derivation makes the limited stand-in of an element.
type derivation uint8

const (
	none   derivation = iota
	year              // the year of a date
	same              // the value itself
	states            // state and country of addresses
)

func (b *builder) derivation(res, name string) derivation {
	switch how := b.p.Derived[res][name]; how {
	case "":
		return none
	case "year":
		return year
	case "same":
		return same
	case "state":
		return states
	default:
		b.errs = append(b.errs, fmt.Sprintf("derived: unknown form %q", how))
		return none
	}
}

// appendDerived appends the stand-in of n as JSON and reports whether there is
// one. What is not of the expected form has none.
func (d derivation) appendDerived(dst []byte, n *fhir.Node) ([]byte, bool) {
	switch d {
	case year:
		raw := n.Raw()
		if n.Kind() != fhir.String || len(raw) < 6 || !digits(raw[1:5]) || raw[5] != '-' && raw[5] != '"' {
			return dst, false
		}
		return append(append(dst, raw[:5]...), '"'), true
	case same:
		if n.Kind() != fhir.Bool {
			return dst, false
		}
		return append(dst, n.Raw()...), true
	case states:
		return appendStates(dst, n)
	}
	return dst, false
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func appendStates(dst []byte, n *fhir.Node) ([]byte, bool) {
	if n.Kind() != fhir.Array {
		return dst, false
	}
	start := len(dst)
	for i := range n.Len() {
		mark := len(dst)
		for _, name := range [...]string{"state", "country"} {
			v := n.At(i).Member(name)
			if v == nil || v.Kind() != fhir.String {
				continue
			}
			if len(dst) == mark {
				dst = append(dst, ",{"...)
			} else {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), name...), '"', ':')
			dst = append(dst, v.Raw()...)
		}
		if len(dst) > mark {
			dst = append(dst, '}')
		}
	}
	if len(dst) == start {
		return dst, false
	}
	dst[start] = '['
	return append(dst, ']'), true
}
