package sealed

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// Guards make "none found, so create" safe (decision 29). Every write that adds
// or removes an identifier bumps its guards; a conditional write expects those
// of its criteria to be unchanged, and bumps them itself, so that of two at
// once one must look again. Criteria that name no identifier share one guard
// per type. A guard depends on no index epoch: epochs change under way.

// guard names a criterion by the never rotated PRF of storage ids; the colon
// keeps it apart from resource types.
func (v *Vault) guard(resourceType, parameter string, parts ...string) repository.Token {
	value := parameter
	for _, p := range parts {
		value += "\x00" + p
	}
	id := v.ring.StorageID("guard:"+resourceType, value)
	return repository.Token(binary.BigEndian.Uint64(id[:])) // #nosec G115 -- a name, not a number
}

// identifies reports whether a parameter finds resources by an identifier of
// their own.
func identifies(p *search.Parameter) bool {
	return p.Kind == search.TokenKind && p.HoldsType("Identifier")
}

// identifierClasses are what must be opened of a type to know its guards.
func (v *Vault) identifierClasses(resourceType string) (classes field.ClassSet) {
	for _, p := range v.catalog.Parameters(resourceType) {
		if identifies(p) {
			classes |= p.Needs(search.NoModifier)
		}
	}
	return classes
}

// guards are those of a resource's identifiers: one for each form in which a
// condition may name them.
func (v *Vault) guards(r *fhir.Resource) []repository.Token {
	var ts []repository.Token
	for _, p := range v.catalog.Parameters(r.Type()) {
		if !identifies(p) {
			continue
		}
		v.catalog.Extract(p, r, func(value *search.Value) bool {
			code := search.FoldCode(value.Code)
			ts = append(ts, v.guard(r.Type(), p.Code, "code", code), v.guard(r.Type(), p.Code, "both", value.System, code),
				v.guard(r.Type(), p.Code, "system", value.System))
			return true
		})
	}
	return ts
}

// guardsOf are the guards of a stored version.
func (v *Vault) guardsOf(s *Stored) ([]repository.Token, error) {
	classes := v.identifierClasses(s.Record.Key.Type)
	if s.Record.Deleted || classes == 0 {
		return nil, nil
	}
	r, err := v.Open(s, classes)
	if err != nil {
		return nil, err
	}
	return v.guards(r), nil
}

// ExistsGuard is bumped when a resource is deleted, ReferredGuard when a
// reference to it is written.
func (v *Vault) ExistsGuard(k repository.Key) repository.Token {
	return v.guard(k.Type, "exists:", string(k.ID[:]))
}

// ReferredGuard is the other half of ExistsGuard.
func (v *Vault) ReferredGuard(k repository.Key) repository.Token {
	return v.guard(k.Type, "referred:", string(k.ID[:]))
}

// Identifiers are the guards of the identifiers of a resource.
func (v *Vault) Identifiers(r *fhir.Resource) []repository.Token { return v.guards(r) }

// Named are the guards of the identifiers that criteria name. What matches has
// one of them; without any, the criteria name no identifier.
func (v *Vault) Named(e *search.Expression) (named []repository.Token) {
	for _, c := range e.Conditions {
		if c.Link != nil || c.Modifier != search.NoModifier || !identifies(c.Parameter) {
			continue
		}
		for i := range c.Operands {
			named = append(named, v.operandGuard(e.Type, c.Parameter.Code, &c.Operands[i]))
		}
	}
	return named
}

// PlanGuards reads the guards under which "no match" stays true, and names
// those that the write must bump. It must be called before the search.
func (v *Vault) PlanGuards(ctx context.Context, e *search.Expression) (expect []repository.Guard, bump []repository.Token, err error) {
	bump = v.Named(e)
	if len(bump) == 0 {
		bump = []repository.Token{v.guard(e.Type, "condition:")}
	}
	slices.Sort(bump)
	bump = slices.Compact(bump)
	expect, err = v.store.Guards(ctx, bump)
	return expect, bump, err
}

func (v *Vault) operandGuard(resourceType, parameter string, o *search.Operand) repository.Token {
	code := search.FoldCode(o.Code)
	switch o.Form {
	case search.AnyValue:
		return v.guard(resourceType, parameter, "system", o.System)
	case search.Exact:
		return v.guard(resourceType, parameter, "both", o.System, code)
	}
	return v.guard(resourceType, parameter, "code", code)
}
