package interaction

import (
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// conceals reports whether the caller must not learn of changes that do not
// show: then versions and their times are left out of everything (decision 17).
func (c Call) conceals() bool { return c.traits == nil || c.traits.ConcealChanges }

// redact finishes a tree of visible classes.
func (s *Service) redact(c Call, tree *fhir.Resource, visible field.ClassSet) {
	s.Redactor.Apply(tree, visible)
	if c.conceals() {
		redact.Conceal(tree)
	}
}

// shows reports whether a version is shown exactly as it is stored.
func (c Call) shows(visible field.ClassSet) bool {
	return !c.conceals() && !hides(visible)
}

// tag is the entity tag of a version that is shown as it is stored.
func (c Call) tag(v repository.Version) string {
	if c.conceals() {
		return ""
	}
	return versionTag(v)
}

// located is an answer that says which version it is about.
func (c Call) located(a Answer, rec repository.Record, id string) Answer {
	if c.conceals() {
		a.location = rec.Key.Type + "/" + id
		return a
	}
	a.location = location(rec.Key, id, rec.Version)
	return c.dated(a, rec)
}

// dated is an answer with the tag and the time of a version.
func (c Call) dated(a Answer, rec repository.Record) Answer {
	if a.etag == "" {
		a.etag = c.tag(rec.Version)
	}
	if !c.conceals() {
		a.modified = instant(int64(rec.Updated))
	}
	return a
}

// concealedTime refuses what asks for the times of versions.
func concealedTime(name string) error {
	return fail(Denied, nil, "the caller may not ask for %s: it would tell of changes that are not shown", name)
}
