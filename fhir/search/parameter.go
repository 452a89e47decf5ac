package search

import "github.com/fieldseal/fieldseal/crypto/field"

// Parameter is a search parameter as it applies to one resource type. It is
// immutable.
type Parameter struct {
	Code     string
	URL      string // canonical
	Resource string // the type that it applies to
	Kind     Kind
	Targets  []string // of a reference: types that it may lead to, sorted

	// Paths are the element paths that it reads ("Patient.name.family"), and
	// Classes every element class that an evaluation may read, children
	// included: what a caller must be allowed to see to ask it (decision 16).
	Paths   []string
	Classes field.ClassSet

	// Components of a composite, in order.
	Components []*Parameter
	// Single: one resource holds at most one value.
	Single bool
	// Instant: no value is a Period or Timing, so that both ends of a full
	// date lie in one day.
	Instant bool
	// Covering is the code of the parameter of the same type whose values
	// include all of this one's, so that its tokens find them too ("patient"
	// is covered by "subject"); empty when there is none.
	Covering string

	program program
}
