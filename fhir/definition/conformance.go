package definition

import (
	"slices"
	"strings"
)

// SearchParameter is one official search parameter.
type SearchParameter struct {
	URL        string
	Code       string // the name in a query
	Type       string // number, date, string, token, reference, composite, quantity, uri, special
	Expression string // FHIRPath; empty for _text, _content, _list … which have none
	Base       []string
	Target     []string // allowed resource types of a reference parameter
	// Modifiers are those that the definition lists; R4 4.0.1 lists none, so
	// the ones of the parameter's type apply (R4 search.html#modifiers).
	Modifiers   []string
	Comparators []string
	Components  []Component // of a composite parameter
	MultipleOr  bool
	MultipleAnd bool
}

// Component is one part of a composite search parameter.
type Component struct {
	Definition string // canonical URL of the part's SearchParameter
	Expression string // relative to the value of the composite's Expression
}

// Compartment is one official compartment.
type Compartment struct {
	Code   string // "Patient"
	URL    string
	params map[string][]string
}

// Params lists the codes of the search parameters that put a resource of the
// type into the compartment; nil when the type is never in it. "{def}" means
// the resource that the compartment is named after, itself.
func (c *Compartment) Params(resourceType string) []string { return c.params[resourceType] }

// Operation is one official operation.
type Operation struct {
	Name, URL, Code        string // Code is the part after $
	System, Type, Instance bool   // where it may be invoked
	AffectsState           bool
	Query                  bool     // a named query, not an operation
	Resources              []string // types on which it may be invoked
	Parameters             []OperationParameter
}

// OperationParameter is one parameter of an Operation.
type OperationParameter struct {
	Name, Use  string // Use is in or out
	Type       string // empty when it has Parts
	SearchType string
	Min, Max   int // Max -1 = *
	Targets    []string
	Parts      []OperationParameter
}

// ValueSet is an enumerated value set.
type ValueSet struct {
	URL     string
	systems []system
}

type system struct {
	url   string
	codes names
}

// Has reports whether the value set contains the code of the system. The code
// systems of all required bindings are case sensitive.
func (v *ValueSet) Has(system, code string) bool {
	for i := range v.systems {
		if v.systems[i].url == system {
			return v.systems[i].codes.find(code) >= 0
		}
	}
	return false
}

// HasCode reports whether the value set contains the code in any system, for
// elements of type code.
func (v *ValueSet) HasCode(code string) bool {
	for i := range v.systems {
		if v.systems[i].codes.find(code) >= 0 {
			return true
		}
	}
	return false
}

// Systems lists the code systems that the value set draws on.
func (v *ValueSet) Systems() []string {
	out := make([]string, len(v.systems))
	for i := range v.systems {
		out[i] = v.systems[i].url
	}
	return out
}

// Codes lists the codes of one of the Systems, sorted.
func (v *ValueSet) Codes(system string) []string {
	for i := range v.systems {
		if v.systems[i].url == system {
			return v.systems[i].codes.list
		}
	}
	return nil
}

// indexParams sorts the search parameters under the concrete types.
func (r *Registry) indexParams() {
	r.paramsOf = make(map[string][]*SearchParameter, len(r.resources))
	byBase := map[string][]*SearchParameter{}
	for _, p := range r.params {
		for _, b := range p.Base {
			byBase[b] = append(byBase[b], p)
		}
	}
	for _, name := range r.resources {
		var list []*SearchParameter
		for t := r.byName[name]; t != nil; t = r.byName[t.Base] {
			list = append(list, byBase[t.Name]...)
		}
		slices.SortFunc(list, func(a, b *SearchParameter) int { return strings.Compare(a.Code, b.Code) })
		r.paramsOf[name] = list
	}
}
