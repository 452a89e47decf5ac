package policy

import "slices"

// A subject that has not broken the glass never passes.
var btg = predicate{
	name:  "btg",
	doc:   "the glass is broken for one of the patients whose compartment holds the resource",
	needs: hasGlass,
	holds: func(in input) bool { return in.hasGlass && slices.Contains(in.facts.Patients, in.glass) },
}
