// Package definition is the immutable registry of the official FHIR R4 (4.0.1)
// definitions: types and elements, search parameters, compartments, operations
// and the value sets of required bindings.
//
// Start with Default, then Type.Lookup, which answers what a JSON member name
// means inside an object. Everything is built once from an embedded blob
// (docs/format/definitions.md), never changes, and may be read concurrently.
// Returned slices and structs belong to the registry: do not modify them.
//
// The registry holds no patient data. Names and element paths are stable: the
// encryption policy and stored records are keyed by them.
package definition

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./generate -src $FHIR_R4_DEFINITIONS -out definitions.bin.zst

//go:embed definitions.bin.zst
var embedded []byte

// Registry holds the definitions of one FHIR version.
type Registry struct {
	types        []*Type // sorted by name
	byName       map[string]*Type
	resources    []string
	params       []*SearchParameter
	paramsOf     map[string][]*SearchParameter
	compartments []*Compartment
	operations   []*Operation
	valueSets    map[string]*ValueSet
}

var load = sync.OnceValue(func() *Registry {
	r, err := decode(embedded)
	if err != nil {
		panic(fmt.Sprintf("definition: embedded definitions: %v", err)) // a broken build
	}
	return r
})

// Default returns the registry of R4 4.0.1. The first call loads it.
func Default() *Registry { return load() }

// ResourceTypes lists the 146 concrete resource types, sorted.
func (r *Registry) ResourceTypes() []string { return r.resources }

// IsResource reports whether name is a concrete resource type.
func (r *Registry) IsResource(name string) bool {
	t := r.byName[name]
	return t != nil && t.Kind == Resource && !t.Abstract
}

// Type returns a resource type, a datatype, or an inner element by its path
// ("Patient.contact"), nil when there is none.
func (r *Registry) Type(name string) *Type { return r.byName[name] }

// Types lists all types sorted by name; Type.Index is the position in it.
func (r *Registry) Types() []*Type { return r.types }

// SearchParameters lists the parameters of a resource type, those inherited
// from Resource and DomainResource included, sorted by code.
func (r *Registry) SearchParameters(resourceType string) []*SearchParameter {
	return r.paramsOf[resourceType]
}

// SearchParameter returns one parameter of a resource type, or nil.
func (r *Registry) SearchParameter(resourceType, code string) *SearchParameter {
	list := r.paramsOf[resourceType]
	i, ok := slices.BinarySearchFunc(list, code, func(p *SearchParameter, code string) int {
		return strings.Compare(p.Code, code)
	})
	if !ok {
		return nil
	}
	return list[i]
}

// AllSearchParameters lists the 1,375 official parameters sorted by URL.
func (r *Registry) AllSearchParameters() []*SearchParameter { return r.params }

// Compartment returns the compartment with the code ("Patient"), or nil.
func (r *Registry) Compartment(code string) *Compartment {
	for _, c := range r.compartments {
		if c.Code == code {
			return c
		}
	}
	return nil
}

// Compartments lists the compartments sorted by code.
func (r *Registry) Compartments() []*Compartment { return r.compartments }

// Operations lists the operations sorted by URL.
func (r *Registry) Operations() []*Operation { return r.operations }

// ValueSet returns a value set that a required binding names, by its URL with
// or without |version. It is nil when no required binding uses it or when its
// codes cannot be enumerated from the definitions: MIME types
// (http://hl7.org/fhir/ValueSet/mimetypes), UCUM units
// (http://hl7.org/fhir/ValueSet/ucum-units) and LOINC's answer list LL379-9.
func (r *Registry) ValueSet(url string) *ValueSet {
	url, _, _ = strings.Cut(url, "|")
	return r.valueSets[url]
}
