package interaction

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// guardDeletion refuses to delete what others refer to by an element that a
// search parameter reads, unless the same commit deletes or rewrites them. The
// refusal names the types of those that the caller may read.
func (s *Service) guardDeletion(ctx context.Context, c Call, st *sealed.Stored, ch *change) error {
	key := st.Record.Key
	if s.Integrity.OnWrite {
		ch.bump = append(ch.bump, s.Vault.ExistsGuard(key))
	}
	if !s.Integrity.OnDelete {
		return nil
	}
	held, err := s.Store.Guards(ctx, []repository.Token{s.Vault.ReferredGuard(key)})
	if err != nil {
		return err
	}
	ch.expect = append(ch.expect, held...)
	x := s.newFinder(c, within{})
	hidden := false
	var types []string
	for _, typ := range s.Definitions.ResourceTypes() {
		if typ == auditEvent {
			continue
		}
		found, visible, err := x.refers(ctx, typ, st)
		if err != nil {
			return err
		}
		hidden = hidden || found && !visible
		if visible {
			types = append(types, typ)
		}
	}
	switch {
	case len(types) > 0:
		return fail(Conflict, nil, "the resource is referred to by resources of the type %s; delete or change them first", strings.Join(types, ", "))
	case hidden:
		return fail(Conflict, nil, "the resource is referred to by other resources")
	}
	return nil
}

// refers reports whether any resource of a type refers to the target, and
// whether one of them may be read by the caller.
func (x *finder) refers(ctx context.Context, resourceType string, target *sealed.Stored) (found, visible bool, err error) {
	var ps []*search.Parameter
	for _, p := range x.Catalog.Parameters(resourceType) {
		if p.Kind == search.ReferenceKind && p.Covering == "" && p.LeadsTo(target.Record.Key.Type) {
			ps = append(ps, p)
		}
	}
	if len(ps) == 0 {
		return false, false, nil
	}
	q, err := x.referrers(ctx, resourceType, ps, target)
	if err != nil {
		return false, false, err
	}
	for {
		page, err := x.Store.Find(ctx, q)
		if err != nil {
			return found, false, err
		}
		for _, rec := range page.Records {
			if x.checked++; x.checked > maxCandidates {
				return found, false, tooCostly(&search.Expression{Type: resourceType})
			}
			f, v, err := x.refersFrom(ctx, ps, rec, target)
			if found = found || f; err != nil || v {
				return found, v, err
			}
		}
		if page.Next == "" {
			return found, false, nil
		}
		q.After = page.Next
	}
}

// referrers asks for the resources of a type that may refer to the target by any
// of the parameters: by the tokens of all of them, or, when one has none, for
// every resource of the type.
func (x *finder) referrers(ctx context.Context, resourceType string, ps []*search.Parameter, target *sealed.Stored) (repository.Query, error) {
	every := repository.Query{Type: resourceType, Limit: candidatePage}
	var tokens []repository.Token
	for _, p := range ps {
		e := &search.Expression{Type: resourceType, Conditions: []*search.Condition{{Name: p.Code, Parameter: p,
			Operands: []search.Operand{{Type: target.Record.Key.Type, ID: target.Head.ID}}}}}
		plan, err := x.Vault.Plan(ctx, e, sealed.Scope{})
		if err != nil {
			return every, err
		}
		if len(plan.Query.All) != 1 {
			return every, nil
		}
		tokens = append(tokens, plan.Query.All[0]...)
	}
	slices.Sort(tokens)
	q := every
	q.All = [][]repository.Token{slices.Compact(tokens)}
	return q, nil
}

// refersFrom looks at one candidate with the server's eyes, and decides what
// the caller may know of it.
func (x *finder) refersFrom(ctx context.Context, ps []*search.Parameter, rec repository.Record, target *sealed.Stored) (found, visible bool, err error) {
	st, err := x.Vault.Adopt(ctx, rec)
	if errors.Is(err, sealed.ErrErased) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	typ, id := target.Record.Key.Type, target.Head.ID
	self := rec.Key.Type + "/" + st.Head.ID
	if self == typ+"/"+id || x.call.together.deletes(self) || x.call.together.writes(self) {
		return false, false, nil
	}
	var needs field.ClassSet
	for _, p := range ps {
		needs |= p.Needs(search.NoModifier)
	}
	tree, err := x.Vault.Open(st, needs)
	if err != nil {
		return false, false, err
	}
	for _, p := range ps {
		x.Catalog.Extract(p, tree, func(v *search.Value) bool {
			found = v.Type == typ && v.ID == id
			return !found
		})
		if found {
			break
		}
	}
	if !found {
		return false, false, nil
	}
	g, err := x.grant(ctx, authz.Read, rec.Key.Type)
	if isDenied(err) {
		return true, false, nil
	}
	return true, err == nil && x.visible(ctx, g, st) != 0, err
}
