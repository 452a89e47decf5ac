// Package fhir holds a FHIR R4 resource as an ordered tree of the client's own
// JSON literals, so that nothing a client sent is lost. Start at Parse and
// Node; docs/format/resource-json.md states what is kept and refused.
//
// Security notes: Parse is strict where readers of JSON disagree (duplicate
// names, lone surrogates, NUL) and bounded in size, depth and number of
// values; its errors name an offset and a path, never a value. Text, Name and
// Raw may alias the parsed input, which must stay unmodified.
//
// Kept compatible: AppendJSON of a parsed input is that input less
// insignificant whitespace.
package fhir
