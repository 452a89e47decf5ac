package interaction

import (
	"context"
	"encoding/base64"
	"errors"
	"mime"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/patch"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// JSONPatchMedia is the media type of JSON Patch (RFC 6902 §6).
const JSONPatchMedia = "application/json-patch+json"

// alteration is a parsed patch of either form.
type alteration interface {
	Apply(root *fhir.Node) error
	// Touches are the element names of each path, when they are known.
	Touches() (names [][]string, known bool)
}

// Patch changes parts of a resource (R4 http.html#patch): a JSON Patch, or a
// FHIRPath Patch in Parameters, as the media type says. Without If-Match a
// patch that loses a race is applied again to what won.
func (s *Service) Patch(ctx context.Context, c Call, resourceType, id, media string, body []byte) (*Answer, error) {
	alter, err := s.alteration(media, body)
	return s.altering(ctx, c, resourceType, id, "", alter, err)
}

func (s *Service) patch(ctx context.Context, c Call, ev audit.Event, resourceType, id string, alter alteration) (*Answer, error) {
	if f := s.known(resourceType, id); f != nil {
		return nil, f
	}
	ch, err := s.preparePatch(ctx, c, &ev, resourceType, id, alter)
	if err != nil {
		return nil, err
	}
	receipt, err := s.commit(ctx, ev, []change{ch}, condition{})
	if err != nil {
		return nil, err
	}
	return s.written(ctx, c, ch, receipt)
}

// alteration parses a patch.
func (s *Service) alteration(media string, body []byte) (alteration, error) {
	if media == JSONPatchMedia {
		p, err := patch.ParseJSON(body, s.Limits)
		return p, patchFailure(err)
	}
	r, err := fhir.Parse(body, s.Limits)
	if err != nil {
		return nil, err
	}
	p, err := patch.ParseParameters(r, s.Definitions)
	return p, patchFailure(err)
}

// alterationOf is the patch that an entry of a Bundle holds: Parameters, or a
// Binary with a JSON Patch (R4 http.html#patch).
func (s *Service) alterationOf(r *fhir.Resource) (alteration, error) {
	if r == nil || r.Type() != "Binary" {
		if r == nil {
			return nil, fail(Malformed, nil, "a patch needs a resource: Parameters, or a Binary with a JSON Patch")
		}
		p, err := patch.ParseParameters(r, s.Definitions)
		return p, patchFailure(err)
	}
	media, _, err := mime.ParseMediaType(r.Root().Member("contentType").Text())
	if err != nil || media != JSONPatchMedia {
		return nil, fail(Malformed, err, "a Binary with a patch has the contentType %s", JSONPatchMedia)
	}
	body, err := base64.StdEncoding.DecodeString(r.Root().Member("data").Text())
	if err != nil {
		return nil, fail(Malformed, nil, "the data of the Binary is no base64")
	}
	return s.alteration(media, body)
}

// preparePatch does everything of a patch but the commit, whose conflict means
// that another writer was faster: then it must be prepared anew.
//
// A caller who does not see everything patches the view that a read shows; the
// result goes the way of an update under the mask (decision 19), so that
// nothing in it depends on what is hidden.
func (s *Service) preparePatch(ctx context.Context, c Call, ev *audit.Event, resourceType, id string, alter alteration) (change, error) {
	g, err := s.decideWrite(ctx, c, ev, authz.Update, resourceType)
	if err != nil {
		return change{}, err
	}
	read, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Read, Type: resourceType})
	if err != nil {
		return change{}, err // the answer to a test is a read
	}
	previous, err := s.Vault.Load(ctx, s.Vault.Key(resourceType, id))
	if err != nil {
		return change{}, hideErased(g, err)
	}
	mask := s.visible(ctx, read, previous)
	switch {
	case mask == 0, s.granted(ctx, g, previous) == 0:
		return change{}, repository.ErrNotFound
	case previous.Head.Deleted:
		return change{}, fail(Gone, nil, "the resource was deleted")
	}
	if err := s.checkMatch(ctx, c, previous, mask); err != nil {
		return change{}, err
	}
	if err := s.checkNoneMatch(c, previous, mask); err != nil {
		return change{}, err
	}
	r, err := s.altered(previous, mask, alter)
	if err != nil {
		return change{}, err
	}
	return s.stamp(ctx, c, g, r, previous, false)
}

// altered applies a patch to what the mask shows and carries the rest forward.
func (s *Service) altered(previous *sealed.Stored, mask maskSet, alter alteration) (*fhir.Resource, error) {
	resourceType := previous.Record.Key.Type
	hides := !mask.Contains(allClasses)
	if hides {
		if err := s.permitPaths(resourceType, mask, alter); err != nil {
			return nil, err
		}
	}
	seen, err := s.Vault.Open(previous, mask)
	if err != nil {
		return nil, err
	}
	if hides {
		s.Redactor.Apply(seen, mask)
	}
	if err := alter.Apply(seen.Root()); err != nil {
		return nil, patchFailure(err)
	}
	r, err := s.reread(seen, previous)
	if err != nil || !hides {
		return r, err
	}
	r, err = s.merge(previous, r, mask)
	if f := failure(err); f != nil && errors.Is(f, redact.ErrPartlyHidden) {
		return nil, fail(Denied, err, "the patch changes an element that is partly hidden from the caller")
	}
	return r, err
}

// reread holds a patched resource to the limits of one that was sent.
func (s *Service) reread(patched *fhir.Resource, previous *sealed.Stored) (*fhir.Resource, error) {
	r, err := fhir.Parse(patched.AppendJSON(nil), s.Limits)
	var syntax *fhir.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return nil, fail(Unprocessable, err, "the patched resource is not valid: %s", syntax.Reason)
	case err != nil:
		return nil, err
	case r.Type() != previous.Record.Key.Type || r.ID() != previous.Head.ID:
		return nil, fail(Unprocessable, nil, "a patch cannot change the type or the id of a resource")
	}
	return r, nil
}

// permitPaths refuses a patch that names what the mask hides, whether or not
// it is there: a test would be an oracle (abuse 13).
func (s *Service) permitPaths(resourceType string, mask maskSet, alter alteration) error {
	paths, known := alter.Touches()
	if !known {
		return fail(Denied, nil, "a caller who does not see everything names elements by names and indexes alone")
	}
	for _, names := range paths {
		if i := slices.IndexFunc(names, isExtension); i >= 0 {
			names = names[:i] // its class is that of its URL: what it adds to is judged here, it by the update
		}
		if len(names) == 0 || names[0] == "resourceType" || names[0] == "id" {
			continue
		}
		classes := s.Classes.ElementClasses(strings.Join(append([]string{resourceType}, names...), "."))
		if classes&mask == 0 {
			return fail(Denied, nil, "the caller may not see an element that the patch names")
		}
	}
	return nil
}

func isExtension(name string) bool { return name == "extension" || name == "modifierExtension" }

// patchFailure classes the errors of fhir/patch.
func patchFailure(err error) error {
	var e *patch.Error
	if !errors.As(err, &e) {
		return err
	}
	f := fail(Unprocessable, err, "%s", e.Error())
	switch {
	case errors.Is(err, patch.ErrMalformed):
		f = fail(Malformed, err, "%s", e.Error())
	case errors.Is(err, patch.ErrTooLarge):
		f.Issues[0].Code = "too-costly"
	}
	return f
}
