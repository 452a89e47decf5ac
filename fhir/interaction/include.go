package interaction

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// maxIncluded bounds what _include and _revinclude add to one page.
const maxIncluded = 1000

// maxRounds bounds :iterate: longer chains of references than that are no help
// to a reader.
const maxRounds = 10

// referenced bounds how many resources one query of _revinclude asks for.
const referenced = 100

// permitInclude refuses what follows a hidden reference. Targets are decided
// one by one.
func (x *finder) permitInclude(ctx context.Context, in search.Include) error {
	for _, p := range x.includeParameters(in, in.Source) {
		if err := x.permitParameter(ctx, p); err != nil {
			if in.Wildcard && (isDenied(err) || failure(err).Kind == Denied) {
				continue // a wildcard asks for what there is to see
			}
			return err
		}
	}
	return nil
}

// includeParameters are the reference parameters that an include follows from
// resources of a type.
func (x *finder) includeParameters(in search.Include, source string) []*search.Parameter {
	if in.Parameter != nil {
		return []*search.Parameter{in.Parameter}
	}
	var ps []*search.Parameter
	for _, p := range x.Catalog.Parameters(source) {
		if p.Kind == search.ReferenceKind {
			ps = append(ps, p)
		}
	}
	return ps
}

// inclusion collects what a page includes, each resource once.
type inclusion struct {
	*finder
	seen  map[repository.Key]bool // matches and included
	names map[string]bool         // canonicals that were followed
	hits  []hit
	fresh []hit // found in the round under way
}

// include adds what the matches refer to, and what refers to them, as far as
// the caller may read it (R4 search.html#include). Every resource is a read
// decision of its own.
func (x *finder) include(ctx context.Context, _ *audit.Event, q *search.Search, matches []hit) ([]hit, error) {
	if len(q.Includes) == 0 || len(matches) == 0 {
		return nil, nil
	}
	n := &inclusion{finder: x, seen: map[repository.Key]bool{}, names: map[string]bool{}}
	for _, h := range matches {
		n.seen[h.stored.Record.Key] = true
	}
	sources := matches
	for round := 0; len(sources) > 0 && round < maxRounds; round++ {
		n.fresh = nil
		for _, in := range q.Includes {
			if round > 0 && !in.Iterate {
				continue
			}
			if err := n.one(ctx, in, sources); err != nil {
				return nil, err
			}
		}
		sources = n.fresh
	}
	return n.hits, nil
}

func (n *inclusion) one(ctx context.Context, in search.Include, sources []hit) error {
	if in.Reverse {
		return n.referring(ctx, in, sources)
	}
	for _, h := range sources {
		typ := h.stored.Record.Key.Type
		if in.Source != "*" && in.Source != typ {
			continue
		}
		for _, p := range n.includeParameters(in, typ) {
			if p.Resource != typ || n.permitParameter(ctx, p) != nil {
				continue
			}
			if err := n.targets(ctx, in, p, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// targets adds what one parameter of one resource refers to.
func (n *inclusion) targets(ctx context.Context, in search.Include, p *search.Parameter, h hit) error {
	tree := h.tree
	if !h.whole {
		var err error
		if tree, err = n.Vault.Open(h.stored, h.mask&p.Needs(search.NoModifier)); err != nil {
			return err
		}
	}
	var failed error
	n.Catalog.Extract(p, tree, func(v *search.Value) bool {
		if v.URL != "" && p.Canonical() {
			failed = n.named(ctx, in, p, v.URL)
			return failed == nil
		}
		if v.ID == "" || in.Target != "" && v.Type != in.Target || !n.Definitions.IsResource(v.Type) {
			return true
		}
		failed = n.read(ctx, n.Vault.Key(v.Type, v.ID))
		return failed == nil
	})
	return failed
}

// read adds a resource when the caller may read it.
func (n *inclusion) read(ctx context.Context, key repository.Key) error {
	if n.seen[key] || key.Type == auditEvent {
		return nil
	}
	n.seen[key] = true
	if n.checked++; n.checked > maxCandidates {
		return tooManyIncluded()
	}
	st, err := n.Vault.Load(ctx, key)
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
		return nil
	}
	if err != nil {
		return err
	}
	return n.add(ctx, st)
}

// add decides on one resource and keeps it.
func (n *inclusion) add(ctx context.Context, st *sealed.Stored) error {
	g, err := n.grant(ctx, authz.Read, st.Record.Key.Type)
	if isDenied(err) {
		return nil
	}
	if err != nil {
		return err
	}
	mask := n.visible(ctx, g, st)
	if mask == 0 || st.Head.Deleted {
		return nil
	}
	if len(n.hits) == maxIncluded || !n.call.room.take(len(st.Record.Body)) {
		return tooManyIncluded()
	}
	h := hit{stored: st, mask: mask}
	n.hits, n.fresh = append(n.hits, h), append(n.fresh, h)
	return nil
}

// referring adds what refers to the sources by the parameter: a search of the
// other type for all of them at once.
func (n *inclusion) referring(ctx context.Context, in search.Include, sources []hit) error {
	types := []string{in.Source}
	if in.Source == "*" {
		types = n.Definitions.ResourceTypes()
	}
	for _, typ := range types {
		for _, p := range n.includeParameters(in, typ) {
			if p.Resource != typ || typ == auditEvent || n.permitParameter(ctx, p) != nil {
				continue
			}
			for start := 0; start < len(sources); start += referenced {
				if err := n.referringTo(ctx, in, p, sources[start:min(start+referenced, len(sources))]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (n *inclusion) referringTo(ctx context.Context, in search.Include, p *search.Parameter, sources []hit) error {
	c, called := &search.Condition{Name: p.Code, Parameter: p}, canonicals{}
	for _, h := range sources {
		typ := h.stored.Record.Key.Type
		if in.Target != "" && in.Target != typ || !p.LeadsTo(typ) {
			continue
		}
		c.Operands = append(c.Operands, search.Operand{Type: typ, ID: h.stored.Head.ID})
		if !slices.Contains(p.Targets, typ) || !p.Canonical() {
			continue
		}
		url, version, err := n.canonicalOf(ctx, h)
		if err != nil {
			return err
		}
		if url != "" {
			c.Operands = append(c.Operands, search.Operand{URL: url})
			called[url] = append(called[url], version)
		}
	}
	if len(c.Operands) == 0 {
		return nil
	}
	var failed error
	e := &search.Expression{Type: p.Resource, Conditions: []*search.Condition{c}}
	err := n.find(ctx, e, field.ClassSet(0), "", func() int { return candidatePage }, func(h hit, _ string) bool {
		if key := h.stored.Record.Key; !n.seen[key] && (len(called) == 0 || n.name(called, p, h.tree)) {
			n.seen[key] = true
			failed = n.add(ctx, h.stored)
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

func tooManyIncluded() *Failure {
	f := fail(Unprocessable, nil, "%s", fmt.Sprintf("a page may include %d resources; ask for fewer matches with _count or for fewer includes", maxIncluded))
	f.Issues[0].Code = "too-costly"
	return f
}
