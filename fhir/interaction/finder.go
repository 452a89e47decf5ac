package interaction

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// maxCandidates bounds how many records one request may recheck, chains and
// included resources among them (decision 25).
const maxCandidates = 50_000

// candidatePage is how many records are fetched from the engine at most.
const candidatePage = 200

// hit is a visible match and what of it may be seen.
type hit struct {
	stored *sealed.Stored
	mask   field.ClassSet
	// tree holds the classes that were opened to compare; whole says that these
	// are all that may be seen. It is nil when nothing was opened.
	tree  *fhir.Resource
	whole bool
	// json is what the tree was read from, when that is the answer too.
	json []byte
}

// finder answers one search for one caller. It is not safe for concurrent use.
type finder struct {
	*Service
	call    Call
	where   within
	first   authz.Grant // of the first type searched: it releases the answer
	grants  map[authz.Request]decision
	links   map[*search.Link]sealed.LinkSet
	codes   map[*search.Condition][]string // of conditions that ask for concepts
	matcher search.Matcher
	checked int // candidates
	matched int
	read    int // index entries
}

type decision struct {
	grant authz.Grant
	err   error
}

func (s *Service) newFinder(c Call, w within) *finder {
	x := &finder{Service: s, call: c, where: w, grants: map[authz.Request]decision{}, links: map[*search.Link]sealed.LinkSet{},
		codes: map[*search.Condition][]string{}}
	x.matcher = search.Matcher{Catalog: s.Catalog, Terminology: subsumption{s.Terminology}, Links: x, Now: time.Now()}
	return x
}

// grant decides an action on a type once.
func (x *finder) grant(ctx context.Context, action authz.Action, resourceType string) (authz.Grant, error) {
	r := authz.Request{Action: action, Type: resourceType}
	d, known := x.grants[r]
	if !known {
		d.grant, d.err = x.Decider.Decide(ctx, x.call.Subject, r)
		if d.err == nil && !d.grant.Allowed() {
			d.err = authz.ErrDenied
		}
		x.grants[r] = d
	}
	return d.grant, d.err
}

func isDenied(err error) bool { return errors.Is(err, authz.ErrDenied) }

// whole opens everything that the caller may see, for matches that are shown.
const whole = field.AllClasses

// find yields the visible matches of an expression behind a position, in the
// engine's order, until yield says stop. Of each candidate it opens the classes
// that the conditions read and those in open. want says how many more matches
// are of use.
func (x *finder) find(ctx context.Context, e *search.Expression, open field.ClassSet, after string, want func() int, yield func(h hit, after string) bool) error {
	g, err := x.grant(ctx, authz.Search, e.Type)
	if err != nil {
		return err
	}
	plan, err := x.plan(ctx, g, e, false)
	if err != nil {
		return err
	}
	f := candidates{x: x, g: g, e: e, classes: open | reads(e), yield: yield}
	if plan.Keys != nil {
		return f.keys(ctx, plan.Keys, after)
	}
	q := plan.Query
	for q.After = repository.Cursor(after); ; {
		q.Limit = min(max(want(), 1), candidatePage)
		if f.wasted {
			q.Limit = candidatePage
		}
		page, err := x.Store.Find(ctx, q)
		if err != nil {
			return err
		}
		x.read += page.Read
		if more, err := f.records(ctx, page.Records); err != nil || !more {
			return err
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}

// plan narrows to what the caller is confined to, so that nobody's search
// walks over the records of others.
func (x *finder) plan(ctx context.Context, g authz.Grant, e *search.Expression, estimate bool) (sealed.Plan, error) {
	scope := sealed.Scope{Links: x.links, Codes: x.codes, Now: x.matcher.Now, Estimate: estimate}
	if m := x.where.compartment; m != nil && m.code == "Patient" && x.searched(e) {
		scope.Patients = []repository.Owner{repository.Owner(m.key)}
	} else if key, ok := g.Confined(); ok {
		scope.Patients = []repository.Owner{repository.Owner(key)}
	} else if g.Related() {
		circle, err := x.circleOf(ctx, g.Subject().Who())
		if err != nil {
			return sealed.Plan{}, err
		}
		scope.Patients = circle.owners()
		if own, has := g.Subject().PatientKey(); has {
			scope.Patients = append(scope.Patients, repository.Owner(own))
		}
	}
	return x.Vault.Plan(ctx, e, scope)
}

// searched tells the expressions of the search itself from those inside of
// chains.
func (x *finder) searched(e *search.Expression) bool {
	_, ok := x.where.members[e]
	return ok
}

// reads are the classes that the conditions of an expression read on its own
// type.
func reads(e *search.Expression) (classes field.ClassSet) {
	for _, c := range e.Conditions {
		switch {
		case c.Link == nil:
			classes |= c.Parameter.Needs(c.Modifier)
		case !c.Link.Reverse:
			classes |= c.Link.Reference.Needs(search.NoModifier)
		}
	}
	return classes
}

// candidates rechecks records of one expression.
type candidates struct {
	x       *finder
	g       authz.Grant
	e       *search.Expression
	classes field.ClassSet
	yield   func(hit, string) bool
	wasted  bool // a candidate was no match: small pages do not pay
}

func (f *candidates) records(ctx context.Context, recs []repository.Record) (more bool, err error) {
	for _, rec := range recs {
		st, err := f.x.Vault.Adopt(ctx, rec)
		if errors.Is(err, sealed.ErrErased) {
			continue
		}
		if err != nil {
			return false, err
		}
		if more, err := f.offer(ctx, st, string(rec.Position)); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// keys looks at single resources, which stand in the order of their storage
// ids. A position among them is such an id.
func (f *candidates) keys(ctx context.Context, keys []repository.Key, after string) error {
	for _, key := range keys {
		position := hex.EncodeToString(key.ID[:])
		if position <= after {
			continue
		}
		st, err := f.x.Vault.Load(ctx, key)
		if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
			continue
		}
		if err != nil {
			return err
		}
		if more, err := f.offer(ctx, st, position); err != nil || !more {
			return err
		}
	}
	return nil
}

// offer rechecks one candidate and yields it when it is a visible match.
func (f *candidates) offer(ctx context.Context, st *sealed.Stored, after string) (more bool, err error) {
	x := f.x
	if x.checked++; x.checked > maxCandidates {
		return false, tooCostly(f.e)
	}
	if x.checked%64 == 0 && ctx.Err() != nil {
		return false, ctx.Err()
	}
	mask := x.visible(ctx, f.g, st)
	if mask == 0 || st.Head.Deleted || !x.inside(f.e, st) {
		return true, nil
	}
	h := hit{stored: st, mask: mask, whole: f.classes.Contains(mask)}
	if h.whole && x.call.shows(mask) {
		h.tree, h.json, err = x.Vault.OpenAll(st)
	} else {
		open := mask & f.classes
		if !mask.Contains(f.classes) {
			open |= mask & field.Set(field.Limited) // something may stand in for what is hidden
		}
		h.tree, err = x.Vault.Open(st, open)
	}
	if err != nil {
		return false, err
	}
	searched := x.searchedOf(h)
	ok, err := x.matcher.Match(ctx, f.e, searched)
	if err != nil {
		return false, searchFailure(err)
	}
	if !ok || x.earlier(f.e, searched) {
		f.wasted = true
		return true, nil
	}
	x.matched++
	return f.yield(h, after), nil
}

// searchedOf is what a search reads of a hit.
func (x *finder) searchedOf(h hit) *fhir.Resource { return x.Redactor.Searched(h.tree, h.mask) }

func tooCostly(e *search.Expression) *Failure {
	names := "add a parameter such as patient, identifier or code"
	if len(e.Conditions) > 0 {
		names = "narrow"
		for i, c := range e.Conditions {
			names += [2]string{" ", ", "}[min(i, 1)] + c.Name
		}
		names += " or add a parameter such as patient, identifier or code"
	}
	f := fail(Unprocessable, nil, "the search on %s would have to look at more than %d resources; %s", e.Type, maxCandidates, names)
	f.Issues[0].Code = "too-costly"
	return f
}

func searchFailure(err error) error {
	var pe *search.ParameterError
	var ue *search.UndecidedError
	switch {
	case errors.As(err, &ue):
		return undecided(ue)
	case !errors.As(err, &pe):
		return err
	}
	f := fail(Malformed, err, "%s", pe.Error())
	f.Issues[0].Expression = parameterPath(pe.Parameter)
	if errors.Is(err, search.ErrNotOffered) || errors.Is(err, search.ErrUnknownParameter) {
		f.Issues[0].Code = "not-supported"
	}
	return f
}

// Linked implements search.Links: a chain's target is among what was found.
func (x *finder) Linked(l *search.Link, resourceType, id string) bool {
	_, ok := x.links[l][x.Vault.Key(resourceType, id)]
	return ok
}

// Referring implements search.Links: a resource is among those that what was
// found refers to.
func (x *finder) Referring(l *search.Link, resourceType, id string) bool {
	return x.Linked(l, resourceType, id)
}
