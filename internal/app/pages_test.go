package app

import (
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/authz/account"
)

func TestPurposesFollowWhoSomebodyIs(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		roles, links []string
		usual        string
		besides      []string
	}{
		"clinician":             {[]string{"role:clinician"}, []string{"Practitioner/d"}, "TREAT", nil},
		"who treats, by role":   {[]string{"role:nurse"}, []string{"PractitionerRole/d"}, "TREAT", nil},
		"patient":               {[]string{"role:patient"}, []string{"Patient/p"}, "PATRQT", nil},
		"related person":        {[]string{"role:proxy"}, []string{"RelatedPerson/r"}, "PATRQT", nil},
		"clinician and patient": {[]string{"role:clinician"}, []string{"Practitioner/d", "Patient/p"}, "TREAT", nil},
		"researcher":            {[]string{"role:researcher"}, []string{"Practitioner/d"}, "HRESCH", nil},
		"researcher who treats": {[]string{"role:researcher", "role:physician"}, []string{"Practitioner/d"}, "TREAT", []string{"HRESCH"}},
		"administration":        {[]string{"role:admin"}, nil, "TREAT", nil},
	} {
		usual, besides := purposes(account.Account{Roles: row.roles, Links: row.links})
		if usual != row.usual || !slices.Equal(besides, row.besides) {
			t.Errorf("%s: %s %v", name, usual, besides)
		}
	}
}
