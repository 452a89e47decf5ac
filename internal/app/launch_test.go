package app

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
)

// What an EHR puts into the context of a launch is judged on real records: an
// encounter is of the patient in whose compartment it lies.
func TestLaunchContextIsJudgedOnRecords(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	s := httptest.NewServer(a.root)
	defer s.Close()
	for _, p := range []string{"p1", "p2"} {
		send(t, a, s, "PUT", "/fhir/Patient/"+p, `{"resourceType":"Patient","id":"`+p+`","active":true}`, 201)
		e := strings.Replace(p, "p", "e", 1)
		send(t, a, s, "PUT", "/fhir/Encounter/"+e, `{"resourceType":"Encounter","id":"`+e+`","status":"in-progress","class":{"code":"AMB"},"subject":{"reference":"Patient/`+p+`"}}`, 201)
	}
	operate(t, a, "user/create", `{"account":{"subject":"user:dr","roles":["role:clinician"],"links":["Practitioner/dr"]},"reason":"x"}`)
	operate(t, a, "user/create", `{"account":{"subject":"user:pat","roles":["role:patient"],"links":["Patient/p1"]},"reason":"x"}`)
	for _, row := range []struct {
		account, patient, encounter string
		denied                      bool
	}{
		{"user:dr", "p1", "e1", false}, {"user:dr", "p2", "e2", false}, {"user:dr", "p1", "e2", true}, {"user:dr", "p9", "", true},
		{"user:pat", "p1", "e1", false}, {"user:pat", "p2", "", true}, {"user:pat", "p1", "e2", true}, {"user:nobody", "p1", "", true},
	} {
		if err := a.office.Sees(t.Context(), row.account, row.patient, row.encounter, nil); errors.Is(err, authz.ErrDenied) != row.denied || !row.denied && err != nil {
			t.Errorf("%s for %s in %s: %v", row.account, row.patient, row.encounter, err)
		}
	}
}
