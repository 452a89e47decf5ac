package interaction

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

const binary = "Binary"

// BinaryResource is the JSON form of bytes that came as they are (R4
// binary.html#rest). context is a literal reference, or empty.
func BinaryResource(id, contentType, context string, data []byte) []byte {
	root := fhir.NewObject(fhir.NewString(binary).Named("resourceType"))
	if id != "" {
		root.Append(fhir.NewString(id).Named("id"))
	}
	root.Append(fhir.NewString(contentType).Named("contentType"))
	if context != "" {
		root.Append(fhir.NewObject(fhir.NewString(context).Named("reference")).Named("securityContext"))
	}
	literal := make([]byte, 0, base64.StdEncoding.EncodedLen(len(data))+2)
	literal = append(base64.StdEncoding.AppendEncode(append(literal, '"'), data), '"')
	root.Append(fhir.NewLiteral(literal).Named("data"))
	return root.AppendJSON(make([]byte, 0, len(literal)+256))
}

// ErrHiddenContent means that the caller may see a Binary but not its content.
var ErrHiddenContent = errors.New("the content is hidden from the caller")

// Content are the media type and the bytes of a Binary that was read, for the
// form without FHIR around them. Both come from the released body.
func (a *Answer) Content() (media string, data []byte, err error) {
	r, err := fhir.Parse(a.body, fhir.Limits{MaxBytes: len(a.body) + 1})
	if err != nil {
		return "", nil, err
	}
	n := r.Root().Member("data")
	if n == nil && fhir.HasMark(r.Root(), "security", fhir.Redacted) {
		return "", nil, ErrHiddenContent
	}
	data, err = base64.StdEncoding.DecodeString(n.Text())
	return r.Root().Member("contentType").Text(), data, err
}

// binaryFacts are what rules may know of a Binary: what they may know of the
// resource that its securityContext names, as though it were that resource (R4
// binary.html#security), with the labels of both. It is false when the caller
// may not read that resource.
func (s *Service) binaryFacts(ctx context.Context, g authz.Grant, own authz.Facts, r *fhir.Resource) (authz.Facts, bool) {
	ref, local := s.localReference(r.Root().Member("securityContext").Member("reference").Text())
	if !local {
		return own, true
	}
	if ref.Type == binary { // no chains
		return own, g.Unrestricted()
	}
	read, err := s.Decider.Decide(ctx, g.Subject(), authz.Request{Action: authz.Read, Type: ref.Type})
	if err != nil {
		return own, false
	}
	st, err := s.Vault.Load(ctx, s.Vault.Key(ref.Type, ref.ID))
	switch {
	case errors.Is(err, repository.ErrNotFound), errors.Is(err, sealed.ErrErased):
		return own, g.Unrestricted() && read.Unrestricted()
	case err != nil || s.visible(ctx, read, st) == 0:
		return own, false
	}
	f := facts(st.Head)
	f.Security, f.Deleted = append(slices.Clip(f.Security), own.Security...), own.Deleted
	return f, true
}

// maskOf is the mask of a version that is about to be written.
func (s *Service) maskOf(ctx context.Context, g authz.Grant, head field.Head, r *fhir.Resource) field.ClassSet {
	f := facts(head)
	if r.Type() == binary {
		var ok bool
		if f, ok = s.binaryFacts(ctx, g, f, r); !ok {
			return 0
		}
	}
	f.Selects = s.selects(ctx, r.Type(), func(field.ClassSet) (*fhir.Resource, error) { return r, nil })
	return g.Mask(s.knowingDraft(ctx, g, f, r))
}
