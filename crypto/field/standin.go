package field

import "github.com/fieldseal/fieldseal/fhir"

// StandIn returns the limited stand-in, as JSON, that Seal keeps beside the
// member n under the cursor, and the class whose hiding brings it out.
//
// It is shown with the classes that it needs only: of a contained resource, to
// who sees that there is one.
func (c Cursor) StandIn(n *fhir.Node) (json []byte, source Class, needs ClassSet, ok bool) {
	if c.c.from == none || c.c.class == Limited {
		return nil, Group0, 0, false
	}
	json, ok = c.c.from.appendDerived(nil, n)
	return json, c.c.class, c.c.needs, ok
}
