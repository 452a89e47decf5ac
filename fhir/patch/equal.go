package patch

import (
	"bytes"
	"math/big"

	"github.com/fieldseal/fieldseal/fhir"
)

// equal compares as RFC 6902 §4.6 says: strings by character, numbers by
// value, objects without order.
func equal(a, b *fhir.Node, e *effort) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() || !e.look(a.Len()) {
		return false
	}
	switch a.Kind() {
	case fhir.Object:
		for i := range a.Len() {
			m := b.Member(a.At(i).Name())
			if !e.look(b.Len()) || m == nil || !equal(a.At(i), m, e) {
				return false
			}
		}
		return true
	case fhir.Array:
		for i := range a.Len() {
			if !equal(a.At(i), b.At(i), e) {
				return false
			}
		}
		return true
	case fhir.String:
		return a.Text() == b.Text()
	case fhir.Number:
		return bytes.Equal(a.Raw(), b.Raw()) || sameNumber(a.Raw(), b.Raw())
	}
	return bytes.Equal(a.Raw(), b.Raw())
}

// sameNumber compares exactly; fhir.Parse bounds digits and exponent.
func sameNumber(a, b []byte) bool {
	x, ok := new(big.Rat).SetString(string(a))
	y, ok2 := new(big.Rat).SetString(string(b))
	return ok && ok2 && x.Cmp(y) == 0
}
