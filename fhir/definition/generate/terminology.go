package main

import (
	"fmt"
	"slices"
	"strings"
)

type codeSystemJSON struct {
	Content       string        `json:"content"`
	CaseSensitive bool          `json:"caseSensitive"`
	Concept       []conceptJSON `json:"concept"`
}

type conceptJSON struct {
	Code    string        `json:"code"`
	Concept []conceptJSON `json:"concept"`
}

type valueSetJSON struct {
	Compose *struct {
		Include []includeJSON `json:"include"`
		Exclude []includeJSON `json:"exclude"`
	} `json:"compose"`
	Expansion *struct {
		Extension []extensionJSON `json:"extension"`
		Contains  []containsJSON  `json:"contains"`
	} `json:"expansion"`
}

type includeJSON struct {
	System   string        `json:"system"`
	Concept  []conceptJSON `json:"concept"`
	Filter   []any         `json:"filter"`
	ValueSet []string      `json:"valueSet"`
}

type containsJSON struct {
	System   string         `json:"system"`
	Code     string         `json:"code"`
	Contains []containsJSON `json:"contains"`
}

// codesBySystem collects the codes of one value set.
type codesBySystem map[string]map[string]bool

func (c codesBySystem) add(system, code string) {
	if c[system] == nil {
		c[system] = map[string]bool{}
	}
	c[system][code] = true
}

// buildValueSets enumerates every value set that a required binding names. One
// that cannot be enumerated is left out, so that the registry answers nil.
func buildValueSets(types []*typeDef, b *bundles) ([]*valueSetDef, error) {
	urls := map[string]bool{}
	for _, t := range types {
		for _, e := range t.elements {
			if e.strength == "required" {
				url, _, _ := strings.Cut(e.valueSet, "|")
				urls[url] = true
			}
		}
	}
	var out []*valueSetDef
	for url := range urls {
		codes, ok, err := enumerate(url, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		if ok {
			out = append(out, sortedValueSet(url, codes))
		}
	}
	slices.SortFunc(out, func(a, b *valueSetDef) int { return strings.Compare(a.url, b.url) })
	return out, nil
}

func enumerate(url string, b *bundles) (codesBySystem, bool, error) {
	vs := b.valueSets[url]
	if vs == nil || vs.Compose == nil {
		return nil, false, nil
	}
	if len(vs.Compose.Exclude) > 0 {
		return nil, false, fmt.Errorf("exclude is not supported")
	}
	codes := codesBySystem{}
	for _, inc := range vs.Compose.Include {
		if len(inc.Filter) > 0 || len(inc.ValueSet) > 0 {
			return nil, false, fmt.Errorf("filter and valueSet are not supported")
		}
		if !include(codes, inc, b) {
			return fromExpansion(url, b)
		}
	}
	return codes, true, nil
}

// include adds one compose.include; false when its code system is not at hand.
func include(codes codesBySystem, inc includeJSON, b *bundles) bool {
	concepts := inc.Concept
	if len(concepts) == 0 {
		cs := b.codeSystems[inc.System]
		if cs == nil || cs.Content != "complete" || !cs.CaseSensitive {
			return false
		}
		concepts = cs.Concept
	}
	var walk func([]conceptJSON)
	walk = func(list []conceptJSON) {
		for _, c := range list {
			codes.add(inc.System, c.Code)
			walk(c.Concept)
		}
	}
	walk(concepts)
	return true
}

// fromExpansion takes the official expansion if it is complete: those marked
// too costly or unclosed list a part only, or nothing.
func fromExpansion(url string, b *bundles) (codesBySystem, bool, error) {
	vs := b.expansions[url]
	if vs == nil || vs.Expansion == nil || len(vs.Expansion.Contains) == 0 {
		return nil, false, nil
	}
	for _, x := range vs.Expansion.Extension {
		if name := tail(x.URL); name == "valueset-toocostly" || name == "valueset-unclosed" {
			return nil, false, nil
		}
	}
	codes := codesBySystem{}
	var walk func([]containsJSON)
	walk = func(list []containsJSON) {
		for _, c := range list {
			if c.Code != "" {
				codes.add(c.System, c.Code)
			}
			walk(c.Contains)
		}
	}
	walk(vs.Expansion.Contains)
	return codes, true, nil
}

func sortedValueSet(url string, codes codesBySystem) *valueSetDef {
	d := &valueSetDef{url: url}
	for system, set := range codes {
		s := systemDef{url: system}
		for c := range set {
			s.codes = append(s.codes, c)
		}
		slices.Sort(s.codes)
		d.systems = append(d.systems, s)
	}
	slices.SortFunc(d.systems, func(a, b systemDef) int { return strings.Compare(a.url, b.url) })
	return d
}
