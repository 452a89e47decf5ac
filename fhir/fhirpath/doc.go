// Package fhirpath is FHIRPath (normative N1, hl7.org/fhirpath/N1) as FHIR R4
// uses it (R4 fhirpath.html), over the lossless tree of package fhir.
//
// Start with Compile, once per expression, and Expression.Evaluate, any number
// of times and from any number of goroutines:
//
//	e, err := fhirpath.Compile("name.where(use = 'official').given")
//	got, err := e.Evaluate(ctx, fhirpath.Context{Focus: fhirpath.Root(resource)})
//	for _, item := range got {
//		if el, ok := item.(*fhirpath.Element); ok {
//			el.Node()   // the *fhir.Node, nil when only the _ sibling exists
//			el.Parent() // the containing element, nil for the root
//			el.Name()   // its JSON member there, such as "given"
//			el.Index()  // its place in the array, -1 outside of one
//			el.Path()   // "Patient.name[0].given[1]"
//		}
//	}
//
// An Item is an *Element or a System value: Boolean, Integer, Decimal, String,
// Date, DateTime, Time, Quantity, TypeInfo. CompileFor checks an expression
// against the definition of the type that it is meant for, too: a member that
// the type does not have is an error there, and empty in Compile.
//
// What lies outside of the resource is injected with Context: Resolver
// (resolve), Terminology (memberOf, subsumes, subsumedBy), Profiles (conformsTo,
// slice). Where one is missing, contained resources, entries of the same Bundle
// and the types of R4 are still found; everything else is an error, as the
// functions demand, or empty where R4 says so.
//
// Where the texts leave a choice, or the artefacts of R4 disagree with the text,
// this holds:
//   - as, and as(), select from a collection of a choice element or of mixed
//     types, as R4's own invariants and search parameters use them; over items
//     of one type the N1 rule (one item at most) stands in CompileFor;
//   - as and ofType take a primitive type as itself: a code is no string there
//     (R4 fhirpath.html), while "is" knows the base types;
//   - an unqualified Quantity is FHIR's and System's;
//   - a DateTime without offset against one with offset is decided when every
//     offset between -12:00 and +14:00 gives the same answer, and else empty;
//   - calendar days, weeks, hours, minutes, seconds and milliseconds equal their
//     UCUM units; months and years compare with 'mo' and 'a' by ~ only;
//   - a quotient has 28 digits; sums and products are exact; a result of more
//     than 400 digits is an overflow, so empty;
//   - matches looks for the expression anywhere in the text, by RE2 in
//     single-line mode;
//   - children and descendants give elements, not the value of a primitive.
//
// Security notes: expressions and data may both be hostile. Length and depth
// are bounded when compiling; steps, items, text and time when evaluating (see
// Limits): beyond them is ErrLimit, never a stall. Regular expressions are
// linear. No error contains a value of the data.
package fhirpath
