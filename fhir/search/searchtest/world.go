// Package searchtest answers FHIR searches by looking at every resource. It is
// written from the R4 specification for tests to compare the server with: plain
// decoded JSON, math/big, package time and regular expressions, no index, no
// code of fhir/search. It is slow, trusts its queries to be well formed, and
// must be imported from _test.go files only.
//
// Start with New, World.Add and World.Answer.
package searchtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Terminology decides about codes; it is no part of what is compared.
type Terminology interface {
	Contains(ctx context.Context, valueSet, system, code string) (bool, error)
	Subsumes(ctx context.Context, system, ancestor, descendant string) (bool, error)
}

// World is every resource that one caller may read, as read.
type World struct {
	Definitions *definition.Registry
	Terminology Terminology
	Bases       []string
	Now         time.Time // what ap measures from

	byType map[string][]*Resource
	byRef  map[string]*Resource
	memo   map[string]map[string]bool // of the question under way
}

// Resource is one resource in clear.
type Resource struct {
	Ref, Type, ID string
	root          map[string]any
	found         map[string][]element // by parameter
}

// New returns an empty world.
func New(reg *definition.Registry, terms Terminology, bases ...string) *World {
	return &World{Definitions: reg, Terminology: terms, Bases: bases, Now: time.Now(), byType: map[string][]*Resource{}, byRef: map[string]*Resource{}}
}

// Add takes a resource as JSON.
func (w *World) Add(text []byte) *Resource {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	r := &Resource{found: map[string][]element{}}
	if err := d.Decode(&r.root); err != nil {
		panic(err)
	}
	r.Type, r.ID = textOf(r.root["resourceType"]), textOf(r.root["id"])
	r.Ref = r.Type + "/" + r.ID
	w.byType[r.Type] = append(w.byType[r.Type], r)
	w.byRef[r.Ref] = r
	return r
}

// All lists the resources in the order in which they were added.
func (w *World) All() (all []*Resource) {
	for _, typ := range w.Definitions.ResourceTypes() {
		all = append(all, w.byType[typ]...)
	}
	return all
}

// Find returns the resource of a reference such as Patient/1, or nil.
func (w *World) Find(ref string) *Resource { return w.byRef[ref] }

// Result is what a search finds, as references.
type Result struct {
	Matches, Included []string // sorted
	// Sort is what the matches must be ordered by, empty for any order.
	Sort string
}

// Answer answers "Type?query", "Type/id/Type?query", "Type/id/*?query" or
// "?query".
func (w *World) Answer(target string) Result {
	w.memo = map[string]map[string]bool{}
	path, rawQuery, _ := strings.Cut(target, "?")
	pairs := decode(rawQuery)
	types, member := w.where(path, pairs)
	var r Result
	for _, typ := range types {
		for _, res := range w.byType[typ] {
			if member(res) && w.all(res, pairs) {
				r.Matches = append(r.Matches, res.Ref)
			}
		}
	}
	for _, nv := range pairs {
		if nv.name == "_sort" {
			r.Sort = nv.value
		}
	}
	r.Included = w.include(r.Matches, pairs)
	slices.Sort(r.Matches)
	return r
}

type pair struct{ name, value string }

func decode(rawQuery string) (pairs []pair) {
	for _, p := range strings.FieldsFunc(rawQuery, func(r rune) bool { return r == '&' }) {
		name, value, _ := strings.Cut(p, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			panic("bad escape in " + p)
		}
		pairs = append(pairs, pair{n, v})
	}
	return pairs
}

// where reads the path: which types, and which of their resources.
func (w *World) where(path string, pairs []pair) (types []string, member func(*Resource) bool) {
	everywhere := func(*Resource) bool { return true }
	seg := strings.Split(path, "/")
	switch {
	case path == "":
		types = w.Definitions.ResourceTypes()
		for _, nv := range pairs {
			if nv.name == "_type" {
				types = strings.Split(nv.value, ",")
			}
		}
		return types, everywhere
	case len(seg) == 1:
		return seg, everywhere
	}
	types = seg[2:]
	if seg[2] == "*" {
		types = w.Definitions.ResourceTypes()
	}
	return types, func(r *Resource) bool { return w.lies(r, seg[0], seg[1]) }
}

// lies reports whether a resource is a member of a compartment (R4
// compartmentdefinition.html). What it is named after is.
func (w *World) lies(r *Resource, code, id string) bool {
	return r.Ref == code+"/"+id || slices.ContainsFunc(w.Definitions.Compartment(code).Params(r.Type), func(param string) bool {
		return param != "{def}" && w.Definitions.SearchParameter(r.Type, param) != nil && slices.Contains(w.targets(r, param), code+"/"+id)
	})
}

// shapes are the parameters that select nothing.
var shapes = []string{"_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_type"}

// all: every parameter is a condition, and all must hold (R4
// search.html#combining).
func (w *World) all(r *Resource, pairs []pair) bool {
	return !slices.ContainsFunc(pairs, func(nv pair) bool {
		code, _, _ := strings.Cut(nv.name, ":")
		return !slices.Contains(shapes, code) && !w.matching(r.Type, nv.name, nv.value)[r.Ref]
	})
}

// matching are the resources of a type for which one condition holds.
func (w *World) matching(typ, name, value string) map[string]bool {
	key := typ + "\x00" + name + "\x00" + value
	if set, ok := w.memo[key]; ok {
		return set
	}
	set := map[string]bool{}
	w.memo[key] = set
	if rest, ok := strings.CutPrefix(name, "_has:"); ok { // R4 search.html#has
		parts := strings.SplitN(rest, ":", 3)
		for ref := range w.matching(parts[0], parts[2], value) {
			for _, to := range w.targets(w.byRef[ref], parts[1]) {
				if found := w.byRef[to]; found != nil && found.Type == typ {
					set[to] = true
				}
			}
		}
		return set
	}
	head, rest, chained := strings.Cut(name, ".")
	for _, r := range w.byType[typ] {
		if chained {
			set[r.Ref] = w.chain(r, head, rest, value)
		} else {
			set[r.Ref] = w.compare(r, head, value)
		}
	}
	for ref, holds := range set {
		if !holds {
			delete(set, ref)
		}
	}
	return set
}

// chain: one of what is referred to has what the rest asks for (R4
// search.html#chaining).
func (w *World) chain(r *Resource, head, rest, value string) bool {
	code, typ, typed := strings.Cut(head, ":")
	return slices.ContainsFunc(w.targets(r, code), func(ref string) bool {
		to := w.byRef[ref]
		return to != nil && (!typed || to.Type == typ) && w.knows(to.Type, rest) && w.matching(to.Type, rest, value)[ref]
	})
}

func (w *World) knows(typ, name string) bool {
	code := name[:min(len(name), strings.IndexFunc(name+":", func(r rune) bool { return r == ':' || r == '.' }))]
	return code == "_has" || w.Definitions.SearchParameter(typ, code) != nil
}

// targets are the local resources that a reference parameter leads to.
func (w *World) targets(r *Resource, code string) (refs []string) {
	for _, e := range w.elements(r, code) {
		if ref := w.local(w.referenceText(e)); ref != "" {
			refs = append(refs, ref)
		}
	}
	return refs
}

// compare decides a condition without links.
func (w *World) compare(r *Resource, head, value string) bool {
	code, modifier, _ := strings.Cut(head, ":")
	sp := w.Definitions.SearchParameter(r.Type, code)
	if sp == nil {
		panic(fmt.Sprintf("%s has no parameter %s", r.Type, code))
	}
	found := w.elements(r, code)
	if modifier == "missing" { // R4 search.html#modifiers
		return (value == "true") != slices.ContainsFunc(found, func(e element) bool { return w.valued(sp.Type, e) })
	}
	any := slices.ContainsFunc(split(value, ','), func(alternative string) bool {
		q := question{w: w, r: r, sp: sp, kind: sp.Type, modifier: strings.TrimPrefix(modifier, "not-"), text: alternative}
		if modifier == "not" {
			q.modifier = ""
		}
		return slices.ContainsFunc(found, q.accepts)
	})
	return any != (modifier == "not" || modifier == "not-in")
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

// Holds reports whether a resource, which need not be in the world, satisfies
// the conditions of a query that follows no references.
func (w *World) Holds(r *Resource, query string) bool {
	return !slices.ContainsFunc(decode(query), func(nv pair) bool { return !w.compare(r, nv.name, nv.value) })
}

// Compartments are the compartments of a kind ("Patient") that hold a resource.
func (w *World) Compartments(r *Resource, code string) (refs []string) {
	if r.Type == code {
		refs = append(refs, r.Ref)
	}
	for _, param := range w.Definitions.Compartment(code).Params(r.Type) {
		if param == "{def}" || w.Definitions.SearchParameter(r.Type, param) == nil {
			continue
		}
		for _, to := range w.targets(r, param) {
			if strings.HasPrefix(to, code+"/") && !slices.Contains(refs, to) {
				refs = append(refs, to)
			}
		}
	}
	return refs
}

// Targets are the local resources to which a reference parameter leads.
func (w *World) Targets(r *Resource, code string) []string { return w.targets(r, code) }
