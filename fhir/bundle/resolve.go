package bundle

import (
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// Resolver answers what a plan cannot know.
type Resolver interface {
	// AssignID returns a fresh logical id for the entry's resource.
	AssignID(e *Entry) (string, error)
	// Match returns the ids of the resources that match, at most two: two mean
	// that the criteria are ambiguous. The query is the part after the "?".
	Match(resourceType, query string) (ids []string, err error)
}

// Resolve fixes the identity of every write and, in a transaction, rewrites
// the references (R4 http.html#trules). It returns fhir.Issues for what the
// client has to mend, and the Resolver's own error unchanged. Equal criteria
// are asked once. In a batch an ambiguous condition is kept in the entry's
// Issues, and no reference is rewritten: its entries are independent.
func (p *Plan) Resolve(r Resolver) error {
	matches := matcher{resolver: r, known: map[string][]string{}}
	var all fhir.Issues
	for _, e := range p.entries {
		if len(e.Issues) > 0 {
			continue
		}
		issues, err := e.identify(&matches)
		if err != nil {
			return err
		}
		all = append(all, issues...)
	}
	all = append(all, p.DuplicateTargets()...)
	if !p.transaction {
		return nil
	}
	if all.HasErrors() {
		return all
	}
	p.collectTargets()
	return p.rewriteAll(&matches)
}

type matcher struct {
	resolver Resolver
	known    map[string][]string
}

func (m *matcher) match(typ, query string) ([]string, error) {
	key := typ + "?" + query
	if ids, ok := m.known[key]; ok {
		return ids, nil
	}
	ids, err := m.resolver.Match(typ, query)
	if err != nil {
		return nil, err
	}
	m.known[key] = ids
	return ids, nil
}

// identify fills ID and Existing.
func (e *Entry) identify(m *matcher) (fhir.Issues, error) {
	query, member := e.Query, "request.url"
	if e.Method == "POST" {
		query, member = e.IfNoneExist, "request.ifNoneExist"
	}
	if e.writes() && query != "" {
		ids, err := m.match(e.Type, query)
		switch {
		case err != nil:
			return nil, err
		case len(ids) > 1:
			return fhir.Issues{e.add(issue("multiple-matches", e.path(member), "the criteria match several resources"))}, nil
		case len(ids) == 1:
			return e.matched(ids[0]), nil
		}
	}
	return e.unmatched(m.resolver)
}

func (e *Entry) matched(id string) fhir.Issues {
	if e.Method == "PUT" && e.Resource.ID() != "" && e.Resource.ID() != id {
		return fhir.Issues{e.add(invalid(e.path("resource.id"), "another id than the resource that matches"))}
	}
	e.ID, e.Existing = id, e.Method == "POST"
	return nil
}

// unmatched gives new resources their id. A conditional delete without a
// match keeps none and deletes nothing; a conditional update keeps the
// client's id when there is one (R4 http.html#cond-update).
func (e *Entry) unmatched(r Resolver) (fhir.Issues, error) {
	switch {
	case e.ID != "" || !e.writes() || e.Method == "DELETE":
		return nil, nil
	case e.Method == "PATCH":
		return fhir.Issues{e.add(issue("not-found", e.path("request.url"), "no resource matches"))}, nil
	case e.Method == "PUT" && e.Resource.ID() != "":
		if e.ID = e.Resource.ID(); !fhir.ValidID(e.ID) {
			return fhir.Issues{e.add(invalid(e.path("resource.id"), "not an id"))}, nil
		}
		return nil, nil
	}
	id, err := r.AssignID(e)
	e.ID = id
	return nil, err
}

// collectTargets maps every fullUrl that is not already the resource's own
// address.
func (p *Plan) collectTargets() {
	for _, e := range p.entries {
		if e.FullURL == "" || e.ID == "" || e.Method == "DELETE" || !e.writes() {
			continue
		}
		target := e.Type + "/" + e.ID
		if e.FullURL == target || strings.HasSuffix(e.FullURL, "/"+target) {
			continue
		}
		p.targets[e.FullURL] = target
	}
}

func (p *Plan) rewriteAll(m *matcher) error {
	var all fhir.Issues
	for _, e := range p.entries {
		if e.Resource == nil || e.Existing {
			continue
		}
		w := rewriter{plan: p, entry: e, matches: m}
		w.resource(e.Resource.Root())
		if w.err != nil {
			return w.err
		}
		all = append(all, w.issues...)
	}
	if all.HasErrors() {
		return all
	}
	return nil
}

func issue(code, path, text string) fhir.Issue {
	return fhir.Issue{Severity: fhir.Error, Code: code, Diagnostics: text, Expression: []string{path}}
}

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
