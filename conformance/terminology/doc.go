// Package terminology answers questions about FHIR R4 code systems and value
// sets from what is held here: the official definitions, which are embedded,
// and the CodeSystem and ValueSet resources of a Source. It asks no other
// server. docs/terminology.md says what is answered and what is not.
//
// Start with New, then Service.Contains; contains.go decides membership of one
// code without building the expansion, enumerate.go builds it, hierarchy.go
// answers subsumption. codesystem.go and valueset.go compile resources.
//
// The package never guesses: what its content cannot decide (a rule over
// SNOMED CT, a code that a fragment does not list) is ErrNotSupported. A
// positive answer is given when it follows from what is held, whatever else
// stays unknown.
//
// Security notes: value sets may be hostile. The depth of their references,
// the concepts that one call visits and the size of an expansion are bounded,
// patterns are RE2, and every loop ends with its context. Errors name a
// canonical URL, never a code or a display. A stored resource cannot replace
// what the FHIR specification itself defines (http://hl7.org/fhir/…).
//
// A Service is safe for concurrent use. Kept compatible: the classes of errors.
// The format of embedded.bin (docs/format/terminology.md) is no promise, it
// changes together with its reader.
package terminology
