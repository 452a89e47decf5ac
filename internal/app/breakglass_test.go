package app

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/config"
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

// TestNobodysAccountReviewsNoEmergency: where two persons are needed, the second
// one has an account that may administer.
func TestNobodysAccountReviewsNoEmergency(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir())
	a.cfg.Profile, a.office.TwoPersons = config.Production, true
	now := time.Now()
	r := glass.Record{ID: glass.NewID(), Subject: "user:dr", Client: "ehr", Patient: "p1", Reason: "ETREAT", Text: "unconscious in the emergency room", Started: now, Ends: now.Add(time.Minute)}
	if err := a.glasses.Open(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for subject, role := range map[string]string{"user:officer": "role:security-officer", "user:nurse": "role:nurse", "user:dr": "role:security-officer"} {
		if err := a.accounts.Create(t.Context(), account.Account{Subject: subject, Roles: []string{role}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, by := range []string{"user:somebody", "officer", "user:nurse", "user:dr", ""} {
		if _, err := a.BreakGlassReview(t.Context(), adminapi.ReviewRequest{ID: r.ID, By: by, Decision: glass.Justified}); err == nil {
			t.Errorf("%q reviewed it", by)
		}
	}
	if _, err := a.BreakGlassReview(t.Context(), adminapi.ReviewRequest{ID: r.ID, By: "user:officer", Decision: glass.Justified}); err != nil {
		t.Error(err)
	}
}
