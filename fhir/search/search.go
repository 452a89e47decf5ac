// Package search parses and answers searches on what identifies a resource:
// parameters whose element is an Identifier, and _id. That is what
// conditional references and conditional creation are made of.
//
// Start with New, then Parameters.Parse (query text to Query),
// Parameters.Extract (resource to index terms) and Parameters.Match (the exact
// recheck on opened values: an index may over-select, it never decides).
//
// Security notes: queries are patient data. No error, and no String method,
// contains a value. Limits stop a query before it costs work.
package search

import (
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

// ID is the parameter of the logical id (R4 search.html#all).
const ID = "_id"

// Parameters knows which parameters every type offers. It is immutable and
// safe for concurrent use.
type Parameters struct {
	reg   *definition.Registry
	types map[string][]parameter
}

// parameter is one identifier parameter of one type.
type parameter struct {
	code  string
	paths []simplepath.Path
}

// New finds the parameters of type token whose every path leads to an
// Identifier.
func New(reg *definition.Registry) (*Parameters, error) {
	ps := &Parameters{reg: reg, types: map[string][]parameter{}}
	for _, typ := range reg.ResourceTypes() {
		for _, sp := range reg.SearchParameters(typ) {
			if sp.Type != "token" {
				continue
			}
			paths, err := simplepath.Parse(sp.Expression, typ)
			if err != nil || !identifiers(reg, paths) {
				continue
			}
			ps.types[typ] = append(ps.types[typ], parameter{sp.Code, paths})
		}
	}
	if len(ps.types) == 0 {
		return nil, fmt.Errorf("search: definitions hold no identifier parameter")
	}
	return ps, nil
}

// identifiers reports whether every path leads to an element of type
// Identifier.
func identifiers(reg *definition.Registry, paths []simplepath.Path) bool {
	for _, p := range paths {
		at := reg.Type(p.Type)
		for _, name := range p.Members {
			if at == nil {
				return false
			}
			_, at = at.Lookup(name)
		}
		if at == nil || at.Name != "Identifier" {
			return false
		}
	}
	return len(paths) > 0
}

// Offered lists the parameters of the type, sorted, _id among them; nil when
// the type is unknown.
func (ps *Parameters) Offered(resourceType string) []string {
	if !ps.reg.IsResource(resourceType) {
		return nil
	}
	codes := []string{ID}
	for _, p := range ps.types[resourceType] {
		codes = append(codes, p.code)
	}
	slices.Sort(codes)
	return codes
}

// Reads lists the paths below the type that the parameter reads, for the
// question whether a caller may ask it. It is nil for _id and for what is not
// offered.
func (ps *Parameters) Reads(resourceType, code string) []simplepath.Path {
	p := ps.find(resourceType, code)
	if p == nil {
		return nil
	}
	return p.paths
}

func (ps *Parameters) find(resourceType, code string) *parameter {
	for i := range ps.types[resourceType] {
		if p := &ps.types[resourceType][i]; p.code == code {
			return p
		}
	}
	return nil
}
