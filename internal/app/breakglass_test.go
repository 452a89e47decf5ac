package app

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

// An erasure takes the patient out of emergency accesses, and does so again
// when a restored backup brought them back.
func TestErasedPatientIsForgottenInEmergencies(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	s := httptest.NewServer(a.handler)
	defer s.Close()
	send(t, a, s, "PUT", "/fhir/Patient/p1", `{"resourceType":"Patient","id":"p1"}`, 201)
	broken := func() {
		now := time.Now()
		r := glass.Record{ID: glass.NewID(), Subject: "user:dr", Client: "ehr", Patient: "p1", Reason: "ETREAT", Text: "unconscious in the emergency room", Started: now, Ends: now.Add(time.Minute)}
		if err := a.glasses.Open(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	forgotten := func(want int) {
		t.Helper()
		all, err := a.BreakGlassList(t.Context())
		if err != nil || len(all) != want {
			t.Fatalf("%d accesses, %v", len(all), err)
		}
		for _, r := range all {
			if r.Patient != "" || r.Text != "" || r.Reason != "ETREAT" {
				t.Errorf("%+v", r)
			}
		}
	}
	broken()
	if _, err := a.Erase(t.Context(), adminapi.EraseRequest{Patient: "p1", Reason: "test"}, func(adminapi.Progress) {}); err != nil {
		t.Fatal(err)
	}
	forgotten(1)
	broken() // as a restore would bring it back
	if err := a.forgetErased(t.Context()); err != nil {
		t.Fatal(err)
	}
	forgotten(2)
}
