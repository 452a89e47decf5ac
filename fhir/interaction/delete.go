package interaction

import (
	"context"
	"errors"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Delete makes a tombstone (R4 http.html#delete). Deleting what is unknown,
// invisible or deleted already succeeds without effect and without telling
// which of them it was.
func (s *Service) Delete(ctx context.Context, c Call, resourceType, id string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Delete)
	defer func() { end(err) }()
	ev := begin(c, audit.Delete, "delete")
	ev.Entities = []audit.Entity{{Type: resourceType, ID: id}}
	a, err = retry(ctx, func() (*Answer, error) { return s.delete(ctx, c, ev, resourceType, id) })
	if err != nil {
		return nil, s.refuse(ctx, ev, lostRace(c, err))
	}
	return a, nil
}

func (s *Service) delete(ctx context.Context, c Call, ev audit.Event, resourceType, id string) (*Answer, error) {
	if f := s.known(resourceType, id); f != nil {
		return nil, f
	}
	ch, g, err := s.prepareDelete(ctx, c, &ev, resourceType, id)
	if err != nil {
		return nil, err
	}
	if ch == nil {
		receipt, err := s.durable(ctx, c, ev)
		if err != nil {
			return nil, failure(err)
		}
		return s.release(c, g, receipt, Answer{status: http.StatusNoContent})
	}
	receipt, err := s.commit(ctx, ev, []change{*ch}, condition{})
	if err != nil {
		return nil, err
	}
	return s.release(c, g, receipt, c.deleted(*ch))
}

func (c Call) deleted(ch change) Answer {
	return c.dated(Answer{status: http.StatusNoContent}, ch.draft.Write.Record)
}

// prepareDelete does everything of a deletion but the commit; the change is
// nil when there is nothing to delete for this caller.
func (s *Service) prepareDelete(ctx context.Context, c Call, ev *audit.Event, resourceType, id string) (*change, authz.Grant, error) {
	g, err := s.decideWrite(ctx, c, ev, authz.Delete, resourceType)
	if err != nil {
		return nil, g, err
	}
	st, err := s.Vault.Load(ctx, s.Vault.Key(resourceType, id))
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
		return nil, g, nil
	}
	if err != nil {
		return nil, g, err
	}
	mask := s.visible(ctx, g, st)
	if mask == 0 || st.Head.Deleted {
		return nil, g, nil
	}
	if hides(mask) {
		return nil, g, fail(Denied, nil, "a deletion takes every element: it needs the right to delete every class of the type")
	}
	if err := s.checkMatch(ctx, c, st, mask); err != nil {
		return nil, g, err
	}
	at, err := s.underway.draw(ctx, s.Store, c.taken)
	if err != nil {
		return nil, g, err
	}
	d, err := s.Vault.SealTombstone(ctx, st, at)
	if err != nil {
		return nil, g, err
	}
	ch := &change{grant: g, draft: d}
	return ch, g, s.guardDeletion(ctx, c, st, ch)
}
