package interaction

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/repository"
)

// resolver answers a plan's questions with the caller's own eyes, and keeps the
// guards under which "no match" stays true until the commit.
type resolver struct {
	ctx  context.Context
	s    *Service
	c    Call
	cond condition
}

// AssignID implements bundle.Resolver.
func (r *resolver) AssignID(e *bundle.Entry) (string, error) { return r.s.newID(r.c, e.Index), nil }

// Match implements bundle.Resolver.
func (r *resolver) Match(resourceType, query string) ([]string, error) {
	m, err := r.s.matches(r.ctx, r.c, resourceType, query, 2)
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

// transaction commits all writes of the plan in one batch, under one intent,
// or none of them.
func (s *Service) transaction(ctx context.Context, c Call, ev audit.Event, plan *bundle.Plan) (*Answer, error) {
	if err := sameCondition(plan.Entries()); err != nil {
		return nil, err
	}
	res := &resolver{ctx: ctx, s: s, c: c}
	if err := plan.Resolve(res); err != nil {
		return nil, err
	}
	entries := plan.Entries()
	responses, parts := make([]model.Entry, len(entries)), make([]*Answer, 0, len(entries))
	var changes []change
	var changed []*bundle.Entry
	for _, e := range plan.Order() {
		if e.Method == http.MethodGet || e.Method == http.MethodHead {
			continue
		}
		ch, err := s.prepareEntry(ctx, c, &ev, e)
		if err != nil {
			return nil, inEntry(e, err)
		}
		if ch == nil {
			a, err := s.unchanged(ctx, c, ev, e)
			if err != nil {
				return nil, inEntry(e, err)
			}
			responses[e.Index], parts = entryResponse(a, nil), append(parts, a)
			continue
		}
		changes, changed = append(changes, *ch), append(changed, e)
	}
	if len(changes) > 0 {
		receipt, err := s.commit(ctx, ev, changes, res.cond)
		if err != nil {
			return nil, err
		}
		for i, ch := range changes {
			a, err := s.entryWritten(ctx, c, ch, receipt)
			if err != nil {
				return nil, err
			}
			responses[changed[i].Index], parts = entryResponse(a, nil), append(parts, a)
		}
	}
	return s.finishTransaction(ctx, c, ev, plan, responses, parts)
}

// sameCondition refuses two conditional creates with one condition: both would
// find nothing and both would create.
func sameCondition(entries []*bundle.Entry) error {
	seen := make(map[[2]string]bool)
	for _, e := range entries {
		if e.Method != http.MethodPost || e.IfNoneExist == "" {
			continue
		}
		key := [2]string{e.Type, canonicalQuery(e.IfNoneExist)}
		if seen[key] {
			return inEntry(e, fail(Malformed, nil, "another entry has the same ifNoneExist"))
		}
		seen[key] = true
	}
	return nil
}

// canonicalQuery spells a condition in one way, whatever was escaped and in
// which order its parameters came.
func canonicalQuery(raw string) string {
	values, err := url.ParseQuery(strings.TrimPrefix(raw, "?"))
	if err != nil {
		return raw // refused as malformed when it is evaluated
	}
	return values.Encode()
}

// finishTransaction runs the reads, which see the committed writes, and
// composes the answer.
func (s *Service) finishTransaction(ctx context.Context, c Call, ev audit.Event, plan *bundle.Plan, responses []model.Entry, parts []*Answer) (*Answer, error) {
	for _, e := range plan.Order() {
		if e.Method != http.MethodGet && e.Method != http.MethodHead {
			continue
		}
		a, err := s.entry(ctx, c, e)
		if a != nil {
			parts = append(parts, a)
		}
		responses[e.Index] = entryResponse(a, err)
	}
	if len(parts) == 0 {
		receipt, err := s.durable(ctx, c, ev)
		if err != nil {
			return nil, failure(err)
		}
		parts = append(parts, &Answer{receipt: receipt})
	}
	w := model.NewBundle(nil, model.Envelope{Type: model.TransactionResponse})
	for _, r := range responses {
		w.Add(r)
	}
	return assemble(Answer{status: http.StatusOK, body: w.Finish()}, parts)
}

// prepareEntry decides, checks and seals one write of a transaction. A nil
// change means that nothing is to be written.
func (s *Service) prepareEntry(ctx context.Context, c Call, ev *audit.Event, e *bundle.Entry) (*change, error) {
	c.IfMatch = e.IfMatch
	switch e.Method {
	case http.MethodPost:
		return s.prepareCreate(ctx, c, ev, e)
	case http.MethodPut:
		if !s.Definitions.IsResource(e.Type) {
			return nil, fail(NotFound, nil, "unknown resource type")
		}
		if e.Query != "" && e.Resource.ID() == "" {
			e.Resource.SetID(e.ID)
		}
		ch, err := s.prepareUpdate(ctx, c, ev, e.Resource, e.ID)
		return &ch, err
	case http.MethodDelete:
		if e.ID == "" {
			_, err := s.decideWrite(ctx, c, ev, authz.Delete, e.Type)
			return nil, err
		}
		ch, _, err := s.prepareDelete(ctx, c, ev, e.Type, e.ID)
		return ch, err
	}
	return nil, notServed(e)
}

func (s *Service) prepareCreate(ctx context.Context, c Call, ev *audit.Event, e *bundle.Entry) (*change, error) {
	if !s.Definitions.IsResource(e.Type) {
		return nil, fail(NotFound, nil, "unknown resource type")
	}
	g, err := s.decideWrite(ctx, c, ev, authz.Create, e.Type)
	if err != nil || e.Existing {
		return nil, err
	}
	ch, err := s.prepareNew(ctx, c, g, e.Resource, e.ID)
	return &ch, err
}

// unchanged answers an entry that writes nothing: a conditional create that
// found its resource, or a deletion of what is not there.
func (s *Service) unchanged(ctx context.Context, c Call, ev audit.Event, e *bundle.Entry) (*Answer, error) {
	action := authz.Delete
	if e.Existing {
		action = authz.Create
	}
	g, err := s.decide(ctx, c, &ev, action, e.Type)
	if err != nil {
		return nil, err
	}
	if e.Existing {
		st, err := s.Vault.Load(ctx, s.Vault.Key(e.Type, e.ID))
		if err != nil {
			return nil, err
		}
		return s.existing(ctx, c, g, ev, st)
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return release(g, receipt, Answer{status: http.StatusNoContent})
}

func (s *Service) entryWritten(ctx context.Context, c Call, ch change, receipt audit.Receipt) (*Answer, error) {
	if ch.resource == nil {
		return release(ch.grant, receipt, deleted(ch))
	}
	return s.written(ctx, c, ch, receipt)
}

// inEntry makes a failure name the entry that caused it.
func inEntry(e *bundle.Entry, err error) error {
	if errors.Is(err, repository.ErrConflict) {
		return err
	}
	f := failure(err)
	named := &Failure{Kind: f.Kind, cause: f.cause, Issues: make(fhir.Issues, len(f.Issues))}
	for i, issue := range f.Issues {
		paths := make([]string, 0, len(issue.Expression))
		for _, p := range issue.Expression {
			paths = append(paths, entryPath(e.Index)+".resource/"+p)
		}
		if len(paths) == 0 {
			paths = []string{entryPath(e.Index)}
		}
		issue.Expression = paths
		named.Issues[i] = issue
	}
	return named
}
