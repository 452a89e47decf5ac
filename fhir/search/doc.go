// Package search is FHIR search without a database: what a parameter finds in a
// resource, what a query asks, and whether the one satisfies the other exactly.
//
// Start with NewCatalog, which compiles every search parameter of R4. Then
// Catalog.Extract (resource to typed values), Catalog.ParseSearch (query to a
// typed Search), Matcher.Match (the exact recheck on an opened resource: an
// index may over-select, it never decides) and Catalog.SortValue (what _sort
// orders by). A chain or _has is a Link, which the caller resolves before
// matching.
//
// Where R4 leaves a choice, or is read differently elsewhere, this is ours:
//   - prefixes follow the table of search.html#prefix to the letter: ge is "the
//     range above the search value overlaps the target, or the search value
//     contains it", so that ge2013-03-14 does not find a period that began the
//     day before and ends on that day;
//   - a string is compared from the beginning of each part of a name or address,
//     never from later words of a part; :text likewise;
//   - :not and :not-in also find what has no value; ne does not;
//   - codes compare without case unless their system is known to be case
//     sensitive (Parameter.CaseSensitive);
//   - a reference in a query names no version and finds every version; an id
//     alone means the types that the parameter may lead to.
//
// Not offered: _filter, _text, _content, _query, _list and searching in contained
// resources.
//
// Parameters with New is the older, identifier-only form of the same.
//
// Security notes: queries and values are patient data. No error, and no String
// or Format method, contains one; Describe tells what an expression compares
// without them. Limits stop a query before it costs work: see MaxQueryBytes and
// its neighbours. Matching sees only the tree that it is given, so that on a
// redacted one every answer, :not and :missing among it, is that of the redacted
// view.
//
// Kept compatible: the bytes of AppendSortKey, which page links carry for a day,
// and Fold and ParseTime, which stored tokens depend on.
package search
