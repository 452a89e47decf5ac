package suite

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// policyOf is the reference policy that the statement makes for Patients.
func (s *server) policyOf(t testing.TB) string {
	t.Helper()
	for _, r := range each(each(s.do(t, nobody, "GET", "/metadata", nil).json(), "rest")[0], "resource") {
		if r["type"] == "Patient" {
			return fmt.Sprint(r["referencePolicy"])
		}
	}
	return ""
}

func TestWhatIsReferredToCannotBeDeleted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	if got := s.policyOf(t); got != "[literal logical]" {
		t.Errorf("policy %s", got)
	}
	p := person("")
	id := s.create(t, p)
	path := "/Patient/" + id
	relative, absolute := s.create(t, observation("Patient/"+id)), s.create(t, observation(s.Base+"/Patient/"+id))
	for _, left := range []string{relative, absolute} {
		a := s.do(t, integration, "DELETE", path, nil).outcome(409)
		if text := string(a.body); !strings.Contains(text, "Observation") || strings.Contains(text, relative) || strings.Contains(text, absolute) || strings.Contains(text, id) {
			t.Errorf("the refusal says %s", text)
		}
		s.do(t, integration, "DELETE", where(p), nil).outcome(409)
		if left == relative {
			s.do(t, integration, "DELETE", "/Observation/"+relative, nil).want(204)
		}
	}
	// An absolute reference to our own base is stored as it was sent, and found.
	if got := s.do(t, integration, "GET", "/Observation/"+absolute, nil).json(); at(got, "subject", "reference") != s.Base+path {
		t.Errorf("stored as %v", got["subject"])
	}
	if n := s.total(t, "/Observation?subject=Patient/"+id); n != 1 {
		t.Errorf("%d found", n)
	}
	s.do(t, integration, "POST", "", transaction(request("DELETE", path[1:]))).outcome(409)
	changed := observation("Patient/" + id)
	changed["id"] = absolute
	s.do(t, integration, "POST", "", transaction(request("DELETE", path[1:]), put(changed))).outcome(422) // still refers to it
	s.do(t, integration, "POST", "", transaction(request("DELETE", path[1:]), post(observation("Patient/"+id), ""), request("DELETE", "Observation/"+absolute))).outcome(422)
	s.do(t, integration, "POST", "", transaction(request("DELETE", path[1:]), request("DELETE", "Observation/"+absolute))).want(200)
	s.do(t, integration, "GET", path, nil).outcome(410)
	self := person(unique("self-"))
	self["link"] = []any{object{"other": object{"reference": "Patient/" + self["id"].(string)}, "type": "seealso"}}
	s.do(t, integration, "PUT", "/Patient/"+self["id"].(string), self).want(201)
	s.do(t, integration, "DELETE", "/Patient/"+self["id"].(string), nil).want(204)
}

func TestReferencesMustExistWhenConfigured(t *testing.T) {
	t.Parallel()
	s := start(t, "--reference-integrity", "both")
	if got := s.policyOf(t); got != "[literal logical enforced]" {
		t.Errorf("policy %s", got)
	}
	none := "Patient/" + unique("none-")
	gone := s.create(t, person(""))
	s.do(t, integration, "DELETE", "/Patient/"+gone, nil).want(204)
	for reference, status := range map[string]int{
		"Patient/" + s.Patient: 201, s.Base + "/Patient/" + s.Patient: 201, "Patient/" + s.Patient + "/_history/1": 201,
		"http://other.example/fhir/Patient/1": 201, "urn:uuid:33333333-3333-4333-8333-333333333333": 201, "#here": 201,
		none: 422, s.Base + "/" + none: 422, "Patient/" + s.Patient + "/_history/9": 422, "Patient/" + gone: 422, "Patient?identifier=x": 422,
	} {
		o := observation(reference)
		if reference == "#here" {
			o["contained"] = []any{object{"resourceType": "Patient", "id": "here"}}
		}
		a := s.do(t, integration, "POST", "/Observation", o)
		if a.status != status || status == 422 && at(a.outcome(422).json(), "issue", 0, "expression", 0) != "Observation.subject" {
			t.Errorf("%s: %d, want %d: %s", reference, a.status, status, a.body)
		}
	}
	deep := observation("Patient/" + s.Patient)
	deep["extension"] = []any{object{"url": "urn:x", "valueReference": object{"reference": none}}}
	deep["performer"] = []any{object{"display": "x"}, object{"reference": "Practitioner/none"}}
	a := s.do(t, integration, "POST", "/Observation", deep).outcome(422)
	if got := fmt.Sprintln(at(a.json(), "issue", 0, "expression", 0), at(a.json(), "issue", 1, "expression", 0)); got != "Observation.extension[0].valueReference Observation.performer[1]\n" {
		t.Errorf("expressions %s", got)
	}
	if strings.Contains(string(a.body), "none-") {
		t.Errorf("the refusal repeats the reference: %s", a.body)
	}
	u := "urn:uuid:44444444-4444-4444-8444-444444444444"
	s.do(t, integration, "POST", "", transaction(post(observation(u), ""), post(person(""), u))).want(200)
	a = s.do(t, integration, "POST", "", transaction(post(observation(none), ""), post(person(""), u))).outcome(422)
	if got := fmt.Sprint(at(a.json(), "issue", 0, "expression", 0)); got != "Bundle.entry[0].resource/Observation.subject" {
		t.Errorf("expression %s", got)
	}
}

// Deletions and references race; whoever wins, nothing dangles.
func TestNoReferenceIsLeftDanglingByARace(t *testing.T) {
	t.Parallel()
	s := start(t, "--reference-integrity", "both")
	for range 8 {
		id := s.create(t, person(""))
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[string]int{}
		for n := range 12 {
			wg.Go(func() {
				method, path, body := "POST", "/Observation", any(observation("Patient/"+id))
				if n%3 == 0 {
					method, path, body = "DELETE", "/Patient/"+id, nil
				}
				a, err := s.try(t, integration, method, path, body)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				statuses[fmt.Sprint(method, a.status)]++
			})
		}
		wg.Wait()
		gone := s.do(t, integration, "GET", "/Patient/"+id, nil).status == 410
		if n := s.total(t, "/Observation?subject=Patient/"+id); gone && n > 0 {
			t.Fatalf("%d references to a deleted patient: %v", n, statuses)
		}
	}
}
