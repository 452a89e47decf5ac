package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// Facts tells what rules may know of the current version of a resource, for
// who explains or replays decisions; nothing of its content leaves. The grant
// says for whom and what for, and need permit nothing. withheld names, once the
// facts were judged, the Consents that withhold the resource. ErrNotFound for
// what is unknown or deleted.
func (s *Service) Facts(ctx context.Context, g authz.Grant, id string) (f authz.Facts, withheld func() []string, err error) {
	typ := g.Request().Type
	if unknown := s.known(typ, id); unknown != nil {
		return f, nil, unknown
	}
	st, err := s.Vault.Load(ctx, s.Vault.Key(typ, id))
	if err != nil {
		return f, nil, err
	}
	if st.Head.Deleted {
		return f, nil, repository.ErrNotFound
	}
	ctx = collecting(ctx)
	f = facts(st.Head)
	f.Selects = s.selects(ctx, typ, func(c field.ClassSet) (*fhir.Resource, error) { return s.Vault.Open(st, c) })
	return s.knowing(ctx, g, f, st), func() []string { return withheldBy(ctx) }, nil
}

// withheldBy says what was collected.
func withheldBy(ctx context.Context) (out []string) {
	w, ok := ctx.Value(withheldKey{}).(*withheld)
	if !ok {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.entities {
		out = append(out, "Consent/"+w.entities[i].ID+" withholds it")
	}
	if w.optIn {
		out = append(out, "no Consent permits it, and the base policy asks for one")
	}
	return out
}
