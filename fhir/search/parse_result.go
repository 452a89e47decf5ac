package search

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// shape reads a parameter that shapes the answer (R4 search.html#return).
func (p *searchParser) shape(code string, nv nameValue) error {
	if code == "_include" || code == "_revinclude" {
		return p.include(code, nv)
	}
	if nv.name != code {
		return &ParameterError{Parameter: printable(nv.name), Reason: code + " takes none", Err: ErrModifier}
	}
	if len(nv.value) > MaxValueBytes {
		return malformed(code, fmt.Sprintf("value is longer than %d bytes", MaxValueBytes))
	}
	if slices.Contains(p.once, code) {
		return malformed(code, "stands twice")
	}
	p.once = append(p.once, code)
	switch code {
	case "_count":
		return p.count(nv.value)
	case "_sort":
		return p.sort(nv.value)
	case "_total":
		return p.total(nv.value)
	case "_summary":
		return p.summary(nv.value)
	}
	return p.elements(nv.value)
}

// count reads _count. Zero asks for the count alone (R4 search.html#count).
func (p *searchParser) count(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return malformed("_count", "want a number from 0")
	}
	if p.search.Count = min(n, MaxCount); n == 0 {
		p.search.Summary = SummaryCount
	}
	return nil
}

func (p *searchParser) total(value string) error {
	i := slices.Index([]string{TotalNone: "none", TotalEstimate: "estimate", TotalAccurate: "accurate"}, value)
	if i < 0 {
		return malformed("_total", "want none, estimate or accurate")
	}
	p.search.Total = Total(i)
	return nil
}

func (p *searchParser) summary(value string) error {
	i := slices.Index([]string{SummaryFalse: "false", SummaryTrue: "true", SummaryText: "text", SummaryData: "data", SummaryCount: "count"}, value)
	if i < 0 {
		return malformed("_summary", "want true, text, data, count or false")
	}
	if p.search.Count != 0 { // _count=0 stays a count
		p.search.Summary = Summary(i)
	}
	return nil
}

// elements reads _elements: names of base elements of the searched types
// (R4 search.html#elements). A choice element may be named with its type: all of
// it is meant.
func (p *searchParser) elements(value string) error {
	for name := range strings.SplitSeq(value, ",") {
		known := ""
		for _, e := range p.search.Expressions {
			if base := p.catalog.baseElement(e.Type, name); base != "" {
				known = base
			}
		}
		if name = known; known == "" {
			return malformed("_elements", "not the name of a base element of the type")
		}
		if !slices.Contains(p.search.Elements, name) {
			p.search.Elements = append(p.search.Elements, name)
		}
	}
	return nil
}

// sort reads the keys of _sort, a leading - meaning descending
// (R4 search.html#sort).
func (p *searchParser) sort(value string) error {
	var keys []SortKey
	for code := range strings.SplitSeq(value, ",") {
		code, descending := strings.CutPrefix(code, "-")
		if len(keys) == MaxSortKeys {
			return malformed("_sort", fmt.Sprintf("more than %d keys", MaxSortKeys))
		}
		k := SortKey{Code: code, Descending: descending}
		for _, e := range p.search.Expressions {
			param := p.catalog.Parameter(e.Type, code)
			if param == nil {
				return &ParameterError{Parameter: "_sort", Reason: fmt.Sprintf("key %d, for %s", len(keys)+1, e.Type), Err: ErrUnknownParameter}
			}
			if !param.Kind.Sorts() {
				return malformed("_sort", "a "+param.Kind.String()+" such as "+code+" has no order")
			}
			if len(k.Parameters) > 0 && k.Parameters[0].Kind != param.Kind {
				return malformed("_sort", code+" is of another kind in "+e.Type+": they have no common order")
			}
			k.Parameters = append(k.Parameters, param)
		}
		keys = append(keys, k)
	}
	p.search.Sort = keys
	return nil
}

// Sorts reports whether values of the kind have an order that _sort can use.
func (k Kind) Sorts() bool {
	switch k {
	case Number, Date, String, TokenKind, ReferenceKind, QuantityKind, URI:
		return true
	}
	return false
}
