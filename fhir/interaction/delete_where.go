package interaction

import (
	"context"
	"fmt"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// DeleteWhere deletes what matches the criteria (R4 http.html#3.1.0.7.1): one
// resource, or several in one commit where the server is configured so. Without
// a match it succeeds without effect, as a delete of something unknown does.
func (s *Service) DeleteWhere(ctx context.Context, c Call, resourceType, rawQuery string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Delete)
	defer func() { end(err) }()
	ev := begin(c, audit.Delete, "delete")
	ev.Query = rawQuery
	ev.Entities = []audit.Entity{{Type: resourceType}}
	a, err = retry(ctx, func() (*Answer, error) { return s.deleteWhere(ctx, c, ev, resourceType, rawQuery) })
	if err != nil {
		return nil, s.refuse(ctx, ev, lostRace(c, err))
	}
	return a, nil
}

func (s *Service) deleteWhere(ctx context.Context, c Call, ev audit.Event, resourceType, rawQuery string) (*Answer, error) {
	if !s.Definitions.IsResource(resourceType) {
		return nil, fail(NotFound, nil, "unknown resource type")
	}
	g, err := s.decideWrite(ctx, c, &ev, authz.Delete, resourceType)
	if err != nil {
		return nil, err
	}
	most := s.deletesAtMost()
	cond, err := s.matches(ctx, c, resourceType, rawQuery, most+1)
	if err != nil {
		return nil, err
	}
	if len(cond.found) > most {
		return nil, fail(Precondition, nil, "%s", fmt.Sprintf("the criteria match more resources than this server deletes at once: at most %d", most))
	}
	c.together = sameCommit(cond.found, func(st *sealed.Stored) (string, bool) { return resourceType + "/" + st.Head.ID, true })
	var changes []change
	for _, st := range cond.found {
		ch, _, err := s.prepareDelete(ctx, c, &ev, resourceType, st.Head.ID)
		switch {
		case err != nil:
			return nil, err
		case ch == nil: // may be found, but not deleted, by this caller
		case ch.draft.Write.Expect != st.Record.Version:
			return nil, repository.ErrConflict
		default:
			changes = append(changes, *ch)
		}
	}
	if len(changes) == 0 {
		receipt, err := s.durable(ctx, c, ev)
		if err != nil {
			return nil, failure(err)
		}
		return s.release(c, g, receipt, Answer{status: http.StatusNoContent})
	}
	receipt, err := s.commit(ctx, ev, changes, cond)
	if err != nil {
		return nil, err
	}
	if len(changes) > 1 {
		return s.release(c, g, receipt, Answer{status: http.StatusNoContent})
	}
	return s.release(c, g, receipt, c.deleted(changes[0]))
}

// deletesAtMost is how many resources one conditional delete may delete.
func (s *Service) deletesAtMost() int {
	if s.DeleteMultiple {
		return s.MaxEntries
	}
	return 1
}
