package interaction

import (
	"context"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// maxMetaUsed bounds the profiles, tags and labels of $meta on a type or the
// system: what is more is no list that anybody chooses from.
const maxMetaUsed = 1000

// metaUsed answers $meta on a type or on the system: the profiles, tags and
// security labels of the resources that the caller would find and may read, each
// once. The index holds no values, so that every resource is looked at, within
// the bound of a search; of each only what meta needs is opened. The event names
// the resources that a value was taken from.
func (s *Service) metaUsed(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	w := within{path: in.path(), types: []string{in.Type}}
	if in.Type == "" {
		w.types, w.every = s.Definitions.ResourceTypes(), true
	}
	q, err := s.Catalog.ParseSearch(w.types, "", search.ParseOptions{})
	if err != nil {
		return nil, searchFailure(err)
	}
	u := &usage{finder: s.newFinder(c, w), ev: &in.ev, meta: fhir.NewObject()}
	if err := u.permitSearch(ctx, &in.ev, q); err != nil {
		return nil, err
	}
	shown := false
	for _, e := range q.Expressions {
		read, err := u.grant(ctx, authz.Read, e.Type)
		if w.every && isDenied(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		shown = true
		if err := u.collect(ctx, e, read); err != nil {
			return nil, err
		}
	}
	if !shown {
		return nil, authz.ErrDenied
	}
	receipt, err := s.durable(ctx, c, in.ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, u.first, receipt, Answer{status: http.StatusOK, body: metaResult(u.meta)})
}

// usage collects what meta elements hold.
type usage struct {
	*finder
	ev   *audit.Event
	meta fhir.Node
	n    int // of values
}

// collect visits the resources of one type.
func (u *usage) collect(ctx context.Context, e *search.Expression, read authz.Grant) error {
	classes := u.Classes.ElementClasses(e.Type + ".meta")
	var failed error
	err := u.find(ctx, e, classes, "", func() int { return candidatePage }, func(h hit, _ string) bool {
		if h.mask &= u.visible(ctx, read, h.stored); h.mask&classes == classes {
			failed = u.add(h, classes)
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// add takes what is new from one resource.
func (u *usage) add(h hit, classes field.ClassSet) error {
	given := h.tree.Root().Member("meta")
	if given == nil {
		return nil
	}
	n := u.n
	for _, name := range [...]string{"profile", "security", "tag"} {
		list := given.Member(name)
		for i := 0; list != nil && list.Kind() == fhir.Array && i < list.Len(); i++ {
			if v := bare(list.At(i)); addTo(&u.meta, name, &v) {
				u.n++
			}
		}
	}
	if u.n > maxMetaUsed {
		f := fail(Unprocessable, nil, "the resources have more than %d different profiles, tags and labels; ask for one type, or search by _tag, _profile and _security", maxMetaUsed)
		f.Issues[0].Code = "too-costly"
		return f
	}
	if u.n > n {
		rec := h.stored.Record
		u.ev.Entities = append(u.ev.Entities, entity(h.stored.Head, rec.Key.Type, uint64(rec.Version), classes))
	}
	return nil
}

// bare is a profile, or a coding without what others may have attached to it.
func bare(v *fhir.Node) fhir.Node {
	if v.Kind() != fhir.Object {
		return fhir.NewString(v.Text())
	}
	coding := fhir.NewObject()
	for _, name := range [...]string{"system", "version", "code", "display"} {
		if text := v.Member(name).Text(); text != "" {
			coding.Append(fhir.NewString(text).Named(name))
		}
	}
	return coding
}
