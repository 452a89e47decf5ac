package policy

// A subject that is linked to no Practitioner, and a resource in no patient
// compartment, never pass.
var relationship = predicate{
	name:  "relationship",
	doc:   "the subject cares for one of the patients whose compartment holds the resource: as a member of a care team, by an encounter, an appointment or a service request",
	needs: hasPractitioner,
	ask:   func(in input) (bool, error) { return in.facts.More.Related() },
}
