package suite

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// identityOf collects what names a patient: names, address lines, telephone
// numbers and identifier values of the Patient resource.
func identityOf(p object) (words []string) {
	add := func(v any) {
		if w, ok := v.(string); ok && len(w) > 4 {
			words = append(words, w)
		}
	}
	for _, n := range each(p, "name") {
		add(n["family"])
		add(at(n, "given", 0))
	}
	for _, a := range each(p, "address") {
		add(at(a, "line", 0))
	}
	for _, n := range append(each(p, "telecom"), each(p, "identifier")...) {
		add(n["value"])
	}
	return words
}

// Synthea repeats patients' names in displays, claims and care teams: none of
// the resources shows a researcher who the patient is.
func TestResearcherFindsThePatientNowhereInTheWholeRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, b := range fhirtest.SyntheaInformation(t) {
		s.do(t, integration, "POST", "", b).want(200)
	}
	for name, b := range fhirtest.Synthea(t) {
		rs := s.do(t, integration, "POST", "", b).want(200).responses()
		var sent object
		decode(t, b, &sent)
		var words []string
		for _, e := range each(sent, "entry") {
			if r, _ := e["resource"].(object); r["resourceType"] == "Patient" {
				words = identityOf(r)
			}
		}
		if len(words) < 5 {
			t.Fatalf("%s: identity %d words", name, len(words))
		}
		for _, r := range rs {
			path := "/" + located(r)
			text := string(s.do(t, researcher, "GET", path, nil).want(200).body)
			for i, w := range words {
				if strings.Contains(text, w) {
					t.Errorf("%s %.12s…: word %d of the patient's identity is visible", name, path, i)
				}
			}
		}
	}
}

// patientToken is a token of the role patient for any patient.
func (s *server) patientToken(t *testing.T, name, id string) {
	t.Helper()
	code, stdout, stderr := command(t, "token", "--data", s.dir, "--role", "patient", "--patient", id)
	if code != 0 {
		t.Fatal(stderr)
	}
	s.Tokens[name] = strings.TrimSpace(stdout)
}

// A resource that moved to another patient shows each of them no version of
// the other's time.
func TestMovedResourceShowsNoOtherPatientsVersions(t *testing.T) {
	t.Parallel()
	s := start(t)
	a, b := s.create(t, person("")), s.create(t, person(""))
	s.patientToken(t, "a", a)
	s.patientToken(t, "b", b)
	id := s.create(t, observation("Patient/"+a))
	path := "/Observation/" + id
	s.do(t, "a", "GET", path, nil).want(200)
	moved := observation("Patient/" + b)
	moved["id"] = id
	s.do(t, integration, "PUT", path, moved).want(200)
	s.do(t, "a", "GET", path, nil).outcome(404)
	s.do(t, "a", "GET", path+"/_history/2", nil).outcome(404)
	s.do(t, "b", "GET", path, nil).want(200)
	s.do(t, "b", "GET", path+"/_history/1", nil).outcome(404)
	h := s.do(t, "b", "GET", path+"/_history", nil).want(200)
	if n := len(each(h.json(), "entry")); n != 1 || strings.Contains(string(h.body), a) {
		t.Errorf("history shows %d versions: %s", n, h.body)
	}
}

func TestBatchAndTransactionGiveNoScopeOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := shared(t)
	get := func(url string) object { return object{"request": object{"method": "GET", "url": url}} }
	other := s.create(t, person(""))
	b := bundle("batch", []object{post(person(""), ""), get("AuditEvent?patient=" + other), get("Patient/" + other), get("Patient/../AuditEvent"),
		get("metadata"), get("Patient?_id=" + s.Patient), {"request": object{"method": "DELETE", "url": "Patient/" + s.Patient}}, get("Patient/" + other + "/_history/1")})
	for i, want := range []string{"403", "403", "404", "400", "404", "200", "403", "404"} {
		rs := s.do(t, patient, "POST", "", b).want(200).responses()
		if got, _ := rs[i]["status"].(string); !strings.HasPrefix(got, want) {
			t.Errorf("entry %d: %v, want %s", i, rs[i], want)
		}
	}
	stale := put(person(other))
	stale["request"].(object)["ifMatch"] = `W/"9"`
	fresh := person(unique("tx-"))
	s.do(t, integration, "POST", "", transaction(put(fresh), stale)).outcome(412)
	s.do(t, integration, "GET", "/Patient/"+fresh["id"].(string), nil).outcome(404)
}

// Who has no token costs nothing: the body is not read, and the trail holds
// one event per peer and minute, not one per request (decision 35).
func TestGarbageBeforeAuthenticationDoesNotFillTheTrail(t *testing.T) {
	t.Parallel()
	s := start(t)
	got, closed := s.raw(t, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nContent-Length: 99999999999\r\n\r\n{")
	if c := statuses(t, got); len(c) != 1 || c[0] != 401 || !closed {
		t.Errorf("a body of 100 GB without a token: %v, closed %v", c, closed)
	}
	for i := range 1000 {
		s.do(t, nobody, "GET", fmt.Sprintf("/Patient/%d", i), nil, "Authorization", fmt.Sprintf("Bearer %d", i)).want(401)
	}
	events := 0
	for _, e := range s.auditEvents(t, privacyOfficer, "_count=500") {
		if mentions(e, "no-token") || mentions(e, "invalid-token") {
			events++
		}
	}
	if events > 20 {
		t.Errorf("%d events for 1,001 refusals", events)
	}
}

// Large histories come in pages that fit into memory.
func TestHistoryOfLargeVersionsCostsBoundedMemory(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := person(unique("large-"))
	var photos []any
	for range 6 {
		photos = append(photos, object{"title": strings.Repeat("a", mib-1)})
	}
	p["photo"] = photos
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	path := "/Patient/" + p["id"].(string)
	for range 14 {
		if a := s.do(t, integration, "PUT", path, body, "Prefer", "return=minimal"); a.status > 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	before := s.peakMemory(t)
	a := s.do(t, clinician, "GET", path+"/_history?_count=1000", nil).want(200)
	if grown := s.peakMemory(t) - before; grown > 256*mib || len(a.body) > 40*mib {
		t.Errorf("a page of %d MiB cost %d MiB", len(a.body)/mib, grown/mib)
	} else {
		t.Logf("a page of %d MiB cost %d MiB", len(a.body)/mib, grown/mib)
	}
	versions := 0
	for link := path + "/_history?_count=1000"; link != "" && versions < 100; {
		h := s.do(t, clinician, "GET", link, nil).want(200).json()
		versions += len(each(h, "entry"))
		link = ""
		for _, l := range each(h, "link") {
			if l["relation"] == "next" {
				link = strings.TrimPrefix(l["url"].(string), s.Base)
			}
		}
	}
	if versions != 14 {
		t.Errorf("%d versions over all pages, want 14", versions)
	}
}
