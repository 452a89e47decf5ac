package interaction

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// record collects what $everything answers: the resource itself, what lies in
// its compartment, and what those refer to. Every resource is a decision of
// its own, by the grants to search and to read its type.
type record struct {
	*finder
	in    *invocation
	focal repository.Key // zero on the type
	first *hit           // the focal resource; nil on the type
	query *search.Search
	types []string // of the parameter _type, nil for all
	since repository.Stamp
	care  careDates               // of start and end
	refs  map[repository.Key]bool // found in what was visited
	whole bool                    // refs is complete
}

// everything answers Patient/$everything and Encounter/$everything (R4
// patient-operation-everything.html, encounter-operation-everything.html).
// Without _count it is one Bundle that is streamed; with it, pages.
func (s *Service) everything(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	e := &record{in: in, refs: map[repository.Key]bool{}}
	count, err := e.read(s, c)
	if err != nil {
		return nil, err
	}
	g, err := s.decide(ctx, c, &in.ev, authz.Read, in.Type)
	if err != nil {
		return nil, err
	}
	if in.ID != "" {
		if e.first, err = e.open(ctx, g); err != nil {
			return nil, err
		}
	} else if !g.Unrestricted() { // R4: on the type it is for who may see all
		return nil, authz.ErrDenied
	}
	if err := e.prepare(ctx); err != nil {
		return nil, err
	}
	t := &stream{Service: s, call: e.call, grant: g, ev: in.ev}
	t.links = []model.Link{{Relation: "self", URL: s.Base + "/" + in.path() + query(in.args.values.Encode())}}
	t.w = model.NewBundle(nil, model.Envelope{Type: model.Searchset})
	return t.answer(ctx, e.page(ctx, t, count))
}

// read checks the parameters.
func (e *record) read(s *Service, c Call) (count int, err error) {
	in := e.in
	w := within{path: in.path(), every: true}
	if in.ID != "" {
		var f *Failure
		if w, f = s.compartment(in.Type, in.ID, "*"); f != nil {
			return 0, f
		}
		w.path, e.focal = in.path(), s.Vault.Key(in.Type, in.ID)
	} else {
		for _, t := range s.Definitions.ResourceTypes() {
			if len(s.Definitions.Compartment(in.Type).Params(t)) > 0 && t != auditEvent {
				w.types = append(w.types, t)
			}
		}
	}
	e.finder = s.newFinder(c, w)
	for _, list := range in.args.values["_type"] {
		for _, t := range strings.Split(list, ",") {
			if !s.Definitions.IsResource(t) {
				return 0, fail(Malformed, nil, "_type names an unknown resource type")
			}
			e.types = append(e.types, t)
		}
	}
	since, err := in.args.instant("_since")
	if err != nil {
		return 0, err
	}
	if !since.IsZero() {
		if c.conceals() {
			return 0, concealedTime("_since")
		}
		e.since = repository.Stamp(since.UnixMicro())
	}
	if e.care, err = newCareDates(in.args.values.Get("start"), in.args.values.Get("end")); err != nil {
		return 0, err
	}
	return in.args.count("_count", maxPage)
}

// open decides on the resource that everything is asked about.
func (e *record) open(ctx context.Context, g authz.Grant) (*hit, error) {
	st, err := e.load(ctx, e.in.Type, e.in.ID, "")
	if err != nil {
		return nil, e.erased(ctx, g, e.in.Type, e.in.ID, err)
	}
	mask, err := e.judge(ctx, g, st, false)
	if err != nil {
		return nil, err
	}
	e.in.ev.Entities = []audit.Entity{entity(st.Head, e.in.Type, uint64(st.Record.Version), 0)}
	return &hit{stored: st, mask: mask}, nil
}

// prepare makes an expression for each type that the caller may search; types
// that the caller may not are left out.
func (e *record) prepare(ctx context.Context) error {
	e.where.types = slices.DeleteFunc(slices.Clone(e.where.types), func(t string) bool { return !e.wants(t) && !e.needsAll() })
	var raw string
	if e.since != 0 {
		raw = search.EscapeQuery("_lastUpdated", "ge"+fhir.FormatInstant(instant(int64(e.since))))
	}
	if len(e.where.types) == 0 {
		e.query = &search.Search{}
		return nil
	}
	var err error
	if e.query, err = e.Catalog.ParseSearch(e.where.types, raw, search.ParseOptions{Bases: []string{e.Base}}); err != nil {
		return searchFailure(err)
	}
	var ev audit.Event
	if err := e.permitSearch(ctx, &ev, e.query); err != nil && !isDenied(err) {
		return err
	}
	return e.resolve(ctx, e.query.Expressions)
}

// needsAll reports whether types outside of _type must be visited too: what is
// asked for may only be referred to.
func (e *record) needsAll() bool {
	return slices.ContainsFunc(e.types, func(t string) bool { return len(e.Definitions.Compartment(e.in.Type).Params(t)) == 0 })
}

func (e *record) wants(resourceType string) bool {
	return e.types == nil || slices.Contains(e.types, resourceType)
}

// page yields the entries of one page, and sets the link to the next one.
// count 0 means all.
func (e *record) page(ctx context.Context, t *stream, count int) iter.Seq2[item, error] {
	return func(yield func(item, error) bool) {
		n, at := 0, e.in.from
		start := at.begins()
		if start && e.first != nil {
			body, err := e.refer(*e.first)
			if err != nil {
				yield(item{}, err)
				return
			}
			if e.wants(e.in.Type) && e.first.stored.Record.Updated >= e.since {
				if n++; !yield(item{*e.first, body, "match"}, nil) {
					return
				}
			}
		}
		e.whole = start
		for f, err := range e.from(ctx, at) {
			if err != nil {
				yield(item{}, err)
				return
			}
			if count > 0 && n == count {
				if err := e.next(t, at); err != nil {
					yield(item{}, err)
				}
				return
			}
			n, at = n+1, f.at
			if !yield(f.item, nil) {
				return
			}
		}
	}
}

func (e *record) next(t *stream, at position) error {
	at.Asked = 1 // no zero position: the resource itself is on the first page
	link, err := e.nextLink(e.call, e.where.path, e.in.args.values.Encode(), at)
	if err == nil {
		t.links = append(t.links, model.Link{Relation: "next", URL: link})
	}
	return err
}

// found is an entry with the position behind it.
type found struct {
	item
	at position
}

// from yields what stands behind a position: the compartment type by type, then
// what it refers to.
func (e *record) from(ctx context.Context, at position) iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		going := true
		for i := at.Type; i < len(e.query.Expressions) && going; i++ {
			after := ""
			if i == at.Type {
				after = string(at.After)
			}
			err := e.members(ctx, i, after, func(h hit, body []byte, after string) bool {
				if e.wants(h.stored.Record.Key.Type) {
					going = yield(found{item{h, body, "match"}, position{Type: i, After: []byte(after)}}, nil)
				}
				return going
			})
			if err != nil {
				yield(found{}, err)
				return
			}
		}
		if going {
			e.referred(ctx, at, yield)
		}
	}
}

// members visits the compartment's resources of one type.
func (e *record) members(ctx context.Context, i int, after string, visit func(h hit, body []byte, after string) bool) error {
	x := e.query.Expressions[i]
	read, err := e.grant(ctx, authz.Read, x.Type)
	if isDenied(err) {
		return nil
	}
	if err != nil {
		return err
	}
	opened := maskSet(0)
	if e.care.given {
		opened = whole
	}
	e.checked = 0 // bounded by the compartment and by what the client takes
	var failed error
	err = e.find(ctx, x, opened, after, func() int { return candidatePage }, func(h hit, after string) bool {
		e.checked = 0
		h.mask &= e.visible(ctx, read, h.stored)
		if h.mask == 0 || h.stored.Record.Key == e.focal || e.focal == (repository.Key{}) && len(h.stored.Head.Patients) == 0 {
			return true
		}
		if e.care.given && !e.care.holds(h.tree, e.Definitions) {
			return true
		}
		h.tree, h.whole = nil, false
		body, err := e.refer(h)
		if failed = err; err != nil {
			return false
		}
		return visit(h, body, after)
	})
	return errors.Join(err, failed)
}
