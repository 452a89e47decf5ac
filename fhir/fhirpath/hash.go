package fhirpath

import (
	"hash/maphash"

	"github.com/fieldseal/fieldseal/fhir"
)

var seed = maphash.MakeSeed()

// hashNode is the same for trees that equalNodes finds equal: members in any
// order, numbers by being one.
func hashNode(n *fhir.Node) uint64 {
	if n == nil {
		return 0
	}
	h := uint64(n.Kind()) + 1
	switch n.Kind() {
	case fhir.Object:
		for i := range n.Len() {
			m := n.At(i)
			h += maphash.String(seed, m.Name())*31 ^ hashNode(m)
		}
	case fhir.Array:
		for i := range n.Len() {
			h = h*1_000_003 ^ hashNode(n.At(i))
		}
	case fhir.String:
		h += maphash.String(seed, n.Text())
	case fhir.Bool:
		h += uint64(len(n.Raw()))
	}
	return h
}

// cost is what reading a tree costs, in steps.
func cost(n *fhir.Node) int {
	total := 1 + len(n.Raw())/64
	for i := range n.Len() {
		total += cost(n.At(i))
	}
	return total
}
