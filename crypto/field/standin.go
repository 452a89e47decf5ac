package field

import "github.com/fieldseal/fieldseal/fhir"

// StandIn returns the limited stand-in, as JSON, that Seal keeps beside the
// member n under the cursor, and the class whose hiding brings it out.
func (c Cursor) StandIn(n *fhir.Node) (json []byte, source Class, ok bool) {
	if c.c.from == none || c.c.class == Limited {
		return nil, Group0, false
	}
	json, ok = c.c.from.appendDerived(nil, n)
	return json, c.c.class, ok
}
