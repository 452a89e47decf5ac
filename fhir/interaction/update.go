package interaction

import (
	"context"
	"errors"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Update stores a new version under the id, or creates it (R4
// http.html#update). What a mask hides from the caller is carried forward,
// never erased (decision 19).
func (s *Service) Update(ctx context.Context, c Call, resourceType, id string, body []byte) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Update)
	defer func() { end(err) }()
	ev := begin(c, audit.Update, "update")
	ev.Entities = []audit.Entity{{Type: resourceType, ID: id}}
	a, err = retry(ctx, func() (*Answer, error) { return s.update(ctx, c, ev, resourceType, id, body) })
	if err != nil {
		return nil, s.refuse(ctx, ev, lostRace(c, err))
	}
	return a, nil
}

// lostRace turns a conflict under If-Match into the precondition that it is.
func lostRace(c Call, err error) error {
	if c.IfMatch != "" && errors.Is(err, repository.ErrConflict) {
		return fail(Precondition, err, "If-Match does not name the current version")
	}
	return err
}

func (s *Service) update(ctx context.Context, c Call, ev audit.Event, resourceType, id string, body []byte) (*Answer, error) {
	if f := s.known(resourceType, id); f != nil {
		return nil, f
	}
	r, err := s.parse(resourceType, body)
	if err != nil {
		return nil, err
	}
	ch, err := s.prepareUpdate(ctx, c, &ev, r, id)
	if err != nil {
		return nil, err
	}
	receipt, err := s.commit(ctx, ev, []change{ch}, condition{})
	if err != nil {
		return nil, err
	}
	return s.written(ctx, c, ch, receipt)
}

// prepareUpdate does everything of an update but the commit. Transactions use
// it for their PUT entries.
func (s *Service) prepareUpdate(ctx context.Context, c Call, ev *audit.Event, r *fhir.Resource, id string) (change, error) {
	if r.ID() != id {
		return change{}, fail(Malformed, nil, "the body's id is not the id in the URL")
	}
	g, err := s.decideWrite(ctx, c, ev, authz.Update, r.Type())
	if err != nil {
		return change{}, err
	}
	previous, err := s.Vault.Load(ctx, s.Vault.Key(r.Type(), id))
	if errors.Is(err, repository.ErrNotFound) {
		return s.prepareUpsert(ctx, c, g, r)
	}
	if err != nil {
		return change{}, hideErased(g, err)
	}
	mask := s.seen(ctx, c, g, previous)
	if mask == 0 {
		return change{}, repository.ErrNotFound
	}
	if err := s.checkMatch(ctx, c, previous, mask); err != nil {
		return change{}, err
	}
	if err := s.checkNoneMatch(c, previous, mask); err != nil {
		return change{}, err
	}
	switch {
	case previous.Head.Deleted:
		err = s.checkNew(g, r)
	default:
		r, err = s.merge(previous, r, mask)
	}
	if err != nil {
		return change{}, err
	}
	return s.stamp(ctx, c, g, r, previous, previous.Head.Deleted)
}

// prepareUpsert is update-as-create. Only callers who see every resource of
// the type may choose ids: for others unknown and invisible are both 404
// (decision 20).
func (s *Service) prepareUpsert(ctx context.Context, c Call, g authz.Grant, r *fhir.Resource) (change, error) {
	if !g.Unrestricted() {
		return change{}, repository.ErrNotFound
	}
	if c.IfMatch != "" {
		return change{}, fail(Precondition, nil, "If-Match names a version but the resource does not exist")
	}
	if err := s.checkNew(g, r); err != nil {
		return change{}, err
	}
	create, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Create, Type: r.Type()})
	if err != nil {
		return change{}, err
	}
	if !create.Allowed() {
		return change{}, authz.ErrDenied
	}
	if err := s.checkNew(create, r); err != nil {
		return change{}, err
	}
	ch, err := s.stamp(ctx, c, g, r, nil, true)
	if err == nil {
		err = s.mayChange(ctx, create, nil, ch.draft.Head, r)
	}
	return ch, err
}

// seen is what a caller sees of a version that a grant lets it write: what it
// may read, or what it may write when it may not read the type at all. Zero
// means that the version does not exist for it.
func (s *Service) seen(ctx context.Context, c Call, write authz.Grant, st *sealed.Stored) field.ClassSet {
	read, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Read, Type: st.Record.Key.Type})
	switch {
	case err != nil || !read.Allowed():
		return s.visible(ctx, write, st)
	case s.granted(ctx, write, st) == 0:
		return 0
	}
	return s.visible(ctx, read, st)
}

// merge carries hidden elements forward. The stored version is opened whole
// inside the server because a new version needs new ciphertext; the caller's
// answer is opened under the mask again.
func (s *Service) merge(previous *sealed.Stored, r *fhir.Resource, mask field.ClassSet) (*fhir.Resource, error) {
	if !hides(mask) {
		return r, nil
	}
	stored, err := s.Vault.Open(previous, field.AllClasses)
	if err != nil {
		return nil, err
	}
	merged, err := s.Redactor.Merge(stored, r, mask)
	if err != nil {
		return nil, mergeFailure(err)
	}
	return merged, nil
}

// checkMatch evaluates If-Match against the version and, for a redacted view,
// against the tag of what the caller last saw.
func (s *Service) checkMatch(ctx context.Context, c Call, st *sealed.Stored, mask field.ClassSet) error {
	if c.IfMatch == "" || tagMatches(c.IfMatch, c.tag(st.Record.Version)) {
		return nil
	}
	if !st.Head.Deleted {
		g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Read, Type: st.Record.Key.Type})
		if err == nil && s.visible(ctx, g, st) != 0 {
			_, tag, err := s.view(c, st, s.visible(ctx, g, st))
			if err != nil {
				return err
			}
			if tagMatches(c.IfMatch, tag) {
				return nil
			}
		}
	}
	return fail(Precondition, nil, "If-Match does not name the current version")
}

// checkNoneMatch evaluates If-None-Match of a write (RFC 9110 §13.1.2): "*"
// writes only what does not exist yet.
func (s *Service) checkNoneMatch(c Call, st *sealed.Stored, mask field.ClassSet) error {
	if c.IfNoneMatch == "" || st.Head.Deleted {
		return nil
	}
	tags := []string{c.tag(st.Record.Version)}
	if !c.shows(mask) {
		_, tag, err := s.view(c, st, mask)
		if err != nil {
			return err
		}
		tags = append(tags, tag)
	}
	if tagMatches(c.IfNoneMatch, tags...) {
		return fail(Precondition, nil, "If-None-Match names the current version")
	}
	return nil
}

// mergeFailure names the element that a write may not touch; 403 when the
// caller may not see or not write it, 422 when a partly
// hidden element was changed.
func mergeFailure(err error) error {
	var e *redact.ElementError
	if !errors.As(err, &e) {
		return err
	}
	kind := Denied
	if errors.Is(err, redact.ErrPartlyHidden) {
		kind = Unprocessable
	}
	return fail(kind, err, "%s", e.Error())
}
