package search

import (
	"fmt"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
)

// Expression selects resources of one type: all of its conditions.
type Expression struct {
	Type       string
	Conditions []*Condition
}

// Condition compares one parameter with alternatives, or follows a link.
type Condition struct {
	// Name is the parameter as the client wrote it, chain and modifier
	// included, for messages. It never holds a value.
	Name      string
	Parameter *Parameter // nil when Link is set
	Modifier  Modifier
	Operands  []Operand // any of them
	Link      *Link
}

// Link is one hop: a chain (R4 search.html#chaining) or, reversed, a _has
// (search.html#has).
type Link struct {
	// Reference is the parameter that is followed: of this type for a chain, of
	// the other type for _has.
	Reference *Parameter
	Reverse   bool
	// Targets are what must be found at the other end: for a chain one
	// expression per type that the reference may lead to and that knows the
	// inner parameter, for _has exactly one.
	Targets []*Expression
}

// Operand is one alternative. Which fields are set depends on the parameter's
// Kind and the Modifier.
//
//	:missing       Missing
//	Number         Prefix, Value, Low, High (implied precision: [Low, High))
//	Date           Prefix, From, Until (the interval that the text names)
//	String         Text
//	TokenKind      Form with System, Code; Text for :text; URL for :in and :not-in; :of-type System, Code, Text = value
//	ReferenceKind  Type (may be empty) and ID, or URL; :identifier Form, System, Code; :text Text
//	QuantityKind   as Number, and Form with System, Code: Exact = system|code, AnySystem = ||code, Bare = number alone
//	URI            Text
//	Special        Latitude, Longitude in degrees, Distance in metres
//	Composite      Parts, one per component
type Operand struct {
	Missing bool
	Prefix  Prefix
	Form    Form

	System, Code string
	Text, URL    string
	Type, ID     string

	From, Until      int64
	Value, Low, High *apd.Decimal

	Latitude, Longitude, Distance float64

	Parts []Operand

	folded string       // of Text, set by the parser
	base   *baseNumbers // of a UCUM quantity, set by the parser
}

// String says nothing of the operand: it is patient data.
func (o Operand) String() string { return fmt.Sprintf("operand(form %d)", o.Form) }

// Format keeps every verb from printing the fields.
func (o Operand) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(o.String())) }

// SortKey is one key of _sort (R4 search.html#sort).
type SortKey struct {
	Code       string
	Descending bool
	// Parameters are the parameter of each searched type, in the order of
	// Search.Expressions.
	Parameters []*Parameter
}

// Include is one _include or _revinclude (R4 search.html#include).
type Include struct {
	Source    string // type that holds the reference; "*" with Parameter nil: every type
	Parameter *Parameter
	Wildcard  bool   // every reference parameter of Source
	Target    string // only targets of this type; empty: any
	Reverse   bool
	Iterate   bool
}

// Total is the value of _total.
type Total uint8

// The totals; none is the default (decision 24).
const (
	TotalNone Total = iota
	TotalEstimate
	TotalAccurate
)

// Summary is the value of _summary (R4 search.html#summary).
type Summary uint8

// The summaries.
const (
	SummaryFalse Summary = iota
	SummaryTrue
	SummaryText
	SummaryData
	SummaryCount
)

// Search is a parsed search request.
type Search struct {
	// Expressions has one entry per searched type, in order.
	Expressions []*Expression
	// Everything: the query named no type, so that these are all there are and
	// not a demand.
	Everything bool
	Sort       []SortKey
	Includes   []Include
	Count      int // page size asked for, -1 when none
	Total      Total
	Summary    Summary
	Elements   []string
	// Used is the query without what was ignored: what the link self tells (R4
	// search.html#conformance).
	Used string
	// Ignored are warnings about what lenient handling left out.
	Ignored fhir.Issues
}
