package search

// Kind is the type of a search parameter (R4 search.html#ptypes).
type Kind uint8

// The kinds; zero is no parameter type.
const (
	Number Kind = iota + 1
	Date
	String
	TokenKind
	ReferenceKind
	Composite
	QuantityKind
	URI
	Special // near
)

var kindNames = [...]string{"", "number", "date", "string", "token", "reference", "composite", "quantity", "uri", "special"}

func (k Kind) String() string { return kindNames[k] }

// ParseKind reads the code of SearchParameter.type; zero when unknown.
func ParseKind(code string) Kind {
	for k := Number; k <= Special; k++ {
		if kindNames[k] == code {
			return k
		}
	}
	return 0
}

// Modifier changes what a condition compares (R4 search.html#modifiers). A
// resource type as modifier is no Modifier: it narrows the operands.
type Modifier uint8

// The modifiers.
const (
	NoModifier Modifier = iota
	Missing
	ExactText // :exact
	Contains
	Text
	Not
	Above
	Below
	In
	NotIn
	OfType
	IdentifierModifier // :identifier
)

var modifierNames = [...]string{"", "missing", "exact", "contains", "text", "not", "above", "below", "in", "not-in", "of-type", "identifier"}

func (m Modifier) String() string { return modifierNames[m] }

// Prefix is how an ordered operand compares (R4 search.html#prefix).
type Prefix uint8

// The prefixes; a value without one is Equal.
const (
	Equal Prefix = iota
	NotEqual
	Greater
	Less
	GreaterOrEqual
	LessOrEqual
	StartsAfter
	EndsBefore
	Approximately
)

var prefixNames = [...]string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

func (p Prefix) String() string { return prefixNames[p] }
