package interaction

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Page sizes of a history.
const (
	defaultHistory = 50
	maxHistory     = 1000
)

// History answers the versions of one resource, newest first, each decided by
// itself (R4 http.html#history). rawQuery may hold _count, or the _page of a
// link to the next page.
func (s *Service) History(ctx context.Context, c Call, resourceType, id, rawQuery string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.History)
	defer func() { end(err) }()
	ev := begin(c, audit.Read, "history-instance")
	if f := s.known(resourceType, id); f != nil {
		return nil, s.refuse(ctx, ev, f)
	}
	ev.Entities = []audit.Entity{{Type: resourceType, ID: id}}
	a, err = s.history(ctx, c, ev, resourceType, id, rawQuery)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	return a, nil
}

func (s *Service) history(ctx context.Context, c Call, ev audit.Event, resourceType, id, rawQuery string) (*Answer, error) {
	rawQuery, from, err := s.resume(c, historyPath(resourceType, id), rawQuery)
	if err != nil {
		return nil, err
	}
	count, err := historyQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	before := uint64(1 << 62)
	if from.Before > 0 {
		before = from.Before
	}
	g, err := s.decide(ctx, c, &ev, authz.Read, resourceType)
	if err != nil {
		return nil, err
	}
	current, err := s.Vault.Load(ctx, s.Vault.Key(resourceType, id))
	if err != nil {
		return nil, s.erased(ctx, g, resourceType, id, err)
	}
	ceiling := s.visible(ctx, g, current)
	if ceiling == 0 {
		return nil, repository.ErrNotFound
	}
	hits, next, err := s.versions(ctx, c, g, current, ceiling, before, count)
	if err != nil {
		return nil, err
	}
	return s.historyBundle(ctx, c, g, ev, resourceType, id, rawQuery, hits, next)
}

// versions collects visible versions below the one given, newest first. A page
// ends early when more would not fit.
func (s *Service) versions(ctx context.Context, c Call, g authz.Grant, current *sealed.Stored, ceiling field.ClassSet, before uint64, count int) (hits []hit, next uint64, err error) {
	for n := min(uint64(current.Record.Version), before-1); n > 0; n-- {
		if len(hits) == count {
			return hits, n + 1, nil
		}
		st, err := s.Vault.LoadVersion(ctx, current.Record.Key, repository.Version(n))
		if errors.Is(err, sealed.ErrErased) || errors.Is(err, repository.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		mask := s.visible(ctx, g, st) & ceiling
		switch {
		case mask == 0 || redact.Withheld(st.Head, mask):
		case c.room.take(len(st.Record.Body)):
			hits = append(hits, hit{stored: st, mask: mask})
		case len(hits) == 0:
			return nil, 0, answerTooLarge()
		default:
			return hits, n + 1, nil
		}
	}
	return hits, 0, nil
}

func (s *Service) historyBundle(ctx context.Context, c Call, g authz.Grant, ev audit.Event, resourceType, id, rawQuery string, hits []hit, next uint64) (*Answer, error) {
	base := s.Base + "/" + resourceType + "/" + id
	links := []model.Link{{Relation: "self", URL: base + "/_history" + query(rawQuery)}}
	if next != 0 {
		link, err := s.nextLink(c, historyPath(resourceType, id), rawQuery, position{Before: next})
		if err != nil {
			return nil, err
		}
		links = append(links, model.Link{Relation: "next", URL: link})
	}
	w := model.NewBundle(nil, model.Envelope{Type: model.History, Links: links})
	ev.Entities = ev.Entities[:0]
	for _, h := range hits {
		e, err := s.historyEntry(h, base)
		if err != nil {
			return nil, err
		}
		w.Add(e)
		ev.Entities = append(ev.Entities, entity(h.stored.Head, resourceType, uint64(h.stored.Record.Version), h.mask))
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return release(g, receipt, Answer{status: http.StatusOK, body: w.Finish()})
}

func (s *Service) historyEntry(h hit, base string) (model.Entry, error) {
	rec := h.stored.Record
	e := model.Entry{FullURL: base, Request: &model.Request{Method: "PUT", URL: rec.Key.Type + "/" + h.stored.Head.ID},
		Response: &model.Response{Status: "200", ETag: versionTag(rec.Version), LastModified: instant(h.stored.Head.Updated)}}
	switch {
	case rec.Deleted:
		e.Request.Method, e.Response.Status = "DELETE", "204"
		return e, nil
	case h.stored.Head.Upsert:
		e.Response.Status = "201"
	case rec.Version == 1:
		e.Request.Method, e.Request.URL, e.Response.Status = "POST", rec.Key.Type, "201"
	}
	var err error
	e.Resource, e.Response.ETag, err = s.view(h.stored, h.mask)
	return e, err
}

func historyPath(resourceType, id string) string { return resourceType + "/" + id + "/_history" }

func historyQuery(rawQuery string) (count int, err error) {
	count = defaultHistory
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return 0, fail(Malformed, err, "the query string is malformed")
	}
	for name := range values {
		switch name {
		case "_count":
			n, err := strconv.Atoi(values.Get(name))
			if err != nil || n < 1 {
				return 0, fail(Malformed, err, "_count must be a positive number")
			}
			count = min(n, maxHistory)
		case "_format", "_pretty":
		default:
			f := fail(Malformed, nil, "a history takes _count; another parameter was given")
			f.Issues[0].Code = "not-supported"
			return 0, f
		}
	}
	return count, nil
}

func query(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}
