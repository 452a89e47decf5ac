package search

import (
	"fmt"
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/crypto/field"
)

// Open ends of a Value's or Operand's interval in time.
const (
	Beginning int64 = math.MinInt64
	EndOfTime int64 = math.MaxInt64
)

// Coding is a system and a code; System is empty when there is none.
type Coding struct{ System, Code string }

// Value is what a parameter found in a resource: one per element. Which fields
// are set depends on the Kind.
//
//	Number         Low, High (equal for a single number; nil is an open end of a Range)
//	Date           From, Until
//	String         Text, one per part of a HumanName or Address
//	TokenKind      System, Code; ImpliedSystem; Texts; OfType
//	ReferenceKind  Type and ID of a local target, or URL (canonicals keep "|version"); Identifier; Texts
//	QuantityKind   Low, High, System, Code, Unit
//	URI            Text
//	Special        Latitude, Longitude in degrees
//	Composite      Parts: one list of values per component, from one element
//
// A Value is patient data: it prints nothing of itself.
type Value struct {
	Kind Kind
	// Classes are the element classes that the value was read from: of what is
	// compared without modifier, so Texts, OfType and a reference's Identifier
	// are not counted (see Parameter.Needs).
	Classes field.ClassSet

	Text string

	System, Code string
	// ImpliedSystem: the element is a code, whose system the definition fixes
	// (System, empty when the definitions do not name one).
	ImpliedSystem bool
	Texts         []string // what :text looks at: display, text
	OfType        []Coding // Identifier.type, for :of-type

	Type, ID, URL string
	Identifier    *Coding // of a Reference

	// From is the first and Until the first microsecond after the interval,
	// since the Unix epoch in UTC; a value without zone counts as UTC.
	From, Until int64

	Low, High *apd.Decimal
	Unit      string // of a Quantity, for people

	Latitude, Longitude float64

	Parts [][]Value
}

// String says the kind only.
func (v Value) String() string { return "value(" + v.Kind.String() + ")" }

// Format keeps every verb from printing the fields.
func (v Value) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }
