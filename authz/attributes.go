package authz

// Attributes answers what rules may ask about one resource beyond its group 0:
// what stands in other resources, or in elements that are sealed. Each answer
// is worked out when a rule asks, for the subject, the request and the facts
// that it was made for. An error means unknown, which denies; answers may be
// some seconds old (access.md: at most 5).
type Attributes interface {
	// Related reports whether the subject cares for one of the patients in whose
	// compartment the resource lies.
	Related() (bool, error)
	// Consented reports whether the consents of every such patient, and the base
	// policy where there is none, permit the request.
	Consented() (bool, error)
	// Authored reports whether the subject stands in the resource as an author.
	Authored() (bool, error)
	// Adult reports whether every such patient, and one at least, has come of
	// age.
	Adult() (bool, error)
}
