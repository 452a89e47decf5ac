package suite

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

func transaction(entries ...object) object { return bundle("transaction", entries) }

func bundle(kind string, entries []object) object {
	list := make([]any, len(entries))
	for i, e := range entries {
		list[i] = e
	}
	return object{"resourceType": "Bundle", "type": kind, "entry": list}
}

// post is an entry that creates; fullURL may be empty.
func post(r object, fullURL string) object {
	e := object{"resource": r, "request": object{"method": "POST", "url": r["resourceType"]}}
	if fullURL != "" {
		e["fullUrl"] = fullURL
	}
	return e
}

func put(r object) object {
	return object{"resource": r, "request": object{"method": "PUT", "url": fmt.Sprintf("%s/%s", r["resourceType"], r["id"])}}
}

// observation is a small valid Observation of a subject.
func observation(subject string) object {
	return object{"resourceType": "Observation", "status": "final", "code": object{"text": "t"}, "subject": object{"reference": subject}}
}

// responses are the entries' responses of a Bundle answer.
func (a *answer) responses() (list []object) {
	for _, e := range each(a.json(), "entry") {
		r, _ := e["response"].(object)
		list = append(list, r)
	}
	return list
}

// located is the Type/id of a response.
func located(response object) string {
	l, _ := response["location"].(string)
	path, _, _ := strings.Cut(l, "/_history")
	return path
}

func TestBatchLetsGoodEntriesLandBesideBadOnes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	bad := person("")
	bad["gender"] = "unheard-of"
	b := bundle("batch", []object{post(person(""), ""), post(bad, ""), post(person(""), ""),
		{"request": object{"method": "GET", "url": "Patient/" + s.Patient}},
		{"request": object{"method": "GET", "url": "Patient/" + unique("no-")}},
		{"request": object{"method": "BREW", "url": "Patient"}}})
	rs := s.do(t, integration, "POST", "", b).want(200).responses()
	for i, want := range []string{"201", "422", "201", "200", "404", "400"} {
		status, _ := rs[i]["status"].(string)
		if !strings.HasPrefix(status, want) {
			t.Errorf("entry %d: %v, want %s", i, rs[i], want)
		}
		if (want[0] == '4') != (at(rs[i], "outcome", "resourceType") == "OperationOutcome") {
			t.Errorf("entry %d: outcome %v", i, rs[i]["outcome"])
		}
	}
	s.do(t, integration, "GET", "/"+located(rs[0]), nil).want(200)
}

func TestTransactionRewritesReferences(t *testing.T) {
	t.Parallel()
	s := shared(t)
	pURN, oURN := "urn:uuid:6b0c1f5e-6cf0-4d0f-9a43-0d27a9e2b001", "urn:uuid:6b0c1f5e-6cf0-4d0f-9a43-0d27a9e2b002"
	obs, report := observation(pURN), object{"resourceType": "DiagnosticReport", "status": "final", "code": object{"text": "r"},
		"subject": object{"reference": pURN}, "result": []any{object{"reference": oURN}}}
	report["identifier"] = []any{object{"system": "urn:not-a-reference", "value": pURN}}
	rs := s.do(t, integration, "POST", "", transaction(post(report, ""), post(obs, oURN), post(person(""), pURN))).want(200).responses()
	got := s.do(t, integration, "GET", "/"+located(rs[0]), nil).want(200).json()
	if at(got, "subject", "reference") != located(rs[2]) || at(got, "result", 0, "reference") != located(rs[1]) {
		t.Errorf("references were not rewritten: %v", got)
	}
	if at(got, "identifier", 0, "value") != pURN {
		t.Errorf("an identifier that only looks like a reference was rewritten: %v", got["identifier"])
	}
}

func TestTransactionWithOneBadEntryWritesNothingAndNamesIt(t *testing.T) {
	t.Parallel()
	s := shared(t)
	good, bad := person(unique("tx-")), person("")
	bad["birthDate"] = "yesterday"
	a := s.do(t, integration, "POST", "", transaction(put(good), post(person(""), ""), post(bad, ""))).outcome(422)
	if !strings.Contains(string(a.body), "Bundle.entry[2]") {
		t.Errorf("the entry is not named: %s", a.body)
	}
	s.do(t, integration, "GET", "/Patient/"+good["id"].(string), nil).outcome(404)
}

func TestTransactionWithOneForbiddenEntryWritesNothing(t *testing.T) { // abuse 57
	t.Parallel()
	s := shared(t)
	good := person("")
	event := object{"resourceType": "AuditEvent"}
	a := s.do(t, integration, "POST", "", transaction(post(good, ""), post(event, ""))).outcome(403)
	if strings.Contains(string(a.body), "_history") || strings.Contains(string(a.body), "Patient/") {
		t.Errorf("ids leak: %s", a.body)
	}
	if n := s.total(t, "/Patient?identifier="+identifierOf(good)); n != 0 {
		t.Errorf("%d resources were written", n)
	}
	s.do(t, researcher, "POST", "", transaction(post(person(""), ""))).outcome(403)
}

// total counts the matches of a search with parameters, by integration.
func (s *server) total(t testing.TB, path string) int {
	t.Helper()
	n, err := s.do(t, integration, "GET", path+"&_summary=count", nil).want(200).json()["total"].(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

func TestTransactionResolvesConditionalReferences(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	conditional := "Patient?identifier=" + identifierOf(p)
	rs := s.do(t, integration, "POST", "", transaction(post(observation(conditional), ""))).want(200).responses()
	if got := s.do(t, integration, "GET", "/"+located(rs[0]), nil).json(); at(got, "subject", "reference") != "Patient/"+id {
		t.Errorf("subject is %v", got["subject"])
	}
	a := s.do(t, integration, "POST", "", transaction(post(observation("Patient?identifier=urn:suite|"+unique("none-")), "")))
	if a.status != 412 && a.status != 400 && a.status != 422 {
		t.Errorf("a reference without a match: %d %s", a.status, a.body)
	}
}

func TestConditionalCreateInATransaction(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	e := post(p, "urn:uuid:0f0e0d0c-0000-4000-8000-000000000001")
	e["request"].(object)["ifNoneExist"] = "identifier=" + identifierOf(p)
	var first string
	for i, want := range []string{"201", "200"} {
		rs := s.do(t, integration, "POST", "", transaction(e, post(observation(e["fullUrl"].(string)), ""))).want(200).responses()
		if got, _ := rs[0]["status"].(string); !strings.HasPrefix(got, want) {
			t.Fatalf("round %d: %v", i, rs[0])
		}
		if i == 0 {
			first = located(rs[0])
		}
		obs := s.do(t, integration, "GET", "/"+located(rs[1]), nil).want(200).json()
		if at(obs, "subject", "reference") != first {
			t.Errorf("round %d: subject %v, want %s", i, obs["subject"], first)
		}
	}
	if n := s.total(t, "/Patient?identifier="+identifierOf(p)); n != 1 {
		t.Errorf("%d patients", n)
	}
}

func TestSyntheaBundlesLoadWhole(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for name, b := range fhirtest.SyntheaInformation(t) {
		for i, r := range s.do(t, integration, "POST", "", b).want(200).responses() {
			if got, _ := r["status"].(string); got == "" || got[0] != '2' {
				t.Fatalf("%s entry %d: %v", name, i, r)
			}
		}
	}
	for name, b := range fhirtest.Synthea(t) {
		var sent object
		if err := json.Unmarshal(b, &sent); err != nil {
			t.Fatal(err)
		}
		rs := s.do(t, integration, http.MethodPost, "", b).want(200).responses()
		if len(rs) != len(each(sent, "entry")) {
			t.Errorf("%s: %d responses", name, len(rs))
		}
		for i := 0; i < len(rs); i += 7 {
			got := s.do(t, integration, "GET", "/"+located(rs[i]), nil).want(200)
			if strings.Contains(string(got.body), "urn:uuid:") && strings.Contains(string(got.body), `"reference":"urn:uuid:`) {
				t.Errorf("%s entry %d keeps a urn:uuid reference", name, i)
			}
		}
	}
}

func TestBundleThatIsNoBatchIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for name, b := range map[string]any{
		"collection": bundle("collection", nil), "patient": person(""), "no type": object{"resourceType": "Bundle"},
		"same fullUrl": transaction(post(person(""), "urn:uuid:0f0e0d0c-0000-4000-8000-00000000000a"), post(person(""), "urn:uuid:0f0e0d0c-0000-4000-8000-00000000000a")),
		"same target":  transaction(put(person("twice")), put(person("twice"))),
	} {
		t.Run(name, func(t *testing.T) { s.do(t, integration, "POST", "", b).outcome(400) })
	}
}
