package sealed

import (
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/repository"
)

func TestHeadHoldsCompartmentsOrgsAndLabels(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	h := r.put(r.draft(patientJSON, nil)).Head
	patient, org := field.StorageID(r.Key("Patient", "p1").ID), field.StorageID(r.Key("Organization", "o1").ID)
	if h.ID != "p1" || h.Owner != patient || !slices.Equal(h.Patients, []field.StorageID{patient}) || !slices.Equal(h.PatientIDs, []string{"p1"}) {
		t.Errorf("compartment: %+v", h)
	}
	if !slices.Equal(h.Orgs, []field.StorageID{org}) || !slices.Equal(h.Security, []field.Label{{System: "s", Code: "R"}}) {
		t.Errorf("organizations or labels: %+v", h)
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.put(r.draft(`{"resourceType":"Observation","id":"o1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`, nil))
	self := func(typ, id string) repository.Owner { return repository.Owner(r.Key(typ, id).ID) }
	for _, tc := range []struct {
		name, text string
		want       repository.Owner
	}{
		{"a patient owns itself", `{"resourceType":"Patient","id":"p1"}`, r.PatientOwner("p1")},
		{"subject", `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p1"}}`, r.PatientOwner("p1")},
		{"external subject", `{"resourceType":"Condition","id":"c","subject":{"reference":"http://else.where/Patient/p1"}}`, self("Condition", "c")},
		{"own base", `{"resourceType":"Condition","id":"c","subject":{"reference":"http://fhir.test/fhir/Patient/p1"}}`, r.PatientOwner("p1")},
		{"several patients", `{"resourceType":"Group","id":"g","type":"person","actual":true}`, self("Group", "g")},
		{"a definition", `{"resourceType":"ValueSet","id":"v","status":"draft"}`, repository.Owner(r.ring.StorageID("type:", "ValueSet"))},
		{"Binary of a patient", `{"resourceType":"Binary","id":"b","contentType":"a/b","securityContext":{"reference":"Patient/p1"}}`, r.PatientOwner("p1")},
		{"Binary of a patient's resource", `{"resourceType":"Binary","id":"b","contentType":"a/b","securityContext":{"reference":"Observation/o1"}}`, r.PatientOwner("p1")},
		{"Binary of an unknown resource", `{"resourceType":"Binary","id":"b","contentType":"a/b","securityContext":{"reference":"Observation/none"}}`, self("Binary", "b")},
		{"Binary of nothing", `{"resourceType":"Binary","id":"b","contentType":"a/b"}`, self("Binary", "b")},
	} {
		if got := r.draft(tc.text, nil).Write.Record.Owner; got != tc.want {
			t.Errorf("%s: another owner", tc.name)
		}
	}
}

func TestTombstoneKeepsOwnerCompartmentAndLabels(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	st := r.put(r.draft(patientJSON, nil))
	at, err := r.engine.Stamp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := r.SealTombstone(t.Context(), st, at)
	if err != nil {
		t.Fatal(err)
	}
	dead := r.put(d)
	if !dead.Head.Deleted || dead.Record.Owner != st.Record.Owner || len(dead.Head.Patients) != 1 || len(dead.Head.Security) != 1 {
		t.Errorf("tombstone: %+v", dead.Head)
	}
	if len(d.Write.Record.Tokens) != 0 || len(d.Guarded) == 0 {
		t.Error("a tombstone keeps tokens, or bumps no guard of those that it removes")
	}
	again := r.draft(patientJSON, dead)
	if again.Write.Record.Version != 3 || again.Write.Expect != 2 {
		t.Errorf("version after a tombstone: %d expecting %d", again.Write.Record.Version, again.Write.Expect)
	}
}

func TestGuardsCoverAddedAndRemovedIdentifiers(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	st := r.put(r.draft(`{"resourceType":"Patient","id":"p1","identifier":[{"system":"a","value":"1"}]}`, nil))
	d := r.draft(`{"resourceType":"Patient","id":"p1","identifier":[{"system":"b","value":"2"}]}`, st)
	for _, query := range []string{"identifier=a|1", "identifier=b|2", "identifier=1", "identifier=2", "identifier=a|", "identifier=b|"} {
		e, err := r.catalog.ParseConditions("Patient", query)
		if err != nil {
			t.Fatal(err)
		}
		expect, bump, err := r.PlanGuards(t.Context(), e)
		if err != nil || len(expect) != 1 || len(bump) != 1 || expect[0].Token != bump[0] {
			t.Fatalf("%s: guards %v, bumps %v, %v", query, expect, bump, err)
		}
		if !slices.Contains(d.Guarded, expect[0].Token) {
			t.Errorf("%s: an identifier that the write adds or removes is not guarded", query)
		}
	}
}
