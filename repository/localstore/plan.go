package localstore

import (
	"math"
	"slices"

	"github.com/fieldseal/fieldseal/repository"
)

// plan says how a query is answered: what is intersected, and which conditions
// are tested against the forward rows of what the sources have in common.
type plan struct {
	sources []source
	byTime  bool     // the index by time leads; there are no sources
	tests   []clause // ORs of which the row must have one each
	row     bool     // the forward row is looked at
	empty   bool     // nothing can match
}

// clause is an OR of tokens, sorted, none twice.
type clause []repository.Token

// shortList is how many candidates are cheaper to test by their forward rows
// than by a seek in each of the other lists.
const shortList = 64

// planner chooses a plan. Lists of one token, and that of an owner, are leapt
// along: their intersection costs what the shortest costs. An OR of many tokens
// leads when it is the most selective, else it is tested. Nothing is estimated
// that the choice does not depend on.
type planner struct {
	f     *finder
	ones  []clause // of one token
	ors   []clause
	timed bool // Since or Until
}

func (f *finder) choose() (plan, error) {
	p := planner{f: f, timed: f.q.Since != 0 || f.q.Until != 0}
	for _, tokens := range f.q.All {
		c := clause(sortTokens(slices.Clone(tokens)))
		switch {
		case len(c) == 0:
			return plan{empty: true}, nil
		case len(c) > 1:
			p.ors = append(p.ors, c)
		case !slices.ContainsFunc(p.ones, func(d clause) bool { return d[0] == c[0] }):
			p.ones = append(p.ones, c)
		}
	}
	if f.after.timed {
		return p.byTime(), nil
	}
	lists, err := p.lists()
	if err != nil {
		return plan{}, err
	}
	return p.lead(lists)
}

// candidate is a list that could lead. clause is nil for the owner's.
type candidate struct {
	list   *list
	clause clause
	n      int // about how many entries it has
}

func (p *planner) lists() (lists []candidate, err error) {
	if p.f.q.Owner != nil {
		l, err := p.f.newList(appendCode(appendOwnerPrefix(nil, *p.f.q.Owner), p.f.code), false)
		if err != nil {
			return nil, err
		}
		lists = append(lists, candidate{list: l})
	}
	for _, c := range p.ones {
		l, err := p.f.newList(appendTokenPrefix(nil, p.f.code, c[0]), true)
		if err != nil {
			return nil, err
		}
		lists = append(lists, candidate{list: l, clause: c})
	}
	return lists, nil
}

// lead decides who leads.
func (p *planner) lead(lists []candidate) (plan, error) {
	switch {
	case len(p.ors) == 0 && !p.timed && len(lists) > 0:
		return p.leap(lists, nil)
	case len(p.ors) == 1 && !p.timed && len(lists) == 0:
		return p.leap(nil, p.ors[0])
	case len(p.ors) == 0 && !p.timed:
		return p.scan()
	}
	shortest, err := p.shortest(lists)
	if err != nil {
		return plan{}, err
	}
	if shortest != nil && shortest.n <= shortList {
		return p.short(shortest), nil
	}
	return p.rival(lists, shortest)
}

// shortest estimates the lists until one is short enough to lead in any case.
func (p *planner) shortest(lists []candidate) (best *candidate, err error) {
	for i := range lists {
		c := &lists[i]
		if c.n, err = p.f.estimateList(c.list); err != nil {
			return nil, err
		}
		if best == nil || c.n < best.n {
			best = c
		}
		if best.n <= shortList {
			break
		}
	}
	return best, nil
}

// rival sees whether an OR or the index by time selects more than the shortest
// list does.
func (p *planner) rival(lists []candidate, shortest *candidate) (plan, error) {
	var leader clause
	least := math.MaxInt32
	if shortest != nil {
		least = shortest.n
	}
	for _, c := range p.ors {
		n, err := p.f.estimateOr(c, least)
		if err != nil {
			return plan{}, err
		}
		if n < least {
			least, leader = n, c
		}
	}
	if p.timed && p.f.after == (position{}) && !p.f.unmoved {
		n, err := p.f.estimateTime()
		if err != nil {
			return plan{}, err
		}
		if n < least || leader == nil && len(lists) == 0 {
			return p.byTime(), nil
		}
	}
	if leader == nil && len(lists) == 0 {
		return p.scan()
	}
	return p.leap(lists, leader)
}

// leap intersects the lists and the leading OR; the other ORs are tested.
func (p *planner) leap(lists []candidate, leader clause) (plan, error) {
	pl := plan{row: p.timed}
	if leader != nil {
		u, err := p.f.newUnion(leader)
		if err != nil {
			return plan{}, err
		}
		pl.sources = append(pl.sources, u)
	}
	for _, c := range lists {
		c.list.restart()
		pl.sources = append(pl.sources, c.list)
	}
	for _, c := range p.ors {
		if leader == nil || &c[0] != &leader[0] {
			pl.tests = append(pl.tests, c)
		}
	}
	pl.row = pl.row || len(pl.tests) > 0
	return pl, nil
}

// short reads one list and tests everything else.
func (p *planner) short(lead *candidate) plan {
	lead.list.restart()
	pl := plan{sources: []source{lead.list}, tests: p.ors, row: true}
	for _, c := range p.ones {
		if lead.clause == nil || c[0] != lead.clause[0] {
			pl.tests = append(pl.tests, c)
		}
	}
	return pl
}

// byTime reads the index by time and tests every clause.
func (p *planner) byTime() plan {
	tests := append(p.ors, p.ones...)
	return plan{byTime: true, tests: tests, row: len(tests) > 0 || p.f.q.Owner != nil}
}

// scan reads the whole type: to count it the index by time is the smallest, in
// order of creation there are forward rows. Records of format 1 have neither.
func (p *planner) scan() (plan, error) {
	if p.f.counting && !p.f.unmoved {
		return p.byTime(), nil
	}
	kind := byte(kindForward)
	if p.f.unmoved {
		kind = kindRecord
	}
	l, err := p.f.newList(appendTypePrefix(nil, kind, p.f.code), false)
	return plan{sources: []source{l}, tests: p.ors, row: p.timed || len(p.ors) > 0}, err
}
