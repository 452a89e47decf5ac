package policy

import "slices"

// A subject without a patient never passes: a missing patient claim is a
// refusal, not a skipped check.
var ownCompartment = predicate{
	name:  "own_compartment",
	doc:   "the subject's patient is one of the patients whose compartment holds the resource",
	needs: hasPatient,
	holds: func(in input) bool { return in.hasPatient && slices.Contains(in.facts.Patients, in.patient) },
}
