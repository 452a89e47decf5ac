package bundle

import (
	"slices"
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
)

// Resolver answers what a plan cannot know, as the caller would find it.
type Resolver interface {
	// Match returns the ids of stored resources that match, leaving out those
	// whose Type/id is in without; at most two: two mean that the criteria are
	// ambiguous. The query is the part after the "?".
	Match(resourceType, query string, without map[string]bool) (ids []string, err error)
	// Holds returns those of the entries whose resource matches, at most two.
	Holds(resourceType, query string, among []*Entry) ([]*Entry, error)
	// Next is the version that the entry's resource will have after the
	// transaction.
	Next(e *Entry) (string, error)
}

// Resolve fixes the identity of every write of a transaction and rewrites the
// references (R4 http.html#trules). It returns fhir.Issues for what the client
// has to mend, and the Resolver's own error unchanged. Entries of a batch are
// independent: for a batch it does nothing.
//
// The rules are processed in their order: a conditional create does not see
// what the transaction deletes, a conditional update or delete of it is a
// duplicate target, and conditional references see the state after all writes.
func (p *Plan) Resolve(r Resolver) error {
	if !p.transaction {
		return nil
	}
	p.resolver, p.known = r, map[string][]string{}
	deleted := map[string]bool{}
	for _, step := range []func(map[string]bool) (fhir.Issues, error){p.identifyAll, p.overlaps} {
		issues, err := step(deleted)
		if err != nil {
			return err
		}
		if issues.HasErrors() {
			return issues
		}
	}
	p.collectTargets()
	return p.rewriteAll()
}

// identifyAll fills ID and Existing of every write.
func (p *Plan) identifyAll(deleted map[string]bool) (all fhir.Issues, err error) {
	for _, e := range p.Order() {
		if !e.Writes() {
			break
		}
		var without map[string]bool // the others meet a deletion: a duplicate target
		if e.Method == "POST" {
			without = deleted
		}
		issues, err := p.identify(e, without)
		if err != nil {
			return nil, err
		}
		all = append(all, issues...)
		if e.Method == "DELETE" && e.ID != "" {
			deleted[e.Target()] = true
		}
	}
	return append(all, p.duplicateTargets()...), nil
}

// condition is the criteria of a write and the member that holds them.
func (e *Entry) condition() (query, member string) {
	switch {
	case e.Operation != "":
		return "", ""
	case e.Method == "POST":
		return e.IfNoneExist, "request.ifNoneExist"
	}
	return e.Query, "request.url"
}

func (p *Plan) identify(e *Entry, without map[string]bool) (fhir.Issues, error) {
	if query, member := e.condition(); query != "" {
		ids, err := p.resolver.Match(e.Type, query, without)
		switch {
		case err != nil:
			return nil, e.wrap(err)
		case len(ids) > 1:
			return fhir.Issues{e.add(issue("multiple-matches", e.path(member), "the criteria match several resources"))}, nil
		case len(ids) == 1:
			return e.matched(ids[0]), nil
		}
	}
	return p.unmatched(e), nil
}

// EntryError is an error of the Resolver about one entry.
type EntryError struct {
	Entry *Entry
	Err   error
}

func (e *EntryError) Error() string {
	return "entry " + strconv.Itoa(e.Entry.Index) + ": " + e.Err.Error()
}

func (e *EntryError) Unwrap() error { return e.Err }

func (e *Entry) wrap(err error) error { return &EntryError{e, err} }

func (e *Entry) matched(id string) fhir.Issues {
	if e.Method == "PUT" && e.Resource.ID() != "" && e.Resource.ID() != id {
		return fhir.Issues{e.add(invalid(e.path("resource.id"), "another id than the resource that matches"))}
	}
	e.ID, e.Existing = id, e.Method == "POST"
	if e.Method == "PUT" && e.Resource.ID() == "" {
		e.Resource.SetID(id)
	}
	return nil
}

// unmatched gives new resources their id. A conditional delete without a
// match keeps none and deletes nothing; a conditional update keeps the
// client's id when there is one (R4 http.html#cond-update).
func (p *Plan) unmatched(e *Entry) fhir.Issues {
	switch {
	case e.ID != "" || e.Method == "DELETE":
		return nil
	case e.Method == "PATCH":
		return fhir.Issues{e.add(issue("not-found", e.path("request.url"), "no resource matches"))}
	case e.Method == "PUT" && e.Resource.ID() != "":
		if e.ID = e.Resource.ID(); !fhir.ValidID(e.ID) {
			return fhir.Issues{e.add(invalid(e.path("resource.id"), "not an id"))}
		}
		e.Created = true
		return nil
	}
	e.ID, e.Created, e.Assigned = p.newID(e), true, true
	e.Resource.SetID(e.ID)
	return nil
}

// overlaps refuses conditions that hold for what another entry writes: which of
// them came first would decide (R4 http.html#trules: the outcome shall not
// depend on the order of the entries).
func (p *Plan) overlaps(map[string]bool) (all fhir.Issues, err error) {
	for _, e := range p.entries {
		query, member := e.condition()
		if !e.Writes() || query == "" {
			continue
		}
		found, err := p.resolver.Holds(e.Type, query, p.contents(e.Type))
		if err != nil {
			return nil, e.wrap(err)
		}
		found = slices.DeleteFunc(found, func(o *Entry) bool { return o == e })
		if len(found) > 0 {
			all = append(all, e.add(issue("duplicate", e.path(member), "the criteria match what entry "+strconv.Itoa(found[0].Index)+" writes")))
		}
	}
	return all, nil
}

// contents are the entries that give a resource of the type new content.
func (p *Plan) contents(resourceType string) []*Entry {
	if p.byType == nil {
		p.byType = map[string][]*Entry{}
		for _, e := range p.entries {
			if e.Operation == "" && (e.Method == "POST" && !e.Existing || e.Method == "PUT") {
				p.byType[e.Type] = append(p.byType[e.Type], e)
			}
		}
	}
	return p.byType[resourceType]
}

// collectTargets maps every fullUrl but those that are the resource's own
// address already, and notes what is written.
func (p *Plan) collectTargets() {
	p.targets, p.written = map[string]*Entry{}, map[string]bool{}
	for _, e := range p.entries {
		if !e.Writes() || e.ID == "" || e.Operation != "" {
			continue
		}
		if !e.Existing && e.Method != "PATCH" {
			p.written[e.Target()] = true
		}
		if e.FullURL != "" && e.Method != "DELETE" && e.FullURL != e.Target() && e.FullURL != p.base+"/"+e.Target() {
			p.targets[canonicalURL(e.FullURL)] = e
		}
	}
}

// referenced are the targets of a conditional reference, at most two, in the
// state after all writes. What a patch makes of its resource is not looked at.
func (p *Plan) referenced(typ, query string) ([]string, error) {
	key := typ + "?" + query
	if targets, ok := p.known[key]; ok {
		return targets, nil
	}
	ids, err := p.resolver.Match(typ, query, p.written)
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, id := range ids {
		targets = append(targets, typ+"/"+id)
	}
	found, err := p.resolver.Holds(typ, query, p.contents(typ))
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if !slices.Contains(targets, e.Target()) {
			targets = append(targets, e.Target())
		}
	}
	p.known[key] = targets
	return targets, nil
}

func (p *Plan) rewriteAll() error {
	var all fhir.Issues
	for _, e := range p.entries {
		if e.Resource == nil || e.Existing {
			continue
		}
		w := rewriter{plan: p, entry: e}
		w.resource(e.Resource.Root())
		if w.err != nil {
			return e.wrap(w.err)
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
