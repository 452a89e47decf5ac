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
	// Both count what any modifier looks at; Needs tells it for one.
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

	// hierarchical: it may lead to a type that has a hierarchy.
	hierarchical bool

	program program
	needs   [needs]field.ClassSet
}

// The parts of an element that are read, by what asks for them.
const (
	baseNeed       = iota // without modifier
	textNeed              // :text
	identifierNeed        // :identifier of a reference
	ofTypeNeed            // :of-type
	needs
)

// Needs are the element classes that an evaluation with the modifier reads.
// Without a modifier that is less than Classes: a reference is compared
// without its display and identifier, which may name a patient.
func (p *Parameter) Needs(m Modifier) field.ClassSet {
	if p.Kind == Composite {
		var s field.ClassSet
		for _, c := range p.Components {
			s |= c.Needs(m)
		}
		return s
	}
	s := p.needs[baseNeed]
	switch m {
	case Text:
		s |= p.needs[textNeed]
	case IdentifierModifier:
		s |= p.needs[identifierNeed]
	case OfType:
		s |= p.needs[ofTypeNeed]
	case Missing:
		// A value exists when any of its parts does.
		s = p.Classes
	}
	return s
}
