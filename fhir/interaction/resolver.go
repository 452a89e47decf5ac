package interaction

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// resolver answers a plan's questions with the caller's own eyes, and keeps the
// guards under which the answers stay true until the commit. It implements
// bundle.Resolver.
type resolver struct {
	ctx  context.Context
	s    *Service
	c    Call
	cond condition

	asked   map[string]*question                            // by type and query
	index   map[string]map[repository.Token][]*bundle.Entry // of new content, by type and identifier
	checked int                                             // comparisons with new content
}

// question is criteria that were read and permitted.
type question struct {
	x *finder
	e *search.Expression
}

func newResolver(ctx context.Context, s *Service, c Call) *resolver {
	return &resolver{ctx: ctx, s: s, c: c, asked: map[string]*question{}, index: map[string]map[repository.Token][]*bundle.Entry{}}
}

func (r *resolver) question(resourceType, query string) (*question, error) {
	key := resourceType + "?" + query
	if q := r.asked[key]; q != nil {
		return q, nil
	}
	x, e, err := r.s.criteria(r.ctx, r.c, resourceType, query)
	if err != nil {
		return nil, err
	}
	r.asked[key] = &question{x, e}
	return r.asked[key], nil
}

// Match implements bundle.Resolver.
func (r *resolver) Match(resourceType, query string, without map[string]bool) ([]string, error) {
	q, err := r.question(resourceType, query)
	if err != nil {
		return nil, err
	}
	m, err := q.x.matching(r.ctx, q.e, 2, func(st *sealed.Stored) bool { return !without[resourceType+"/"+st.Head.ID] })
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(m.found))
	for i, st := range m.found {
		ids[i] = st.Head.ID
	}
	r.cond.expect, r.cond.bump = append(r.cond.expect, m.expect...), append(r.cond.bump, m.bump...)
	return ids, nil
}

// Holds implements bundle.Resolver. Chains in the criteria lead to what is
// stored.
func (r *resolver) Holds(resourceType, query string, among []*bundle.Entry) (found []*bundle.Entry, err error) {
	if len(among) == 0 {
		return nil, nil
	}
	q, err := r.question(resourceType, query)
	if err != nil {
		return nil, err
	}
	for _, e := range r.candidates(q.e, among) {
		if r.checked++; r.checked > maxCandidates {
			return nil, tooCostly(q.e)
		}
		ok, err := q.x.matcher.Match(r.ctx, q.e, e.Resource)
		if err != nil {
			return nil, searchFailure(err)
		}
		if ok {
			found = append(found, e)
		}
		if len(found) == 2 {
			break
		}
	}
	return found, nil
}

// candidates are the entries that can match: for criteria on an identifier
// those that carry it.
func (r *resolver) candidates(e *search.Expression, among []*bundle.Entry) (list []*bundle.Entry) {
	named := r.s.Vault.Named(e)
	if len(named) == 0 {
		return among
	}
	index := r.index[e.Type]
	if index == nil {
		index = map[repository.Token][]*bundle.Entry{}
		for _, entry := range among {
			for _, t := range r.s.Vault.Identifiers(entry.Resource) {
				index[t] = append(index[t], entry)
			}
		}
		r.index[e.Type] = index
	}
	for _, t := range named {
		for _, entry := range index[t] {
			if !slices.Contains(list, entry) {
				list = append(list, entry)
			}
		}
	}
	return list
}

// Next implements bundle.Resolver. When another writer is faster, the whole
// transaction is tried again.
func (r *resolver) Next(e *bundle.Entry) (string, error) {
	rec, err := r.s.Store.Get(r.ctx, r.s.Vault.Key(e.Type, e.ID))
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return "", err
	}
	if !e.Existing {
		rec.Version++
	}
	return strconv.FormatUint(uint64(rec.Version), 10), nil
}
