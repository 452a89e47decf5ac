package search

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// ParseOptions say how a search is read.
type ParseOptions struct {
	// Lenient leaves out what is unknown or not offered, with a warning in
	// Search.Ignored (Prefer: handling=lenient, decision 27). Bad values and
	// modifiers are refused all the same: R4 search.html#modifiers demands it.
	Lenient bool
	// Bases are base URLs of this server besides those of Catalog.WithBases: an
	// absolute reference below one of them means the local resource.
	Bases []string
}

// ParseSearch reads the query part of a URL, or the body of POST _search.
//
// One type makes a search of that type. With none it is a search of the whole
// system: _type in the query names the types, and without it all of them are
// searched. Several types are the ones that _type may choose from. A parameter
// must be known for every searched type (R4 search.html#all).
//
// Repeated parameters are conditions that must all hold, commas separate
// alternatives (R4 search.html#combining). Every error is a *ParameterError.
// ParseSearch may be called concurrently; its result is for reading only.
func (c *Catalog) ParseSearch(types []string, rawQuery string, o ParseOptions) (*Search, error) {
	pairs, err := cutQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	p := &searchParser{catalog: c, bases: slices.Concat(c.bases, o.Bases), search: &Search{Count: -1}}
	if err := p.chooseTypes(types, pairs); err != nil {
		return nil, err
	}
	var used []string
	for _, nv := range pairs {
		err := p.add(nv)
		if err != nil && o.Lenient && (errors.Is(err, ErrUnknownParameter) || errors.Is(err, ErrNotOffered)) {
			p.ignore(err)
			continue
		}
		if err != nil {
			return nil, err
		}
		used = append(used, nv.raw)
	}
	p.search.Used = strings.Join(used, "&")
	return p.search, p.circles()
}

// ParseConditions reads the criteria of a conditional interaction
// (If-None-Exist, a conditional reference, update or delete): at least one
// condition, and nothing that only shapes an answer. It is never lenient: a
// criterion left out would select more than the client meant
// (R4 http.html#ccreate).
func (c *Catalog) ParseConditions(resourceType, rawQuery string) (*Expression, error) {
	pairs, err := cutQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	for _, nv := range pairs {
		if shapesAnswer(nv.code()) {
			return nil, malformed(nv.name, "has no meaning in a condition")
		}
	}
	s, err := c.ParseSearch([]string{resourceType}, rawQuery, ParseOptions{})
	if err != nil {
		return nil, err
	}
	if len(s.Expressions[0].Conditions) == 0 {
		return nil, malformed("", "a condition names at least one parameter")
	}
	return s.Expressions[0], nil
}

// nameValue is one decoded pair of a query.
type nameValue struct {
	name, value string
	raw         string // as it was sent
}

// code is the name without modifier and chain.
func (nv nameValue) code() string {
	if i := strings.IndexAny(nv.name, ":."); i >= 0 {
		return nv.name[:i]
	}
	return nv.name
}

func cutQuery(rawQuery string) ([]nameValue, error) {
	if len(rawQuery) > MaxQueryBytes {
		return nil, malformed("", fmt.Sprintf("query is longer than %d bytes", MaxQueryBytes))
	}
	var pairs []nameValue
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, err := unescapePair(pair)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, nameValue{name, value, pair})
	}
	return pairs, nil
}

// malformed makes the error for a value that cannot be read.
func malformed(name, reason string) *ParameterError {
	if name != "" {
		name = printable(name)
	}
	return &ParameterError{Parameter: name, Reason: reason, Err: ErrMalformed}
}

// searchParser is one run of ParseSearch.
type searchParser struct {
	catalog *Catalog
	bases   []string
	search  *Search
	once    []string // result parameters seen, which may not be repeated
	values  int      // alternatives so far, against MaxValues
	nodes   int      // expressions of chains so far, against MaxExpressions
}

// ignore turns an error into the warning that lenient handling answers with.
func (p *searchParser) ignore(err error) {
	p.warn("not-supported", "ignored: "+err.Error())
}

func (p *searchParser) warn(code, text string) {
	p.search.Ignored = append(p.search.Ignored, fhir.Issue{Severity: fhir.Warning, Code: code, Diagnostics: text})
}

// chooseTypes fixes the searched types.
func (p *searchParser) chooseTypes(types []string, pairs []nameValue) error {
	for _, t := range types {
		if !p.catalog.isResource(t) {
			return malformed("", "unknown resource type")
		}
	}
	listed := false
	chosen := types
	for _, nv := range pairs {
		if nv.name != "_type" {
			continue
		}
		if listed {
			return malformed("_type", "stands twice")
		}
		if len(types) == 1 {
			return malformed("_type", "belongs to a search of the whole system")
		}
		listed, chosen = true, nil
		for t := range strings.SplitSeq(nv.value, ",") {
			switch {
			case !p.catalog.isResource(t):
				return malformed("_type", "unknown resource type")
			case len(types) > 0 && !slices.Contains(types, t):
				return malformed("_type", "a type that cannot be searched here")
			case !slices.Contains(chosen, t):
				chosen = append(chosen, t)
			}
		}
	}
	if len(chosen) == 0 {
		p.search.Everything, chosen = true, p.catalog.resourceTypes()
	}
	for _, t := range chosen {
		p.search.Expressions = append(p.search.Expressions, &Expression{Type: t})
	}
	return nil
}

// add reads one parameter.
func (p *searchParser) add(nv nameValue) error {
	code := nv.code()
	switch {
	case code == "_format" || code == "_pretty" || code == "_type" && nv.name == code:
		return nil
	case code == "_contained" && nv.value == "false": // the default
		return nil
	case notOffered(code):
		return &ParameterError{Parameter: code, Err: ErrNotOffered}
	case shapesAnswer(code):
		return p.shape(code, nv)
	}
	alternatives := split(nv.value, ',')
	if p.values += len(alternatives); p.values > MaxValues {
		return &ParameterError{Parameter: p.shown(nv), Reason: fmt.Sprintf("more than %d values", MaxValues), Err: ErrMalformed}
	}
	added := make([]*Condition, len(p.search.Expressions))
	for i, e := range p.search.Expressions {
		r := conditionParser{searchParser: p, name: p.shown(nv), alternatives: alternatives}
		c, err := r.condition(e.Type, nv.name, 0)
		if err != nil {
			return err
		}
		added[i] = c
	}
	for i, e := range p.search.Expressions { // all or none, so that lenient handling leaves none behind
		e.Conditions = append(e.Conditions, added[i])
	}
	return nil
}

// shown is the name as an error may repeat it. Of a long chain that is its
// first parameter, when the searched types know it.
func (p *searchParser) shown(nv nameValue) string {
	code := nv.code()
	if len(nv.name) > maxNameBytes && (code == "_has" || p.catalog.Parameter(p.search.Expressions[0].Type, code) != nil) {
		return code + nv.name[len(code):][:1] + "…"
	}
	return printable(nv.name)
}

// notOffered lists what R4 defines for every type and this server does not
// answer: full text, lists, named queries, the _filter language, and searching
// inside contained resources.
func notOffered(code string) bool {
	switch code {
	case "_filter", "_text", "_content", "_query", "_list", "_contained", "_containedType":
		return true
	}
	return false
}

// shapesAnswer lists the parameters that select nothing (R4
// search.html#return).
func shapesAnswer(code string) bool {
	switch code {
	case "_count", "_sort", "_total", "_summary", "_elements", "_include", "_revinclude", "_type":
		return true
	}
	return false
}

// EscapeQuery writes a pair of a query so that ParseSearch reads the value
// back as one literal alternative.
func EscapeQuery(name, value string) string { return url.QueryEscape(name) + "=" + Escape(value) }
