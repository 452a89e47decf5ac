package search

import "github.com/fieldseal/fieldseal/fhir"

func readString(x *extraction, n *fhir.Node, l *leaf) bool {
	if x.v.Text = n.Text(); x.v.Text == "" {
		return true
	}
	return x.emit(String, l)
}

func readURI(x *extraction, n *fhir.Node, l *leaf) bool {
	if x.v.Text = n.Text(); x.v.Text == "" {
		return true
	}
	return x.emit(URI, l)
}

var (
	nameParts    = []string{"family", "given", "prefix", "suffix", "text"}
	addressParts = []string{"line", "city", "district", "state", "postalCode", "country", "text"}
)

// readName emits every part of a HumanName (R4 search.html#string).
func readName(x *extraction, n *fhir.Node, l *leaf) bool { return x.strings(n, nameParts, l) }

// readAddress emits every part of an Address.
func readAddress(x *extraction, n *fhir.Node, l *leaf) bool { return x.strings(n, addressParts, l) }

func (x *extraction) strings(n *fhir.Node, names []string, l *leaf) bool {
	for _, name := range names {
		m := n.Member(name)
		if m == nil {
			continue
		}
		if m.Kind() != fhir.Array {
			if !readString(x, m, l) {
				return false
			}
			continue
		}
		for i := range m.Len() {
			if !readString(x, m.At(i), l) {
				return false
			}
		}
	}
	return true
}
