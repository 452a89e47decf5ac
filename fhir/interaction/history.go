package interaction

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// History answers the versions of one resource, newest first unless asked
// otherwise, each decided by itself (R4 http.html#history). rawQuery may hold
// _count, _since, _at and _sort, or the _page of a link to the next page.
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
	id, err := s.meant(c, id)
	if err != nil {
		return nil, err
	}
	ev.Entities[0].ID = id
	path := resourceType + "/" + id + "/_history"
	rawQuery, from, err := s.resume(c, path, rawQuery)
	if err != nil {
		return nil, err
	}
	q, err := parseHistory(rawQuery)
	if err != nil {
		return nil, err
	}
	if c.conceals() && (q.since != 0 || q.until != 0 || q.ascending) {
		return nil, concealedTime("_since, _at or _sort")
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
	v := versions{s: s, c: c, g: g, q: q, current: current, ceiling: ceiling}
	if err := v.collect(ctx, from.Before); err != nil {
		return nil, err
	}
	p := historyPage{path: path, rawQuery: rawQuery, hits: v.hits, total: v.total}
	if v.next != 0 {
		p.next = &position{Before: v.next}
	}
	ev.Entities = ev.Entities[:0]
	return s.historyBundle(ctx, c, g, ev, p)
}

// versions collects a page of one resource's versions.
type versions struct {
	s       *Service
	c       Call
	g       authz.Grant
	q       historyQuery
	current *sealed.Stored
	ceiling field.ClassSet // what the current labels leave visible

	bytes map[uint64]string // hashes of what versions show
	hits  []hit
	next  uint64 // where the next page begins, 0 on the last
	total *int   // on the first page, unless there are too many to count
}

// collect goes through the versions from a position on (0: the first page). A
// page ends early when more would not fit.
func (v *versions) collect(ctx context.Context, from uint64) error {
	last := uint64(v.current.Record.Version)
	count, n, step := from == 0 && last <= maxHistory, last, ^uint64(0)
	if v.q.ascending {
		n, step = 1, 1
	}
	if from != 0 {
		n = from
	}
	sum := 0
	for ; n > 0 && n <= last; n += step {
		st, mask, err := v.visible(ctx, repository.Version(n))
		if err != nil {
			return err
		}
		shown := mask != 0
		if shown && v.c.conceals() {
			if shown, err = v.changed(ctx, n); err != nil {
				return err
			}
		}
		switch {
		case !shown:
			continue
		case v.next != 0: // only the total is missing
		case len(v.hits) < v.q.count && v.c.room.take(len(st.Record.Body)):
			v.hits = append(v.hits, hit{stored: st, mask: mask})
		case len(v.hits) == 0:
			return answerTooLarge()
		default:
			v.next = n
		}
		if sum++; v.next != 0 && !count {
			return nil
		}
	}
	if count {
		v.total = &sum
	}
	return nil
}

// visible decides on one version: by its own labels and by the current ones,
// the stricter wins.
func (v *versions) visible(ctx context.Context, n repository.Version) (*sealed.Stored, field.ClassSet, error) {
	st, err := v.s.Vault.LoadVersion(ctx, v.current.Record.Key, n)
	if errors.Is(err, sealed.ErrErased) || errors.Is(err, repository.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	in, err := v.s.inTime(ctx, v.q, st.Record.Key, n, st.Record.Updated)
	mask := v.s.visible(ctx, v.g, st) & v.ceiling
	if err != nil || !in || redact.Withheld(st.Head, mask) {
		return nil, 0, err
	}
	return st, mask, nil
}

// changed reports whether a version shows anything else than the visible one
// before it (decision 17: the history of a caller from whom changes are
// concealed is collapsed to those that show).
func (v *versions) changed(ctx context.Context, n uint64) (bool, error) {
	now, err := v.seen(ctx, n)
	for n--; n > 0 && err == nil; n-- {
		var before string
		if before, err = v.seen(ctx, n); before != "" {
			return before != now, err
		}
	}
	return true, err
}

// seen stands for the visible bytes of a version; empty when there is none.
func (v *versions) seen(ctx context.Context, n uint64) (string, error) {
	if text, known := v.bytes[n]; known {
		return text, nil
	}
	st, mask, err := v.visible(ctx, repository.Version(n))
	if err != nil {
		return "", err
	}
	text := ""
	switch {
	case mask == 0:
	case st.Head.Deleted:
		text = "deleted"
	default:
		body, _, err := v.s.view(v.c, st, mask)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(body)
		text = string(sum[:])
	}
	if v.bytes == nil {
		v.bytes = map[uint64]string{}
	}
	v.bytes[n] = text
	return text, nil
}

// historyPage is one page of a history.
type historyPage struct {
	path, rawQuery string
	hits           []hit
	total          *int
	next           *position
	monitor        *position // where a feed goes on once there is more
}

func (s *Service) historyBundle(ctx context.Context, c Call, g authz.Grant, ev audit.Event, p historyPage) (*Answer, error) {
	links := []model.Link{{Relation: "self", URL: s.Base + "/" + p.path + query(p.rawQuery)}}
	for _, l := range []struct {
		relation string
		at       *position
	}{{"next", p.next}, {"monitor", p.monitor}} {
		if l.at == nil {
			continue
		}
		url, err := s.nextLink(c, p.path, p.rawQuery, *l.at)
		if err != nil {
			return nil, err
		}
		links = append(links, model.Link{Relation: l.relation, URL: url})
	}
	entries, err := s.historyEntries(ctx, c, p.hits)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, e := range entries {
		size += len(e.Resource) + entryOverhead
	}
	w := model.NewBundle(make([]byte, 0, size+entryOverhead), model.Envelope{Type: model.History, Links: links, Total: p.total})
	for i, h := range p.hits {
		w.Add(entries[i])
		ev.Entities = append(ev.Entities, entity(h.stored.Head, h.stored.Record.Key.Type, uint64(h.stored.Record.Version), h.mask))
	}
	labels := s.mark(w, p.hits)
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: w.Finish(), labels: labels})
}

// entryOverhead is about what an entry has around its resource.
const entryOverhead = 512

func (s *Service) historyEntries(ctx context.Context, c Call, hits []hit) ([]model.Entry, error) {
	entries := make([]model.Entry, len(hits))
	err := inParallel(ctx, len(hits), func(i int) (err error) {
		entries[i], err = s.historyEntry(c, hits[i])
		return err
	})
	return entries, err
}

func (s *Service) historyEntry(c Call, h hit) (model.Entry, error) {
	rec := h.stored.Record
	path := rec.Key.Type + "/" + h.stored.Head.ID
	e := model.Entry{FullURL: s.Base + "/" + path, Request: &model.Request{Method: "PUT", URL: path},
		Response: &model.Response{Status: "200", ETag: c.tag(rec.Version)}}
	if !c.conceals() {
		e.Response.LastModified = instant(h.stored.Head.Updated)
	}
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
	e.Resource, e.Response.ETag, err = s.view(c, h.stored, h.mask)
	return e, err
}

func query(raw string) string {
	if raw == "" {
		return ""
	}
	return "?" + raw
}
