package interaction

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/repository"
)

// transaction commits all writes of the plan in one batch, under one intent,
// or none of them.
func (s *Service) transaction(ctx context.Context, c Call, ev audit.Event, plan *bundle.Plan) (*Answer, error) {
	if err := s.permitOperations(plan.Entries()); err != nil {
		return nil, err
	}
	if err := s.permitWrites(ctx, c, ev, plan.Entries()); err != nil {
		return nil, err
	}
	res := newResolver(ctx, s, c)
	if err := resolved(plan.Resolve(res)); err != nil {
		return nil, err
	}
	if err := sameCondition(plan.Entries()); err != nil {
		return nil, err
	}
	var writes, reads []*bundle.Entry
	for _, e := range plan.Order() {
		if e.Writes() {
			writes = append(writes, e)
		} else {
			reads = append(reads, e)
		}
	}
	c.together = sameCommit(writes, func(e *bundle.Entry) (string, bool) {
		if e.ID == "" || e.Existing {
			return "", false
		}
		return e.Target(), e.Method == http.MethodDelete
	})
	answers := make([]*Answer, len(plan.Entries()))
	if err := s.writeAll(ctx, c, ev, res.cond, writes, answers); err != nil {
		return nil, err
	}
	return s.finishTransaction(ctx, c, ev, reads, answers)
}

// permitWrites refuses what the caller may never write before any condition is
// looked at.
func (s *Service) permitWrites(ctx context.Context, c Call, ev audit.Event, entries []*bundle.Entry) error {
	for _, e := range entries {
		if !e.Writes() {
			continue
		}
		action := map[string]authz.Action{http.MethodPost: authz.Create, http.MethodPut: authz.Update,
			http.MethodPatch: authz.Update, http.MethodDelete: authz.Delete}[e.Method]
		if e.Operation != "" {
			action = authz.Update
		}
		if !s.Definitions.IsResource(e.Type) {
			return inEntry(e, fail(NotFound, nil, "unknown resource type"))
		}
		if _, err := s.decideWrite(ctx, c, &ev, action, e.Type); err != nil {
			return inEntry(e, err)
		}
	}
	return nil
}

// resolved names the entry that an error of resolving is about, and its kind:
// criteria that do not say what is meant are a failed precondition.
func resolved(err error) error {
	var of *bundle.EntryError
	var issues fhir.Issues
	switch {
	case errors.As(err, &of):
		return inEntry(of.Entry, of.Err)
	case errors.As(err, &issues):
		f := &Failure{Kind: Unprocessable, Issues: issues, cause: err}
		if !slices.ContainsFunc(issues, func(i fhir.Issue) bool { return i.Code != "multiple-matches" && i.Code != "duplicate" }) {
			f.Kind = Precondition
		}
		return f
	}
	return err
}

// writeAll prepares all writes side by side, commits them and answers each.
func (s *Service) writeAll(ctx context.Context, c Call, ev audit.Event, cond condition, writes []*bundle.Entry, answers []*Answer) error {
	prepared, errs, events := make([]*change, len(writes)), make([]error, len(writes)), make([]audit.Event, len(writes))
	s.parallel(len(writes), func(i int) {
		events[i] = ev
		if errs[i] = ctx.Err(); errs[i] == nil {
			prepared[i], errs[i] = s.prepareEntry(ctx, c, &events[i], writes[i])
		}
	})
	var changes []change
	for i, e := range writes {
		if errs[i] != nil {
			return inEntry(e, errs[i])
		}
		ev.PolicyRevision = events[i].PolicyRevision
		if prepared[i] != nil && prepared[i].same == nil {
			changes = append(changes, *prepared[i])
		}
	}
	var receipt audit.Receipt
	var err error
	if len(changes) > 0 {
		if receipt, err = s.commit(ctx, ev, changes, cond); err != nil {
			return err
		}
	}
	for i, e := range writes {
		switch ch := prepared[i]; {
		case ch == nil:
			answers[e.Index], err = s.unchanged(ctx, c, ev, e)
		case ch.same != nil:
			answers[e.Index], err = s.metaKept(ctx, c, ev, *ch)
		case e.Operation != "":
			answers[e.Index], err = s.metaChanged(c, *ch, receipt)
		default:
			answers[e.Index], err = s.entryWritten(ctx, c, *ch, receipt)
		}
		if err != nil {
			return inEntry(e, err)
		}
	}
	return nil
}

// sameCondition refuses two conditional creates with one condition that holds
// for neither: both would create.
func sameCondition(entries []*bundle.Entry) error {
	seen := make(map[[2]string]bool)
	for _, e := range entries {
		if e.Method != http.MethodPost || e.IfNoneExist == "" || e.Existing {
			continue
		}
		key := [2]string{e.Type, canonicalQuery(e.IfNoneExist)}
		if seen[key] {
			return inEntry(e, fail(Precondition, nil, "another entry has the same ifNoneExist"))
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
// composes the answer. A read that fails says so in its own entry: the writes
// are committed.
func (s *Service) finishTransaction(ctx context.Context, c Call, ev audit.Event, reads []*bundle.Entry, answers []*Answer) (*Answer, error) {
	results := make([]entryResult, len(answers))
	for i, a := range answers {
		results[i] = entryResult{answer: a}
	}
	s.parallel(len(reads), func(i int) {
		a, err := s.entry(ctx, c, reads[i])
		results[reads[i].Index] = entryResult{reads[i], a, err}
	})
	var own audit.Receipt
	if !slices.ContainsFunc(results, func(r entryResult) bool { return r.err == nil }) {
		var err error
		if own, err = s.durable(ctx, c, ev); err != nil {
			return nil, failure(err)
		}
	}
	return s.assemble(model.TransactionResponse, own, results)
}

// bundleOf writes the responses into one buffer.
func (s *Service) bundleOf(kind string, results []entryResult) []byte {
	responses, size := make([]model.Entry, len(results)), entryOverhead
	var m label.Mark
	for i, of := range results {
		r := s.entryResponse(of)
		responses[i], size = r, size+entryOverhead+len(r.Resource)+len(r.Response.Outcome)
		if of.err == nil && of.answer.body != nil {
			m.Add(of.answer.labels)
		}
	}
	w := model.NewBundle(make([]byte, 0, size), model.Envelope{Type: kind})
	for _, r := range responses {
		w.Add(r)
	}
	inscribe(w, m.Labels())
	return w.Finish()
}

// prepareEntry decides, checks and seals one write of a transaction. A nil
// change means that nothing is to be written.
func (s *Service) prepareEntry(ctx context.Context, c Call, ev *audit.Event, e *bundle.Entry) (*change, error) {
	c = inBundle(c, e)
	if e.Operation != "" {
		return s.prepareOperation(ctx, c, ev, e)
	}
	switch e.Method {
	case http.MethodPost:
		return s.prepareCreate(ctx, c, ev, e)
	case http.MethodPut:
		if !s.Definitions.IsResource(e.Type) {
			return nil, fail(NotFound, nil, "unknown resource type")
		}
		ch, err := s.prepareReplacement(ctx, c, ev, e)
		return &ch, err
	case http.MethodPatch:
		alter, err := s.alterationOf(e.Resource)
		if err != nil {
			return nil, err
		}
		ch, err := s.preparePatch(ctx, c, ev, e.Type, e.ID, alter)
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

// prepareReplacement is a PUT. One with criteria that match nothing creates.
func (s *Service) prepareReplacement(ctx context.Context, c Call, ev *audit.Event, e *bundle.Entry) (change, error) {
	if !e.Created {
		return s.prepareUpdate(ctx, c, ev, e.Resource, e.ID)
	}
	g, err := s.decideWrite(ctx, c, ev, authz.Update, e.Type)
	if err != nil {
		return change{}, err
	}
	return s.prepareUnmatched(ctx, c, ev, g, e.Resource, e.Assigned)
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
	return s.release(c, g, receipt, Answer{status: http.StatusNoContent})
}

func (s *Service) entryWritten(ctx context.Context, c Call, ch change, receipt audit.Receipt) (*Answer, error) {
	if ch.resource == nil {
		return s.release(c, ch.grant, receipt, c.deleted(ch))
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
