package search

import (
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

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
