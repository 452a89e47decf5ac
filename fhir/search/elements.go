package search

import "slices"

// HoldsType reports whether one of the elements that the parameter selects is
// of the datatype. An expression that is a test selects a boolean.
func (p *Parameter) HoldsType(datatype string) bool {
	if p.program.test != nil {
		return datatype == "boolean"
	}
	return slices.ContainsFunc(p.program.leaves, func(l *leaf) bool { return l.reader != nil && l.typ.Name == datatype })
}

// SelectsOnly reports whether the parameter selects elements of one path of its
// type and nothing else: "subject", "collection.source".
func (p *Parameter) SelectsOnly(path string) bool {
	return len(p.program.leaves) > 0 && !slices.ContainsFunc(p.program.leaves, func(l *leaf) bool {
		return l.reader != nil && l.path != p.Resource+"."+path
	})
}
