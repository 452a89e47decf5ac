package redact

import (
	"bytes"

	"github.com/fieldseal/fieldseal/fhir"
)

// equalMembers compares the members of an element by name.
func equalMembers(a, b []*fhir.Node) bool {
	if len(a) != len(b) {
		return false
	}
	for _, x := range a {
		found := false
		for _, y := range b {
			found = found || x.Name() == y.Name() && equal(x, y)
		}
		if !found {
			return false
		}
	}
	return true
}

// equal compares values as JSON does: the order of members and the escapes of
// strings do not matter; the order of items and the digits of numbers do.
func equal(a, b *fhir.Node) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() {
		return false
	}
	switch a.Kind() {
	case fhir.Object:
		for i := range a.Len() {
			m := b.Member(a.At(i).Name())
			if m == nil || !equal(a.At(i), m) {
				return false
			}
		}
		return true
	case fhir.Array:
		for i := range a.Len() {
			if !equal(a.At(i), b.At(i)) {
				return false
			}
		}
		return true
	case fhir.String:
		return a.Text() == b.Text()
	case fhir.Null: // one that Filter put in a gap has no literal
		return true
	}
	return bytes.Equal(a.Raw(), b.Raw())
}
