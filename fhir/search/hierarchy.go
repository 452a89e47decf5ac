package search

import "slices"

// Hierarchy is the parameter by which resources of a type are parts of others
// of the same type, such as Location.partof; nil when the type has none. It is
// what :above and :below of a reference follow (R4 search.html#recurse).
func (c *Catalog) Hierarchy(resourceType string) *Parameter {
	for _, code := range []string{"partof", "part-of"} {
		if p := c.Parameter(resourceType, code); p != nil && p.Kind == ReferenceKind && p.LeadsTo(resourceType) {
			return p
		}
	}
	return nil
}

// markHierarchical finds the parameters that lead to a type with a hierarchy.
func (c *Catalog) markHierarchical() {
	for _, t := range c.types {
		for _, p := range t.list {
			p.hierarchical = p.Kind == ReferenceKind && slices.ContainsFunc(p.Targets, func(target string) bool { return c.Hierarchy(target) != nil })
		}
	}
}

// Recurses reports whether the condition asks for a hierarchy of references.
// Matching knows nothing of hierarchies: whoever executes the search replaces
// the operands by all that lie above or below them, and drops the modifier.
func (c *Condition) Recurses() bool {
	return c.Link == nil && c.Parameter.Kind == ReferenceKind && (c.Modifier == Above || c.Modifier == Below)
}
