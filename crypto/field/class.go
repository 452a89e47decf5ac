package field

import (
	"fmt"
	"strings"
)

// Class is the confidentiality class of an element. Every element of every R4
// type has exactly one; what no rule names is Restricted.
type Class uint8

// The classes. Group0 is bookkeeping that is always opened; it is not a class
// of elements.
const (
	Group0 Class = iota
	Identifier
	Demographic
	Limited
	Contact
	Narrative
	Clinical
	Administrative
	Restricted
	numClasses
)

var classNames = [numClasses]string{"group0", "identifier", "demographic", "limited", "contact", "narrative", "clinical", "administrative", "restricted"}

func (c Class) String() string {
	if c < numClasses {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// ParseClass returns the element class with the given name.
func ParseClass(name string) (Class, error) {
	for c := Identifier; c < numClasses; c++ {
		if classNames[c] == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("unknown element class %q", name)
}

// ClassSet is a set of element classes; the zero set permits nothing.
type ClassSet uint16

// AllClasses holds every element class.
const AllClasses ClassSet = 1<<numClasses - 2

// Set returns the set of the given classes.
func Set(cs ...Class) ClassSet {
	var s ClassSet
	for _, c := range cs {
		s |= 1 << c
	}
	return s &^ 1
}

// Has reports whether c is in the set. Group0 is never in a set.
func (s ClassSet) Has(c Class) bool { return c != Group0 && s&(1<<c) != 0 }

// Contains reports whether s holds all of o.
func (s ClassSet) Contains(o ClassSet) bool { return o&^s == 0 }

// Classes lists the members in their fixed order.
func (s ClassSet) Classes() []Class {
	var cs []Class
	for c := Identifier; c < numClasses; c++ {
		if s.Has(c) {
			cs = append(cs, c)
		}
	}
	return cs
}

func (s ClassSet) String() string {
	var names []string
	for _, c := range s.Classes() {
		names = append(names, c.String())
	}
	return strings.Join(names, ",")
}
