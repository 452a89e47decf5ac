package interaction

import (
	"cmp"
	"context"
	"slices"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// maxLast bounds the parameter max of $lastn.
const maxLast = 100

// lastn answers Observation/$lastn (R4 observation-operation-lastn.html): of
// each code the most recent observations that match the search parameters.
// Those of one time stay together.
func (s *Service) lastn(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	n, err := in.args.count("max", maxLast)
	if err != nil {
		return nil, err
	}
	in.args.values.Del("max")
	raw := in.args.values.Encode()
	q, err := s.Catalog.ParseSearch([]string{in.Type}, raw, search.ParseOptions{Lenient: c.Lenient, Bases: []string{s.Base}})
	if err != nil {
		return nil, searchFailure(err)
	}
	if len(q.Sort) > 0 || q.Count >= 0 || !namesSubject(q.Expressions[0]) {
		return nil, fail(Malformed, nil, "$lastn takes patient or subject and other search parameters, but neither _sort nor _count")
	}
	x := s.newFinder(c, within{path: in.path(), types: []string{in.Type}})
	code, date := s.Catalog.Parameter(in.Type, "code"), s.Catalog.Parameter(in.Type, "date")
	if err := x.permitSearch(ctx, &in.ev, q); err != nil {
		return nil, err
	}
	for _, p := range []*search.Parameter{code, date} {
		if err := x.permitParameter(ctx, p); err != nil {
			return nil, err
		}
	}
	if err := x.resolve(ctx, q.Expressions); err != nil {
		return nil, err
	}
	l := newest{x: x, code: code, date: date, most: max(n, 1), of: map[string]*group{}}
	err = x.find(ctx, q.Expressions[0], code.Needs(search.NoModifier)|date.Needs(search.NoModifier), "", func() int { return candidatePage }, l.take)
	if err != nil {
		return nil, err
	}
	p := page{hits: l.hits()}
	for _, h := range p.hits {
		if !c.room.take(len(h.stored.Record.Body)) {
			return nil, answerTooLarge()
		}
	}
	if p.included, err = x.include(ctx, &in.ev, q, p.hits); err != nil {
		return nil, err
	}
	return s.searchset(ctx, c, x, in.ev, q, p)
}

func namesSubject(e *search.Expression) bool {
	return slices.ContainsFunc(e.Conditions, func(c *search.Condition) bool {
		p := c.Parameter
		if c.Link != nil {
			p = c.Link.Reference
		}
		return p != nil && (p.Code == "patient" || p.Code == "subject")
	})
}

// newest keeps the most recent observations of each code.
type newest struct {
	x          *finder
	code, date *search.Parameter
	most       int
	of         map[string]*group // by coding
	all        []*group
}

// group is one code: all codings that some observation names together.
type group struct {
	joined *group // the group that this one became a part of
	items  []dated
}

type dated struct {
	hit  hit
	when search.SortKeyValue
}

func (g *group) root() *group {
	for g.joined != nil {
		g = g.joined
	}
	return g
}

func (l *newest) take(h hit, _ string) bool {
	g := l.group(h.tree)
	when, _ := l.x.Catalog.SortValue(l.date, h.tree, true)
	h.tree, h.whole = nil, false
	g.items = append(g.items, dated{h, when})
	if len(g.items) > 4*l.most {
		g.trim(l.most)
	}
	return true
}

// group finds or makes the group of an observation's codings, and joins those
// that it shows to be one.
func (l *newest) group(tree *fhir.Resource) *group {
	var g *group
	keys := codingKeys(tree.Root().Member("code"))
	for _, key := range keys {
		if o := l.of[key]; o == nil {
			continue
		} else if o = o.root(); g == nil {
			g = o
		} else if g != o {
			g.items, o.items, o.joined = append(g.items, o.items...), nil, g
		}
	}
	if g == nil {
		g = &group{}
		l.all = append(l.all, g)
	}
	for _, key := range keys {
		l.of[key] = g
	}
	return g
}

// codingKeys name a code by its codings, or by its text when it has none.
func codingKeys(code *fhir.Node) (keys []string) {
	if list := code.Member("coding"); list != nil {
		for i := range list.Len() {
			keys = append(keys, list.At(i).Member("system").Text()+"|"+list.At(i).Member("code").Text())
		}
	}
	if len(keys) == 0 {
		keys = append(keys, "text:"+search.Fold(code.Member("text").Text()))
	}
	return keys
}

// trim keeps the first ones in order, and what has the time of the last.
func (g *group) trim(most int) {
	slices.SortStableFunc(g.items, func(a, b dated) int {
		return cmp.Or(search.CompareSort(a.when, b.when), cmp.Compare(b.hit.stored.Record.Updated, a.hit.stored.Record.Updated))
	})
	n := min(most, len(g.items))
	for n < len(g.items) && n > 0 && search.CompareSort(g.items[n-1].when, g.items[n].when) == 0 {
		n++
	}
	g.items = slices.Clip(g.items[:n])
}

func (l *newest) hits() (hits []hit) {
	for _, g := range l.all {
		g.trim(l.most)
		for _, d := range g.items {
			hits = append(hits, d.hit)
		}
	}
	return hits
}
