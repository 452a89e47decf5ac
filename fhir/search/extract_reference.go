package search

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// readReference emits a Reference. One into the container (#id) is no value:
// what it leads to cannot be found by itself (R4 references.html#contained).
func readReference(x *extraction, n *fhir.Node, l *leaf) bool {
	text := n.Member("reference").Text()
	if strings.HasPrefix(text, "#") {
		return true
	}
	identifier, display := n.Member("identifier"), n.Member("display").Text()
	if text == "" && identifier == nil && display == "" {
		return true
	}
	x.v.Type, x.v.ID, x.v.URL = x.c.local(text)
	x.v.Texts = x.text(display)
	if identifier != nil {
		c := Coding{identifier.Member("system").Text(), identifier.Member("value").Text()}
		if c != (Coding{}) {
			x.v.Identifier = &c
		}
	}
	return x.emit(ReferenceKind, l)
}

// local splits a literal reference to this server, the version dropped; every
// other text is a URL as it stands.
func (c *Catalog) local(text string) (typ, id, url string) {
	ref, ok := fhir.ParseReference(text)
	if !ok || ref.Type == "" || ref.Base != "" && !slices.Contains(c.bases, ref.Base) {
		return "", "", text
	}
	return ref.Type, ref.ID, ""
}

// readCanonical is a canonical or uri that a reference parameter leads to.
func readCanonical(x *extraction, n *fhir.Node, l *leaf) bool {
	if x.v.URL = n.Text(); x.v.URL == "" {
		return true
	}
	return x.emit(ReferenceKind, l)
}

// readInner is a resource that stands in the element itself, such as the first
// entry of a document.
func readInner(x *extraction, n *fhir.Node, l *leaf) bool {
	typ, id := n.Member("resourceType").Text(), n.Member("id").Text()
	if typ == "" || id == "" {
		return true
	}
	x.v.Type, x.v.ID = typ, id
	return x.emit(ReferenceKind, l)
}
