package interaction

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/event"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

const auditEvent = "AuditEvent"

// Page sizes of an AuditEvent search.
const (
	defaultAuditPage = 50
	maxAuditPage     = 500
)

// Trail is what the service reads of the audit trail.
type Trail interface {
	Search(ctx context.Context, q trail.Query) ([]audit.Entry, error)
	Get(ctx context.Context, origin string, seq uint64) (audit.Entry, error)
	OpenIntents(ctx context.Context) ([]audit.Entry, error)
}

// readAuditEvent renders one event of the trail (R4 auditevent.html).
func (s *Service) readAuditEvent(ctx context.Context, c Call, ev audit.Event, id string) (*Answer, error) {
	ev.Entities = []audit.Entity{{Type: auditEvent, ID: id}}
	g, err := s.decide(ctx, c, &ev, authz.Read, auditEvent)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	origin, seq, ok := event.ParseID(id)
	if !ok {
		return nil, s.refuse(ctx, ev, repository.ErrNotFound)
	}
	entry, err := s.Trail.Get(ctx, origin, seq)
	if errors.Is(err, trail.ErrNotFound) {
		err = repository.ErrNotFound
	}
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	own, ok := s.ownPart(g, entry)
	if !ok {
		return nil, s.refuse(ctx, ev, repository.ErrNotFound)
	}
	body, err := event.Render(own, s.Base)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: body, etag: versionTag(1), modified: entry.Time})
}

// ownPart is what of an event the grant shows: all of it to who may see every
// event, to others only the entities of compartments that are theirs.
func (s *Service) ownPart(g authz.Grant, e audit.Entry) (audit.Entry, bool) {
	if g.Unrestricted() {
		return e, true
	}
	var mine []audit.Entity
	for _, en := range e.Entities {
		for i, p := range en.Patients {
			if g.Mask(authz.Facts{Owner: p, Patients: []audit.Owner{p}}) == 0 {
				continue
			}
			part := en
			part.Patients, part.PatientIDs = en.Patients[i:i+1], en.PatientIDs[i:i+1]
			mine = append(mine, part)
			break
		}
	}
	e.Entities, e.Query = mine, ""
	return e, len(mine) > 0
}

// searchAuditEvents answers patient, agent, date and type, newest first.
func (s *Service) searchAuditEvents(ctx context.Context, c Call, ev audit.Event, rawQuery string) (*Answer, error) {
	ev.Entities = []audit.Entity{{Type: auditEvent}}
	g, err := s.decide(ctx, c, &ev, authz.Search, auditEvent)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	rawQuery, from, err := s.resume(c, auditEvent, rawQuery)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	ev.Query = rawQuery
	q, err := s.auditQuery(ctx, &ev, rawQuery)
	if from.Event != nil {
		q.Before = *from.Event
	}
	if err == nil {
		err = s.ownQuery(g, &q, &ev)
	}
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	entries, err := s.auditEntries(ctx, q, &ev)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	body, err := s.auditBundle(c, g, q, entries, rawQuery)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: body})
}

// auditEntries searches the trail. A patient without keys has no events: a
// guessed id must not make keys.
func (s *Service) auditEntries(ctx context.Context, q trail.Query, ev *audit.Event) ([]audit.Entry, error) {
	if ids := ev.Entities[0].PatientIDs; q.Patient != nil && !s.Vault.HasKeys(ctx, ids[0]) {
		ev.Entities[0].Patients, ev.Entities[0].PatientIDs = nil, nil
		gone, err := s.Vault.Forgotten(ctx, ids[0])
		if err == nil && gone {
			err = sealed.ErrErased
		}
		return nil, err
	}
	return s.Trail.Search(ctx, q)
}

// ownQuery narrows a search to the caller's compartment where the grant is
// limited to it, and names the patient in the event of this search.
func (s *Service) ownQuery(g authz.Grant, q *trail.Query, ev *audit.Event) error {
	if key, ok := g.Subject().PatientKey(); !g.Unrestricted() {
		if !ok || q.Patient != nil && *q.Patient != key {
			return fail(Denied, nil, "the caller may search the events of the own compartment only")
		}
		q.Patient = &key
		ev.Entities[0].PatientIDs = []string{g.Subject().Patient()}
	}
	if ids := ev.Entities[0].PatientIDs; len(ids) == 1 {
		ev.Entities[0].Patients = []audit.Owner{*q.Patient}
	}
	return nil
}

func (s *Service) auditBundle(c Call, g authz.Grant, q trail.Query, entries []audit.Entry, rawQuery string) ([]byte, error) {
	links := []model.Link{{Relation: "self", URL: s.Base + "/AuditEvent" + query(rawQuery)}}
	if len(entries) == q.Limit {
		at := trail.PositionOf(entries[len(entries)-1])
		next, err := s.nextLink(c, auditEvent, rawQuery, position{Event: &at})
		if err != nil {
			return nil, err
		}
		links = append(links, model.Link{Relation: "next", URL: next})
	}
	w := model.NewBundle(nil, model.Envelope{Type: model.Searchset, Links: links})
	for _, e := range entries {
		own, ok := s.ownPart(g, e)
		if !ok {
			continue
		}
		body, err := event.Render(own, s.Base)
		if err != nil {
			return nil, err
		}
		if !c.room.take(len(body)) {
			return nil, answerTooLarge()
		}
		w.Add(model.Entry{FullURL: s.Base + "/AuditEvent/" + event.ID(e.Origin, e.Seq), Resource: body, Search: "match"})
	}
	return w.Finish(), nil
}

// auditQuery reads the search parameters that the trail answers.
func (s *Service) auditQuery(ctx context.Context, ev *audit.Event, rawQuery string) (trail.Query, error) {
	q := trail.Query{Limit: defaultAuditPage}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, fail(Malformed, err, "the query string is malformed")
	}
	for name, vs := range values {
		for _, v := range vs {
			if f := s.auditParameter(ctx, ev, &q, name, v); f != nil {
				return q, f
			}
		}
	}
	return q, nil
}

func (s *Service) auditParameter(ctx context.Context, ev *audit.Event, q *trail.Query, name, value string) error {
	bad := func(what string) error { return fail(Malformed, nil, "search parameter %s: %s", name, what) }
	switch name {
	case "patient":
		id := strings.TrimPrefix(strings.TrimPrefix(value, s.Base+"/"), "Patient/")
		if !fhir.ValidID(id) {
			return bad("a reference to a Patient is needed")
		}
		owner := audit.Owner(s.Vault.PatientOwner(id))
		q.Patient = &owner
		ev.Entities[0].PatientIDs = []string{id}
	case "agent":
		q.Agent = strings.TrimPrefix(value, s.Base+"/")
	case "date":
		return auditDate(q, value, bad)
	case "type":
		system, code, found := strings.Cut(value, "|")
		if !found {
			system, code = "", value
		}
		kinds := event.Kinds(system, code)
		if kinds == nil {
			kinds = []audit.Kind{"none"} // matches nothing, as an unknown code does
		}
		q.Kinds = append(q.Kinds, kinds...)
	case "_count":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return bad("a positive number is needed")
		}
		q.Limit = min(n, maxAuditPage)
	case "_format", "_pretty":
	default:
		f := fail(Malformed, nil, "unknown search parameter %s; AuditEvent answers patient, agent, date and type", strconv.Quote(clip(name)))
		f.Issues[0].Code = "not-supported"
		return f
	}
	return nil
}

// clip keeps a client's parameter name from filling an answer.
func clip(s string) string { return s[:min(len(s), 40)] }

// auditDate narrows the interval by one date value with its prefix (R4
// search.html#date); implied precision makes every value an interval.
func auditDate(q *trail.Query, value string, bad func(string) error) error {
	prefix := "eq"
	if len(value) > 2 && value[0] >= 'a' {
		prefix, value = value[:2], value[2:]
	}
	from, to, ok := dateInterval(value)
	if !ok {
		return bad("a date or dateTime is needed")
	}
	switch prefix {
	case "eq":
	case "ge":
		to = time.Time{}
	case "gt", "sa":
		from, to = to, time.Time{}
	case "le":
		from = time.Time{}
	case "lt", "eb":
		from, to = time.Time{}, from
	default:
		return bad("the prefixes are eq, ge, gt, le, lt, sa and eb")
	}
	if from.After(q.From) {
		q.From = from
	}
	if !to.IsZero() && (q.To.IsZero() || to.Before(q.To)) {
		q.To = to
	}
	return nil
}

// dateInterval is the half-open interval of a FHIR date in UTC.
func dateInterval(v string) (from, to time.Time, ok bool) {
	for _, f := range []struct {
		layout  string
		y, m, d int
		span    time.Duration
	}{{"2006", 1, 0, 0, 0}, {"2006-01", 0, 1, 0, 0}, {"2006-01-02", 0, 0, 1, 0}, {"2006-01-02T15:04", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04:05", 0, 0, 0, time.Second}, {"2006-01-02T15:04:05Z07:00", 0, 0, 0, time.Second}} {
		if t, err := time.Parse(f.layout, v); err == nil {
			return t, t.AddDate(f.y, f.m, f.d).Add(f.span), true
		}
	}
	return from, to, false
}
