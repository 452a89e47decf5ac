package suite

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// labelled is an observation with a code and a label.
func labelled(patient string, code object, system, label string) object {
	o := observation("Patient/" + patient)
	o["code"] = code
	o["meta"] = object{"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/" + system, "code": label}}}
	return o
}

// TestConsentAndLabelsWithhold: a physician sees a patient while a care team says
// so, not what is labelled beyond the clearance, and nothing more once the
// patient's Consent denies it; what is withheld is not counted either.
func TestConsentAndLabelsWithhold(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id, code := s.create(t, person("")), mark()
	obs := observation("Patient/" + id)
	obs["code"] = code
	open := s.create(t, obs)
	hiv := s.create(t, labelled(id, code, "v3-ActCode", "HIV"))
	count := func(want int) {
		t.Helper()
		got := s.do(t, physician, "GET", "/Observation?_summary=count&code="+url.QueryEscape(codeOf(code)), nil).want(200).json()["total"]
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("counts %v, want %d", got, want)
		}
	}
	s.do(t, physician, "GET", "/Patient/"+id, nil).outcome(404)
	count(0)

	var members []any
	for _, team := range s.do(t, clinician, "GET", "/CareTeam?_count=1000&patient="+s.Patient, nil).want(200).resources() {
		for _, p := range each(team, "participant") { // among them the demo's physician
			if who, _ := at(p, "member", "reference").(string); strings.HasPrefix(who, "Practitioner/") {
				members = append(members, object{"member": object{"reference": who}})
			}
		}
	}
	s.create(t, object{"resourceType": "CareTeam", "status": "active", "subject": object{"reference": "Patient/" + id}, "participant": members})
	s.do(t, physician, "GET", "/Observation/"+open, nil).want(200)
	s.do(t, physician, "GET", "/Observation/"+hiv, nil).outcome(404)
	s.do(t, physician, "GET", "/Observation/"+hiv+"/_history", nil).outcome(404)
	count(1)

	s.create(t, object{"resourceType": "Consent", "status": "active", "patient": object{"reference": "Patient/" + id},
		"scope":    object{"coding": []any{object{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}}},
		"category": []any{object{"text": "privacy"}}, "policyRule": object{"text": "none"}, "provision": object{"type": "deny"}})
	s.do(t, physician, "GET", "/Observation/"+open, nil).outcome(404)
	s.do(t, physician, "GET", "/Patient/"+id, nil).outcome(404)
	count(0)
}

// TestLabelDowngradeIsRefusedOverHTTP (abuse 55).
func TestLabelDowngradeIsRefusedOverHTTP(t *testing.T) {
	t.Parallel()
	s := shared(t)
	o := labelled(s.create(t, person("")), mark(), "v3-Confidentiality", "R")
	id := s.create(t, o)
	o["id"] = id
	delete(o, "meta")
	s.do(t, clinician, "PUT", "/Observation/"+id, o).outcome(403)
	s.do(t, clinician, "GET", "/Patient", nil, "X-Purpose-Of-Use", "HRESCH").outcome(403)
}
