package blind

// Kind says what a token's value is, so that equal texts of different meaning
// never share a token. Values are stored inside tokens: never renumber.
type Kind byte

// The kinds, by FHIR search parameter type (R4 search.html).
const (
	// TokenSystemCode is system|code; parts: system, code.
	TokenSystemCode Kind = 1
	// TokenCode is code with any system; parts: code.
	TokenCode Kind = 2
	// TokenSystem is system| with any code; parts: system.
	TokenSystem Kind = 3
	// TokenNoSystem is |code, a code without system; parts: code.
	TokenNoSystem Kind = 4
	// TokenOfType is :of-type; parts: system, code, value.
	TokenOfType Kind = 5

	// StringPrefix is a folded word prefix; parts: the prefix.
	StringPrefix Kind = 16
	// StringWhole is a whole folded word; parts: the word.
	StringWhole Kind = 17
	// StringExact is the unfolded value; parts: the value.
	StringExact Kind = 18

	// ReferenceKey is a local reference; parts: type, storage key.
	ReferenceKey Kind = 32
	// ReferenceURL is an external reference; parts: the absolute URL.
	ReferenceURL Kind = 33
	// ReferenceIdentifier is a logical reference; parts: system, value.
	ReferenceIdentifier Kind = 34
	// ReferenceValue is a logical reference with any system; parts: value.
	ReferenceValue Kind = 35
	// Member says that the resource lies in a patient's compartment; parts:
	// storage key.
	Member Kind = 36

	// URIExact is a whole URI; parts: the URI.
	URIExact Kind = 48
	// URIPrefix is a prefix by segments, for :below; parts: the prefix.
	URIPrefix Kind = 49

	// DateLow is a calendar node of a period's start; parts: node.
	DateLow Kind = 64
	// DateHigh is a calendar node of a period's end; parts: node.
	DateHigh Kind = 65
	// DatePoint is a calendar node of an interval that lies within one day;
	// parts: node.
	DatePoint Kind = 66

	// NumberBucket is a logarithmic bucket; parts: bucket.
	NumberBucket Kind = 80
	// QuantityBucket is a bucket of a unit; parts: unit, bucket.
	QuantityBucket Kind = 81

	// Composite binds a first part inside the second; parts: the first
	// component's canonical value, the second's kind (one byte), its parts.
	Composite Kind = 96

	// Missing says that the parameter has no value; parts: none.
	Missing Kind = 112
	// Guard names what a conditional write guards; parts: the criterion.
	Guard Kind = 113
)
