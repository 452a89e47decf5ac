package suite

import (
	"net/http"
	"testing"
)

// codes are the interaction codes of a CapabilityStatement element.
func codes(o object) map[string]bool {
	set := map[string]bool{}
	for _, i := range each(o, "interaction") {
		set[i["code"].(string)] = true
	}
	return set
}

// probes is a request for every interaction that R4 knows on types.
var probes = map[string]struct {
	method, path string
	headers      []string
}{
	"read":             {"GET", "/T/none", nil},
	"vread":            {"GET", "/T/none/_history/1", nil},
	"update":           {"PUT", "/T/none", nil},
	"patch":            {"PATCH", "/T/none", []string{"Content-Type", "application/json-patch+json"}},
	"delete":           {"DELETE", "/T/none", nil},
	"history-instance": {"GET", "/T/none/_history", nil},
	"history-type":     {"GET", "/T/_history", nil},
	"create":           {"POST", "/T", nil},
	"search-type":      {"GET", "/T?_id=none", nil},
}

// notServed reports whether a path or method is not served at all, told by the
// outcome's code and text as a client sees it.
func notServed(a *answer) bool {
	return a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotFound && at(a.json(), "issue", 0, "diagnostics") == "no such resource path"
}

func TestEveryClaimedInteractionIsServedAndNoOther(t *testing.T) {
	t.Parallel()
	s := shared(t)
	meta := s.do(t, nobody, "GET", "/metadata", nil).want(200).json()
	resources := each(object{"r": at(meta, "rest", 0, "resource")}, "r")
	if len(resources) < 140 {
		t.Fatalf("%d types", len(resources))
	}
	for i, r := range resources {
		typ := r["type"].(string)
		if i%10 != 0 && typ != "Patient" && typ != "AuditEvent" {
			continue
		}
		claimed := codes(r)
		for code, p := range probes {
			var body any
			if p.method == "POST" || p.method == "PUT" || p.method == "PATCH" {
				body = object{"resourceType": typ, "id": "none", "nonsense": 1}
			}
			path := "/" + typ + p.path[2:]
			a := s.do(t, integration, p.method, path, body, p.headers...)
			served := !notServed(a) && (typ != "AuditEvent" || a.status != http.StatusForbidden || claimed[code])
			if typ != "AuditEvent" && served != claimed[code] || a.status >= 500 {
				t.Errorf("%s %s: claimed %v, answer %d %.200s", typ, code, claimed[code], a.status, a.body)
			}
		}
	}
}

func TestEveryClaimedSearchParameterIsAnswered(t *testing.T) {
	t.Parallel()
	s := shared(t)
	meta := s.do(t, nobody, "GET", "/metadata", nil).want(200).json()
	values := map[string]string{"number": "1", "date": "2020-01-01", "string": "x", "token": "x", "reference": "x", "quantity": "1", "uri": "urn:x", "special": "1|1"}
	asked := 0
	for _, r := range each(object{"r": at(meta, "rest", 0, "resource")}, "r") {
		role := integration
		if r["type"] == "AuditEvent" {
			role = privacyOfficer
		}
		for _, p := range each(r, "searchParam") {
			if p["type"] == "composite" {
				continue // the statement does not name its components
			}
			asked++
			s.do(t, role, "GET", "/"+r["type"].(string)+"?_count=1&"+p["name"].(string)+"="+values[p["type"].(string)], nil).want(200)
		}
	}
	if asked < 2000 {
		t.Errorf("the statement names %d parameters only", asked)
	}
}

func TestWhatIsNotOfferedIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, q := range []string{"nonsense=1", "_has:Observation:patient:nonsense=x", "_filter=name+eq+x", "_text=x", "_content=x", "_list=x", "_query=x",
		"identifier=x&_sort=nonsense", "identifier=x&_include=Patient:nonsense", "identifier=x&_revinclude=Provenance:nonsense",
		"identifier:of-type=x", "general-practitioner.nonsense=x", "identifier=x&_contained=true"} { // abuse 47-49
		s.do(t, integration, "GET", "/Patient?"+q, nil).outcome(400)
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"PATCH", "/Patient/1", 415},
		{"GET", "/Patient/1/$everything", 404},
		{"OPTIONS", "/Patient", 204}, {"POST", "/Patient/1", 405}, {"DELETE", "/Patient/1/_history/1", 405},
	} {
		a := s.do(t, integration, c.method, c.path, nil)
		if a.status != c.status && a.status != 400 && !(c.status == 404 && a.status == 405) && !(c.status == 405 && a.status == 404) {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, a.status, c.status)
		}
	}
}

func TestMetadataIsOpenAndComplete(t *testing.T) {
	t.Parallel()
	s := shared(t)
	m := s.do(t, nobody, "GET", "/metadata", nil, "Origin", "https://app.example").want(200)
	o := m.json()
	system := codes(each(o, "rest")[0])
	if o["fhirVersion"] != "4.0.1" || !system["transaction"] || !system["batch"] || !system["search-system"] || at(o, "implementation", "url") != s.Base {
		t.Errorf("%.400s", m.body)
	}
	if m.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("metadata is not open to browsers")
	}
}
