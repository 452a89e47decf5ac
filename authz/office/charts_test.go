package office

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/repository"
)

// hospital has two patients with an encounter each.
type hospital struct {
	*desk
	down bool
}

func (h hospital) Facts(_ context.Context, g authz.Grant, id string) (f authz.Facts, withheld func() []string, err error) {
	owner := map[string]string{"Patient/p1": "p1", "Patient/p2": "p2", "Encounter/e1": "p1", "Encounter/e2": "p2", "ImagingStudy/i1": "p1"}[g.Request().Type+"/"+id]
	switch {
	case h.down:
		return f, nil, repository.ErrUnavailable
	case owner == "":
		return f, nil, repository.ErrNotFound
	}
	return authz.Facts{Patients: []field.StorageID{h.PRF("Patient", owner)}, Owner: h.PRF("Patient", owner)}, nil, nil
}

// What an EHR puts into the context of a launch is what its user may see.
func TestLaunchShowsOnlyWhatItsUserMaySee(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	d.Resources = hospital{desk: d}
	for _, a := range []account.Account{
		{Subject: "user:dr", Roles: []string{"role:clinician"}, Links: []string{"Practitioner/dr"}},
		{Subject: "user:pat", Roles: []string{"role:patient"}, Links: []string{"Patient/p1"}},
		{Subject: "user:mother", Roles: []string{"role:patient"}, Links: []string{"Patient/p2", "RelatedPerson/m"}},
		{Subject: "user:left", Roles: []string{"role:patient"}, Links: []string{"Patient/p1"}, Disabled: true},
		{Subject: "user:root", Roles: []string{"role:admin"}, Links: []string{"Practitioner/x"}},
	} {
		d.must(d.Accounts.Create(t.Context(), a))
	}
	_, err := d.Accounts.Change(t.Context(), "user:mother", func(a *account.Account) error {
		a.Delegations = []account.Delegation{{ID: "d1", Patient: "p1", Scopes: []string{"patient/*.rs"}, Until: d.clock.Add(time.Hour), By: "user:ann", Reason: "parent"}}
		return nil
	})
	d.must(err)
	for _, row := range []struct {
		name, account, patient, encounter string
		also                              []string
		denied                            bool
	}{
		{"the own record", "user:pat", "p1", "e1", []string{"ImagingStudy/i1"}, false},
		{"whom one treats", "user:dr", "p1", "e1", []string{"ImagingStudy/i1"}, false},
		{"nothing in context", "user:pat", "", "", nil, false},
		{"a proxy", "user:mother", "p1", "e1", nil, false},
		{"another patient", "user:pat", "p2", "", nil, true},
		{"another patient's encounter", "user:pat", "p1", "e2", nil, true},
		{"a proxy for another's encounter", "user:mother", "p1", "e2", nil, true},
		{"an encounter of another patient", "user:dr", "p1", "e2", nil, true},
		{"an unknown encounter", "user:dr", "p1", "e9", nil, true},
		{"an unknown resource", "user:pat", "p1", "", []string{"ImagingStudy/i9"}, true},
		{"a reference that is none", "user:pat", "p1", "", []string{"ImagingStudy"}, true},
		{"no account", "user:nobody", "p1", "", nil, true},
		{"an account that has ended", "user:left", "p1", "", nil, true},
		{"a role without patient data", "user:root", "p1", "", nil, true},
	} {
		if err := d.Sees(t.Context(), row.account, row.patient, row.encounter, row.also); errors.Is(err, authz.ErrDenied) != row.denied || !row.denied && err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	d.Resources = hospital{desk: d, down: true}
	if err := d.Sees(t.Context(), "user:pat", "p1", "", nil); !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("a store that cannot tell: %v", err)
	}
}
