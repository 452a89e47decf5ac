package suite

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

const jsonPatch = "application/json-patch+json"

// patch sends a JSON Patch.
func (s *server) patch(t testing.TB, role, path, body string, headers ...string) *answer {
	t.Helper()
	return s.do(t, role, "PATCH", path, body, append([]string{"Content-Type", jsonPatch}, headers...)...)
}

func TestJSONPatch(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.create(t, person(""))
	a := s.patch(t, clinician, path, `[{"op":"test","path":"/gender","value":"female"},{"op":"replace","path":"/gender","value":"other"}]`).want(200)
	if a.json()["gender"] != "other" || a.header.Get("ETag") != `W/"2"` || a.header.Get("Content-Location") != s.Base+path+"/_history/2" {
		t.Errorf("%s %v", a.body, a.header)
	}
	s.patch(t, clinician, path, `[{"op":"add","path":"/active","value":true}]`, "If-Match", `W/"1"`).outcome(412)
	m := s.patch(t, clinician, path, `[{"op":"add","path":"/active","value":true}]`, "If-Match", `W/"2"`, "Prefer", "return=minimal").want(200)
	if len(m.body) != 0 || m.header.Get("ETag") != `W/"3"` {
		t.Errorf("%q %v", m.body, m.header)
	}
	s.patch(t, clinician, path, `[{"op":"test","path":"/gender","value":"male"}]`).outcome(422)
	s.patch(t, clinician, path, `[{"op":"add","path":"/colour","value":"red"}]`).outcome(422)
	s.patch(t, clinician, path, `{"op":"add"}`).outcome(400)
	s.patch(t, clinician, "/Patient/"+unique("none-"), `[]`).outcome(404)
	s.do(t, clinician, "DELETE", path, nil).want(204)
	s.patch(t, clinician, path, `[]`).outcome(410)
}

func TestFHIRPathPatch(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.create(t, person(""))
	params := func(parts ...any) object {
		return object{"resourceType": "Parameters", "parameter": []any{object{"name": "operation", "part": parts}}}
	}
	a := s.do(t, clinician, "PATCH", path, params(object{"name": "type", "valueCode": "add"}, object{"name": "path", "valueString": "Patient"},
		object{"name": "name", "valueString": "contact"}, object{"name": "value", "part": []any{
			object{"name": "name", "valueHumanName": object{"text": "next of kin"}}, object{"name": "gender", "valueCode": "male"}}})).want(200)
	if at(a.json(), "contact", 0, "gender") != "male" || at(a.json(), "contact", 0, "name", "text") != "next of kin" {
		t.Errorf("%s", a.body)
	}
	a = s.do(t, clinician, "PATCH", path, params(object{"name": "type", "valueCode": "delete"}, object{"name": "path", "valueString": "Patient.contact[0].name"}), "If-Match", `W/"2"`).want(200)
	if at(a.json(), "contact", 0, "name") != nil {
		t.Errorf("%s", a.body)
	}
	s.do(t, clinician, "PATCH", path, params(object{"name": "type", "valueCode": "replace"}, object{"name": "path", "valueString": "Patient.photo"},
		object{"name": "value", "valueAttachment": object{"title": "x"}})).outcome(422)
	s.do(t, clinician, "PATCH", path, params(object{"name": "type", "valueCode": "remove"})).outcome(400)
}

func TestPatchMediaTypes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, media := range []string{"application/xml-patch+xml", "text/plain", "application/merge-patch+json"} {
		a := s.do(t, clinician, "PATCH", "/Patient/x", "[]", "Content-Type", media).outcome(415)
		if !strings.Contains(a.header.Get("Accept-Patch"), jsonPatch) {
			t.Errorf("Accept-Patch %q", a.header.Get("Accept-Patch"))
		}
	}
	m := s.do(t, nobody, "GET", "/metadata", nil).want(200).json()
	if fmt.Sprint(m["patchFormat"]) != "["+jsonPatch+" "+fhirJSON+"]" {
		t.Errorf("patchFormat %v", m["patchFormat"])
	}
	for _, r := range each(each(m, "rest")[0], "resource") {
		if codes(r)["patch"] != (r["type"] != "AuditEvent") {
			t.Errorf("%v: patch is stated wrongly", r["type"])
		}
	}
}

// abuse 13.
func TestHugeAndHiddenPatchesAreRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.create(t, person(""))
	s.patch(t, clinician, path, "["+strings.Repeat(`{"op":"test","path":"/gender","value":"female"},`, 9_999)+`{"op":"test","path":"/gender","value":"female"}]`).outcome(422)
	s.patch(t, clinician, path, `[{"op":"add","path":"/extension","value":["0123456789"]},`+strings.Repeat(`{"op":"copy","from":"/extension","path":"/extension/-"},`, 64)+`{"op":"remove","path":"/extension"}]`).outcome(422)
	for _, role := range []string{researcher, nurse, patient} {
		a := s.patch(t, role, path, `[{"op":"test","path":"/identifier/0/value","value":"x"}]`).outcome(403)
		b := s.patch(t, role, "/Patient/"+unique("none-"), `[{"op":"test","path":"/identifier/0/value","value":"x"}]`).outcome(403)
		if string(a.body) != string(b.body) {
			t.Errorf("%s can tell a patient from none", role)
		}
	}
}

func TestConcurrentPatchesAreAllApplied(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.create(t, person(""))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			a, err := s.try(t, clinician, "PATCH", path, fmt.Sprintf(`[{"op":"add","path":"/identifier/-","value":{"value":"w%d"}}]`, i), "Content-Type", jsonPatch)
			if err != nil || a.status != 200 {
				t.Errorf("writer %d: %v %v", i, a, err)
			}
		})
	}
	wg.Wait()
	if n := len(each(s.do(t, clinician, "GET", path, nil).want(200).json(), "identifier")); n != 9 {
		t.Errorf("%d identifiers, want 9", n)
	}
}
