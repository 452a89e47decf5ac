package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/repository"
)

// PatchWhere patches the one resource that matches the criteria (R4
// http.html#patch).
func (s *Service) PatchWhere(ctx context.Context, c Call, resourceType, rawQuery, media string, body []byte) (*Answer, error) {
	alter, err := s.alteration(media, body)
	return s.altering(ctx, c, resourceType, "", rawQuery, alter, err)
}

// patchEntry is a PATCH of a batch.
func (s *Service) patchEntry(ctx context.Context, c Call, e *bundle.Entry) (*Answer, error) {
	alter, err := s.alterationOf(e.Resource)
	return s.altering(ctx, c, e.Type, e.ID, e.Query, alter, err)
}

// altering applies a patch to the resource with the id, or without one to what
// matches. malformed is the error of reading the patch.
func (s *Service) altering(ctx context.Context, c Call, resourceType, id, rawQuery string, alter alteration, malformed error) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Patch)
	defer func() { end(err) }()
	ev := begin(c, audit.Update, "patch")
	ev.Query, ev.Entities = rawQuery, []audit.Entity{{Type: resourceType, ID: id}}
	if err = malformed; err == nil {
		a, err = retry(ctx, func() (*Answer, error) {
			if id != "" {
				return s.patch(ctx, c, ev, resourceType, id, alter)
			}
			return s.patchWhere(ctx, c, ev, resourceType, rawQuery, alter)
		})
	}
	if err != nil {
		return nil, s.refuse(ctx, ev, lostRace(c, err))
	}
	return a, nil
}

func (s *Service) patchWhere(ctx context.Context, c Call, ev audit.Event, resourceType, rawQuery string, alter alteration) (*Answer, error) {
	if _, err := s.decideWrite(ctx, c, &ev, authz.Update, resourceType); err != nil {
		return nil, err
	}
	cond, err := s.matches(ctx, c, resourceType, rawQuery, 2)
	switch {
	case err != nil:
		return nil, err
	case len(cond.found) == 0:
		return nil, repository.ErrNotFound
	case len(cond.found) > 1:
		return nil, fail(Precondition, nil, "the criteria match more than one resource")
	}
	found := cond.found[0]
	ch, err := s.preparePatch(ctx, c, &ev, resourceType, found.Head.ID, alter)
	if err == nil && ch.draft.Write.Expect != found.Record.Version {
		err = repository.ErrConflict
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
