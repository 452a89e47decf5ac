package interaction

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// answerLife is how long an answer about other resources is believed. Writes of
// this process are seen at once, those of other nodes when it ends. Every node
// withholds by a new Consent within five seconds: two are left for a request
// that was judged just before, on a busy machine.
const answerLife = 3 * time.Second

// attributes answers what rules ask about one version. It implements
// authz.Attributes and consent.Content.
type attributes struct {
	s     *Service
	ctx   context.Context
	grant authz.Grant
	facts authz.Facts
	key   repository.Key
	st    *sealed.Stored // nil for a draft, which is tree
	tree  *fhir.Resource
	known *circle // of the subject, once it was asked for
}

var (
	_ authz.Attributes = (*attributes)(nil)
	_ consent.Content  = (*attributes)(nil)
)

// knowing adds to the facts of a stored version what rules may ask.
func (s *Service) knowing(ctx context.Context, g authz.Grant, f authz.Facts, st *sealed.Stored) authz.Facts {
	f.More = &attributes{s: s, ctx: ctx, grant: g, facts: f, key: st.Record.Key, st: st}
	return f
}

// knowingDraft is knowing for a version that is not stored yet.
func (s *Service) knowingDraft(ctx context.Context, g authz.Grant, f authz.Facts, r *fhir.Resource) authz.Facts {
	f.More = &attributes{s: s, ctx: ctx, grant: g, facts: f, key: s.Vault.Key(r.Type(), r.ID()), tree: r}
	return f
}

// open returns a tree that holds the classes at least.
func (a *attributes) open(classes field.ClassSet) (*fhir.Resource, error) {
	if a.st == nil {
		return a.tree, nil
	}
	return a.s.Vault.Open(a.st, classes)
}

// unknown denies, and has the interaction fail; or, when a bound was passed, has
// its event say so.
func (a *attributes) unknown(err error) (bool, error) {
	if errors.Is(err, errTooMany) {
		a.s.meter.bounded.Add(a.ctx, 1)
	}
	doubt(a.ctx, err)
	return false, err
}

func (a *attributes) circle() (c *circle, err error) {
	if a.known == nil {
		a.known, err = a.s.circleOf(a.ctx, a.grant.Subject().Who())
	}
	return a.known, err
}

// Related implements authz.Attributes.
func (a *attributes) Related() (bool, error) {
	if len(a.facts.Patients) == 0 {
		return false, nil
	}
	circle, err := a.circle()
	if err != nil {
		return a.unknown(err)
	}
	return slices.ContainsFunc(a.facts.Patients, circle.has), nil
}

// Consented implements authz.Attributes. What withholds is noted for the trail.
func (a *attributes) Consented() (bool, error) {
	if len(a.facts.Patients) == 0 {
		return false, nil
	}
	q, err := a.question()
	if err != nil {
		return a.unknown(err)
	}
	own, has := a.grant.Subject().PatientKey()
	for _, patient := range a.facts.Patients {
		list, err := a.s.consents.of(a.ctx, patient)
		if err != nil {
			return a.unknown(err)
		}
		q.Own = has && patient == own
		if v := consent.Decide(list, &q, a.s.ConsentBase); !v.Permitted {
			note(a.ctx, patient, v.By)
			return false, nil
		}
	}
	return true, nil
}

func (a *attributes) question() (consent.Question, error) {
	sub, r := a.grant.Subject(), a.grant.Request()
	q := consent.Question{Action: r.Action, Purpose: sub.Purpose(), Now: time.Now(), Resource: consent.Target{Type: a.key.Type, Key: a.key.ID},
		Security: a.facts.Security, Unlabelled: a.s.Unlabelled, Content: a}
	circle, err := a.circle()
	if err != nil {
		return q, err
	}
	q.Actors, q.Orgs = circle.actors, sub.Orgs()
	return q, nil
}

// Authored implements authz.Attributes.
func (a *attributes) Authored() (bool, error) {
	circle, err := a.circle()
	if err != nil {
		return a.unknown(err)
	}
	for _, code := range authorParameters {
		p := a.s.Catalog.Parameter(a.key.Type, code)
		if p == nil || p.Kind != search.ReferenceKind {
			continue
		}
		tree, err := a.open(p.Needs(search.NoModifier))
		if err != nil {
			return a.unknown(err)
		}
		found := false
		a.s.Catalog.Extract(p, tree, func(v *search.Value) bool {
			found = v.ID != "" && slices.Contains(circle.names, v.Type+"/"+v.ID)
			return !found
		})
		if found {
			return true, nil
		}
	}
	return false, nil
}

// authorParameters are the search parameters that lead to who wrote, recorded,
// performed or asked for something.
var authorParameters = []string{"author", "recorder", "asserter", "performer", "requester", "assessor", "sender", "enterer"}

// Adult implements authz.Attributes.
func (a *attributes) Adult() (bool, error) {
	for _, patient := range a.facts.Patients {
		adult, err := a.s.adults.of(a.ctx, patient)
		if err != nil {
			return a.unknown(err)
		}
		if !adult {
			return false, nil
		}
	}
	return len(a.facts.Patients) > 0, nil
}

// contentClasses are the classes that hold codes and times.
const contentClasses = field.ClassSet(1<<field.Clinical | 1<<field.Administrative)

// Codes implements consent.Content: every coding of the resource but those of
// its meta.
func (a *attributes) Codes() (codes []consent.Coding, ok bool) {
	tree, err := a.open(contentClasses)
	if err != nil {
		doubt(a.ctx, err)
		return nil, false
	}
	root := tree.Root()
	for i := range root.Len() {
		if m := root.At(i); m.Name() != "meta" {
			codings(m, func(system, code string) { codes = append(codes, consent.Coding{System: system, Code: code}) })
		}
	}
	return codes, true
}

// codings visits every object with a code and a system.
func codings(n *fhir.Node, visit func(system, code string)) {
	if n.Kind() == fhir.Object {
		system, code := n.Member("system"), n.Member("code")
		if system != nil && code != nil && system.Kind() == fhir.String && code.Kind() == fhir.String {
			visit(system.Text(), code.Text())
		}
	}
	for i := range n.Len() {
		codings(n.At(i), visit)
	}
}

// Period implements consent.Content: what the parameter date of the type finds.
func (a *attributes) Period() (from, until int64, ok bool) {
	p := a.s.Catalog.Parameter(a.key.Type, "date")
	if p == nil || p.Kind != search.Date {
		return 0, 0, false
	}
	tree, err := a.open(p.Needs(search.NoModifier))
	if err != nil {
		doubt(a.ctx, err)
		return 0, 0, false
	}
	from, until = search.EndOfTime, search.Beginning
	a.s.Catalog.Extract(p, tree, func(v *search.Value) bool {
		from, until, ok = min(from, v.From), max(until, v.Until), true
		return true
	})
	return from, until, ok
}
