package interaction

import (
	"context"
	"net/http"
	"net/url"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// maxMatches bounds a search result, which is one page: identifiers match few
// resources, and what matches more is asked to narrow.
const maxMatches = 1000

// Search answers the resources of a type that match by identifier or logical
// id (R4 http.html#search).
func (s *Service) Search(ctx context.Context, c Call, resourceType, rawQuery string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Search)
	defer func() { end(err) }()
	ev := begin(c, audit.Execute, "search-type")
	ev.Query = rawQuery
	if !s.Definitions.IsResource(resourceType) {
		return nil, s.refuse(ctx, ev, fail(NotFound, nil, "unknown resource type"))
	}
	if resourceType == auditEvent {
		return s.searchAuditEvents(ctx, c, ev, rawQuery)
	}
	a, err = s.search(ctx, c, ev, resourceType, rawQuery)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	return a, nil
}

func (s *Service) search(ctx context.Context, c Call, ev audit.Event, resourceType, rawQuery string) (*Answer, error) {
	q, err := s.Parameters.ParseCriteria(resourceType, withoutCount(rawQuery))
	if err != nil {
		return nil, searchFailure(err)
	}
	g, err := s.decide(ctx, c, &ev, authz.Search, resourceType)
	if err != nil {
		return nil, err
	}
	if err := s.permits(g, q); err != nil {
		return nil, err
	}
	var hits []hit
	fits := true
	if _, err := s.find(ctx, g, q, s.Vault.Plan(q), func(h hit) bool {
		hits, fits = append(hits, h), c.room.take(len(h.stored.Record.Body))
		return fits && len(hits) <= maxMatches
	}); err != nil {
		return nil, err
	}
	if !fits {
		return nil, answerTooLarge()
	}
	if len(hits) > maxMatches {
		return nil, tooCostly()
	}
	total := len(hits)
	w := model.NewBundle(nil, model.Envelope{Type: model.Searchset, Total: &total,
		Links: []model.Link{{Relation: "self", URL: s.Base + "/" + resourceType + "?" + rawQuery}}})
	for _, h := range hits {
		body, _, err := s.view(h.stored, h.mask)
		if err != nil {
			return nil, err
		}
		w.Add(model.Entry{FullURL: s.Base + "/" + resourceType + "/" + h.stored.Head.ID, Resource: body, Search: "match"})
		ev.Entities = append(ev.Entities, entity(h.stored.Head, resourceType, uint64(h.stored.Record.Version), h.mask))
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return release(g, receipt, Answer{status: http.StatusOK, body: w.Finish()})
}

// withoutCount drops _count: the result is one page whatever was asked, and
// R4 lets a server return fewer pages than asked for.
func withoutCount(rawQuery string) string {
	values, err := url.ParseQuery(rawQuery)
	if err != nil || !values.Has("_count") {
		return rawQuery
	}
	values.Del("_count")
	return values.Encode()
}
