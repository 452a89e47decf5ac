package interaction

import (
	"context"
	"errors"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// UpdateWhere updates the one resource that matches the criteria, or creates it
// (R4 http.html#cond-update). Of any number of concurrent ones with the same
// criteria at most one creates.
func (s *Service) UpdateWhere(ctx context.Context, c Call, resourceType, rawQuery string, body []byte) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Update)
	defer func() { end(err) }()
	ev := begin(c, audit.Update, "update")
	ev.Query = rawQuery
	ev.Entities = []audit.Entity{{Type: resourceType}}
	a, err = retry(ctx, func() (*Answer, error) { return s.updateWhere(ctx, c, ev, resourceType, rawQuery, body) })
	if err != nil {
		return nil, s.refuse(ctx, ev, lostRace(c, err))
	}
	return a, nil
}

func (s *Service) updateWhere(ctx context.Context, c Call, ev audit.Event, resourceType, rawQuery string, body []byte) (*Answer, error) {
	r, err := s.parse(resourceType, body)
	if err != nil {
		return nil, err
	}
	g, err := s.decideWrite(ctx, c, &ev, authz.Update, resourceType)
	if err != nil {
		return nil, err
	}
	cond, err := s.matches(ctx, c, resourceType, rawQuery, 2)
	if err != nil {
		return nil, err
	}
	var ch change
	switch len(cond.found) {
	case 0:
		assigned := r.ID() == ""
		if assigned {
			r.SetID(s.newID(c, 0))
		}
		ch, err = s.prepareUnmatched(ctx, c, &ev, g, r, assigned)
	case 1:
		ch, err = s.prepareMatched(ctx, c, &ev, r, cond.found[0])
	default:
		err = fail(Precondition, nil, "the criteria match more than one resource")
	}
	if err != nil {
		return nil, err
	}
	receipt, err := s.commit(ctx, ev, []change{ch}, cond)
	if err != nil {
		return nil, err
	}
	return s.written(ctx, c, ch, receipt)
}

// prepareMatched updates the resource that was found, in the version that was
// found: a later one may not match any more.
func (s *Service) prepareMatched(ctx context.Context, c Call, ev *audit.Event, r *fhir.Resource, found *sealed.Stored) (change, error) {
	switch r.ID() {
	case "":
		r.SetID(found.Head.ID)
	case found.Head.ID:
	default:
		return change{}, fail(Malformed, nil, "the body's id is not the id of the resource that matches")
	}
	ch, err := s.prepareUpdate(ctx, c, ev, r, found.Head.ID)
	if err == nil && ch.draft.Write.Expect != found.Record.Version {
		return change{}, repository.ErrConflict
	}
	return ch, err
}

// prepareUnmatched creates: under an id that the server has assigned, or under
// the one that the body has where the caller may choose ids. An id that is taken belongs to a
// resource which does not match.
func (s *Service) prepareUnmatched(ctx context.Context, c Call, ev *audit.Event, update authz.Grant, r *fhir.Resource, assigned bool) (change, error) {
	if c.IfMatch != "" {
		return change{}, fail(Precondition, nil, "If-Match names a version but no resource matches")
	}
	id := r.ID()
	if assigned {
		g, err := s.decideWrite(ctx, c, ev, authz.Create, r.Type())
		if err != nil {
			return change{}, err
		}
		return s.prepareNew(ctx, c, g, r, id)
	}
	if f := s.known(r.Type(), id); f != nil {
		return change{}, f
	}
	st, err := s.Vault.Load(ctx, s.Vault.Key(r.Type(), id))
	switch {
	case errors.Is(err, repository.ErrNotFound):
	case err != nil:
		return change{}, hideErased(update, err)
	case s.seen(ctx, c, update, st) != 0 && !st.Head.Deleted:
		return change{}, fail(Conflict, nil, "the body's id is that of a resource which does not match the criteria")
	}
	return s.prepareUpdate(ctx, c, ev, r, id)
}
