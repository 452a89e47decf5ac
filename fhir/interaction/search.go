package interaction

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// Page sizes of a search.
const (
	defaultPage = 20
	maxPage     = 1000
)

// within is where a search looks: the types (none means every type that the
// query names with _type), below a compartment or not.
type within struct {
	path        string // below the base
	types       []string
	compartment *membership // nil outside of a compartment
	every       bool        // the types are all that may be looked at, not a demand
	members     map[*search.Expression]member
}

// Search answers the resources of one type (R4 http.html#search). The query is
// what a URL or a form holds.
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
	return s.searched(ctx, c, ev, within{path: resourceType, types: []string{resourceType}}, rawQuery)
}

// SearchSystem answers resources of the types that _type names (R4
// search.html#all).
func (s *Service) SearchSystem(ctx context.Context, c Call, rawQuery string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Search)
	defer func() { end(err) }()
	ev := begin(c, audit.Execute, "search-system")
	ev.Query = rawQuery
	return s.searched(ctx, c, ev, within{}, rawQuery)
}

// SearchCompartment answers resources of one type, or of every type for "*",
// in a compartment (R4 http.html#vsearch).
func (s *Service) SearchCompartment(ctx context.Context, c Call, code, id, resourceType, rawQuery string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Search)
	defer func() { end(err) }()
	ev := begin(c, audit.Execute, "search-type")
	ev.Query = rawQuery
	id, err = s.meant(c, id)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	w, f := s.compartment(code, id, resourceType)
	if f != nil {
		return nil, s.refuse(ctx, ev, f)
	}
	return s.searched(ctx, c, ev, w, rawQuery)
}

func (s *Service) searched(ctx context.Context, c Call, ev audit.Event, w within, rawQuery string) (*Answer, error) {
	a, err := s.search(ctx, c, ev, w, rawQuery)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	return a, nil
}

func (s *Service) search(ctx context.Context, c Call, ev audit.Event, w within, rawQuery string) (*Answer, error) {
	rawQuery, from, err := s.resume(c, w.path, rawQuery)
	if err != nil {
		return nil, err
	}
	ev.Query = rawQuery
	q, err := s.Catalog.ParseSearch(w.types, rawQuery, search.ParseOptions{Lenient: c.Lenient, Bases: []string{s.Base}})
	if err != nil {
		return nil, searchFailure(err)
	}
	x := s.newFinder(c, w)
	if from.Asked != 0 { // every page of a search is of one moment
		x.matcher.Now = time.UnixMicro(from.Asked)
	}
	if err := x.permitSearch(ctx, &ev, q); err != nil {
		return nil, err
	}
	if err := x.resolve(ctx, q.Expressions); err != nil {
		return nil, err
	}
	p, err := x.page(ctx, q, from)
	if err != nil {
		return nil, err
	}
	if p.next != nil {
		p.next.Asked = x.matcher.Now.UnixMicro()
	}
	if p.included, err = x.include(ctx, &ev, q, p.hits); err != nil {
		return nil, err
	}
	return s.searchset(ctx, c, x, ev, q, p)
}

// page is one page of matches.
type page struct {
	hits     []hit
	included []hit
	next     *position // nil on the last page
	total    *int
}

// page finds what the search asks for: matches in the order wanted, or their
// number alone.
func (x *finder) page(ctx context.Context, q *search.Search, from position) (p page, err error) {
	count := defaultPage
	if q.Count >= 0 {
		count = min(q.Count, maxPage)
	}
	if q.Summary == search.SummaryCount || count == 0 {
		p.total, err = x.total(ctx, q)
		return p, err
	}
	if len(q.Sort) > 0 {
		p, err = x.sorted(ctx, q, from, count)
	} else {
		p, err = x.inOrder(ctx, q, from, count)
	}
	if err == nil && p.total == nil && q.Total != search.TotalNone {
		p.total, err = x.total(ctx, q)
	}
	return p, err
}

// inOrder finds matches type by type in the engine's order. The match beyond
// the page only shows that there is a next page.
func (x *finder) inOrder(ctx context.Context, q *search.Search, from position, count int) (p page, err error) {
	fits := true
	for i := from.Type; i < len(q.Expressions) && p.next == nil; i++ {
		at := position{Type: i}
		if i == from.Type {
			at = from
		}
		err := x.find(ctx, q.Expressions[i], whole, string(at.After), func() int { return count - len(p.hits) + 1 }, func(h hit, after string) bool {
			if len(p.hits) == count || !x.call.room.take(len(h.stored.Record.Body)) {
				fits, p.next = len(p.hits) > 0, &at
				return false
			}
			p.hits, at = append(p.hits, h), position{Type: i, After: []byte(after)}
			return true
		})
		if err != nil {
			return page{}, err
		}
	}
	if !fits {
		return page{}, answerTooLarge()
	}
	if p.next == nil && from.Asked == 0 {
		n := len(p.hits)
		p.total = &n
	}
	return p, nil
}

// searchset renders a page and records what it discloses.
func (s *Service) searchset(ctx context.Context, c Call, x *finder, ev audit.Event, q *search.Search, p page) (*Answer, error) {
	w, err := s.searchBundle(c, x, q, p)
	if err != nil {
		return nil, err
	}
	var buf []byte // for one resource after the other: the Bundle copies it
	for i, h := range slices.Concat(p.hits, p.included) {
		mode := "match"
		if i >= len(p.hits) {
			mode = "include"
		}
		body := h.json
		if body == nil || q.Summary != search.SummaryFalse || len(q.Elements) > 0 {
			if buf, err = s.shaped(c, slices.Grow(buf[:0], len(h.stored.Record.Body)), q, h, mode); err != nil {
				return nil, err
			}
			body = buf
		}
		typ := h.stored.Record.Key.Type
		w.Add(model.Entry{FullURL: s.Base + "/" + typ + "/" + h.stored.Head.ID, Resource: body, Search: mode})
		ev.Entities = append(ev.Entities, entity(h.stored.Head, typ, uint64(h.stored.Record.Version), h.mask))
	}
	if len(q.Ignored) > 0 {
		w.Add(model.Entry{Resource: model.OperationOutcome(q.Ignored), Search: "outcome"})
	}
	x.measure(ctx)
	labels := s.mark(w, p.hits, p.included)
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, x.first, receipt, Answer{status: http.StatusOK, body: w.Finish(), labels: labels})
}

// shaped appends what view shows, without what _summary and _elements leave out.
func (s *Service) shaped(c Call, dst []byte, q *search.Search, h hit, mode string) ([]byte, error) {
	elements := len(q.Elements) > 0 && mode == "match"
	if !h.whole && q.Summary == search.SummaryFalse && !elements && c.shows(h.mask) {
		return s.Vault.AppendOpen(dst, h.stored)
	}
	tree := h.tree
	if !h.whole {
		var err error
		if tree, err = s.Vault.Open(h.stored, h.mask); err != nil {
			return nil, err
		}
	}
	s.redact(c, tree, h.mask)
	switch {
	case q.Summary == search.SummaryTrue:
		s.shaper.Summary(tree)
	case q.Summary == search.SummaryText:
		s.shaper.Text(tree)
	case q.Summary == search.SummaryData:
		s.shaper.Data(tree)
	case elements:
		s.shaper.Elements(tree, q.Elements)
	}
	return tree.AppendJSON(dst), nil
}

// permitSearch refuses a search that reads what role and scope hide, before
// anything is looked at (decision 16).
func (x *finder) permitSearch(ctx context.Context, ev *audit.Event, q *search.Search) error {
	x.where.every = x.where.every || q.Everything
	var kept []int
	for i, e := range q.Expressions {
		if e.Type == auditEvent {
			if x.where.every {
				continue
			}
			return fail(Malformed, nil, "AuditEvent is searched at [base]/AuditEvent, by itself")
		}
		g, err := x.grant(ctx, authz.Search, e.Type)
		if x.where.every && isDenied(err) {
			continue
		}
		if err == nil {
			err = x.permit(ctx, e)
		}
		if err != nil {
			return err
		}
		if !x.first.Allowed() {
			x.first, ev.PolicyRevision = g, g.Revision()
		}
		kept = append(kept, i)
	}
	if len(kept) == 0 {
		return authz.ErrDenied
	}
	keep(q, kept)
	if err := x.permitShape(ctx, q); err != nil {
		return err
	}
	return x.enter(ctx, q)
}

// keep leaves the expressions of the indices, and what orders them.
func keep(q *search.Search, indices []int) {
	if len(indices) == len(q.Expressions) {
		return
	}
	expressions := make([]*search.Expression, len(indices))
	sort := slices.Clone(q.Sort)
	for k := range sort {
		sort[k].Parameters = make([]*search.Parameter, len(indices))
	}
	for to, from := range indices {
		expressions[to] = q.Expressions[from]
		for k := range sort {
			sort[k].Parameters[to] = q.Sort[k].Parameters[from]
		}
	}
	q.Expressions, q.Sort = expressions, sort
}

// permitShape is permit for what orders and follows.
func (x *finder) permitShape(ctx context.Context, q *search.Search) error {
	for _, key := range q.Sort {
		for _, p := range key.Parameters {
			if err := errors.Join(x.permitParameter(ctx, p), x.permitOrder(p)); err != nil {
				return err
			}
		}
	}
	for _, in := range q.Includes {
		if err := x.permitInclude(ctx, in); err != nil {
			return err
		}
	}
	return nil
}
