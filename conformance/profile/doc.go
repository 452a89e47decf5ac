// Package profile judges whether an element conforms to a StructureDefinition
// that constrains a type (R4 profiling.html): cardinality, types, fixed and
// pattern values, required bindings, slicing and invariants of its snapshot.
//
// Start with Parse, once per StructureDefinition, and Checker.Check. What a
// profile asks beyond what is judged here (Source and the list in the comment of
// ErrUnsupported) ends the call with an error as soon as the data need it: the
// answer is never a guess. What an element points to by a Reference is judged by
// its type alone, and only as far as the reference tells it.
//
// Security notes: profiles and data may both be hostile. Nesting and work are
// bounded (ErrUnsupported), invariants by the limits of package fhirpath. An
// issue names the rule and the place, never a value of the data.
package profile
