package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/pages"
)

// openPages needs login, clients and accounts; people come to them through the
// authorization server, which is opened next.
func (a *App) openPages() {
	o := pages.Options{Login: a.login, Accounts: a.accounts, Clients: a.clients, Patients: searcher{a},
		Table: a.store.Table("pages"), PRF: a.ring.StorageID, Gatekeeper: a.trail, Purposes: purposes,
		Policy: func() error { _, _, err := a.policies.Active(); return err },
		Secure: strings.HasPrefix(a.base, "https://"), Peer: func(r *http.Request) string { return a.handler.Peer(r) }, Log: a.log}
	if a.federation != nil {
		o.Federation = a.federation
	}
	a.pages = pages.New(o)
}

// searcher finds patients for the pages: an ordinary search of somebody who is
// logged in.
type searcher struct{ *App }

// Search implements pages.Patients.
func (s searcher) Search(ctx context.Context, as token.Claims, peer, rawQuery string) ([]byte, error) {
	subject, err := s.tokens.Present(as, peer)
	if err != nil {
		return nil, err
	}
	answer, err := s.service.Search(ctx, interaction.Call{Subject: subject}, "Patient", rawQuery)
	if err != nil {
		switch interaction.AsFailure(err).Kind {
		case interaction.Denied:
			return nil, errors.Join(pages.ErrDenied, err)
		case interaction.Malformed, interaction.TooLarge, interaction.Unprocessable:
			return nil, errors.Join(pages.ErrQuery, err)
		}
		return nil, err
	}
	return answer.Body(), nil
}

// purposes are for what people use what they may see, unless a request says
// otherwise: whose record it is, by own request; who does nothing but research,
// for research; staff for treatment (HL7 v3 PurposeOfUse).
func purposes(rec account.Account) (usual string, besides []string) {
	linked := func(types ...string) bool {
		return slices.ContainsFunc(rec.Links, func(l string) bool {
			typ, _, _ := strings.Cut(l, "/")
			return slices.Contains(types, typ)
		})
	}
	researcher := slices.Contains(rec.Roles, "role:researcher")
	switch treats := linked("Practitioner", "PractitionerRole"); {
	case researcher && len(rec.Roles) == 1:
		return "HRESCH", nil
	case researcher:
		return "TREAT", []string{"HRESCH"}
	case !treats && linked("Patient", "RelatedPerson"):
		return "PATRQT", nil
	}
	return "TREAT", nil
}

func (a *App) sweepForms(ctx context.Context) error {
	_, err := a.pages.Sweep(ctx)
	return err
}
