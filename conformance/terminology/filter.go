package terminology

import (
	"regexp"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// filter is one compiled compose.include.filter (R4 valueset-filter-operator.html).
type filter struct {
	property, op, value string
	pattern             *regexp.Regexp  // of regex: matches whole values
	values              map[string]bool // of in and not-in
}

// maxPattern bounds the text of a pattern in bytes. The official ones have
// less than 100.
const maxPattern = 2000

func compileFilter(n *fhir.Node, owner string) (filter, error) {
	f := filter{
		property: n.Member("property").Text(),
		op:       n.Member("op").Text(),
		value:    n.Member("value").Text(),
	}
	switch f.op {
	case "regex":
		var err error
		if len(f.value) > maxPattern {
			return f, fail(ErrTooCostly, owner, "the pattern of a filter is too long")
		}
		if f.pattern, err = regexp.Compile(`^(?:` + f.value + `)$`); err != nil {
			return f, fail(ErrInvalid, owner, "the pattern of a filter is none")
		}
	case "in", "not-in":
		f.values = map[string]bool{}
		for v := range strings.SplitSeq(f.value, ",") {
			f.values[strings.TrimSpace(v)] = true
		}
	case "exists":
		if f.value != "true" && f.value != "false" {
			return f, fail(ErrInvalid, owner, "an exists filter needs true or false")
		}
	}
	if f.property == "" || f.op == "" || f.value == "" {
		return f, fail(ErrInvalid, owner, "a filter lacks its property, operator or value")
	}
	return f, nil
}

// match reports whether the filter selects the concept.
func (c *call) match(cs *codeSystem, f *filter, i int32) (bool, error) {
	if err := c.visit(1); err != nil {
		return false, err
	}
	switch f.op {
	case "is-a", "descendent-of", "is-not-a", "generalizes":
		return c.matchHierarchy(cs, f, i)
	case "=", "regex", "in", "not-in", "exists":
		values, err := cs.values(f.property, i)
		if err != nil {
			return false, err
		}
		return f.matchValues(values), nil
	}
	return false, fail(ErrNotSupported, cs.url, "an operator of a filter is not one of R4")
}

// matchHierarchy compares positions. The property of these operators is the
// concept itself; a relation by another property is not evaluated.
func (c *call) matchHierarchy(cs *codeSystem, f *filter, i int32) (bool, error) {
	if f.property != "concept" && f.property != "code" {
		return false, fail(ErrNotSupported, cs.url, "a filter asks for a hierarchy of another property than concept")
	}
	if err := cs.subsumable(); err != nil {
		return false, err
	}
	base, ok := cs.find(f.value)
	if !ok && !cs.complete {
		return false, fail(ErrNotSupported, cs.url, "only a part of the code system is held")
	}
	if !ok {
		return false, fail(ErrInvalid, cs.url, "a filter names a code that the code system does not have")
	}
	low, high := i, base
	if f.op == "generalizes" {
		low, high = base, i
	}
	is, err := c.isA(cs, low, high)
	if err == nil && !is && !cs.complete {
		err = fail(ErrNotSupported, cs.url, "only a part of the code system is held")
	}
	switch f.op {
	case "is-not-a":
		is = !is
	case "descendent-of":
		is = is && i != base
	}
	return is, err
}

// matchValues compares the values of a property of one concept.
func (f *filter) matchValues(values []string) bool {
	switch f.op {
	case "=":
		return slices.Contains(values, f.value)
	case "regex":
		return slices.ContainsFunc(values, f.pattern.MatchString)
	case "in":
		return slices.ContainsFunc(values, func(v string) bool { return f.values[v] })
	case "not-in":
		return !slices.ContainsFunc(values, func(v string) bool { return f.values[v] })
	default: // exists
		return (len(values) > 0) == (f.value == "true")
	}
}

// values lists what a concept has for a filter's property.
func (cs *codeSystem) values(name string, i int32) ([]string, error) {
	c := &cs.concepts[i]
	switch name {
	case "code", "concept":
		return []string{c.code}, nil
	case "display":
		return nonEmpty(c.display), nil
	case "parent":
		return cs.codes(cs.parents[i]), nil
	case "child":
		return cs.codes(cs.children[i]), nil
	}
	var out []string
	for _, p := range c.properties {
		if p.code == name {
			out = append(out, p.value)
		}
	}
	if _, ok := cs.declared[name]; !ok && len(out) == 0 && cs.meaning(name) == "" {
		return nil, fail(ErrNotSupported, cs.url, "a filter asks for a property that the code system does not declare")
	}
	return out, nil
}

func (cs *codeSystem) codes(list []int32) []string {
	out := make([]string, len(list))
	for n, i := range list {
		out[n] = cs.concepts[i].code
	}
	return out
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
