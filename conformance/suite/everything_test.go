package suite

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// parameters is a Parameters resource of name, value member and value.
func parameters(values ...any) object {
	var list []any
	for i := 0; i+2 < len(values); i += 3 {
		list = append(list, object{"name": values[i], values[i+1].(string): values[i+2]})
	}
	return object{"resourceType": "Parameters", "parameter": list}
}

// all follows the pages of a Bundle and returns Type/id of every entry.
func (s *server) all(t testing.TB, role, path string) (ids []string, pages int) {
	t.Helper()
	for path != "" {
		b := s.do(t, role, "GET", path, nil).want(200).json()
		path = ""
		pages++
		for _, e := range each(b, "entry") {
			ids = append(ids, strings.TrimPrefix(e["fullUrl"].(string), s.Base+"/"))
		}
		for _, l := range each(b, "link") {
			if l["relation"] == "next" {
				path = strings.TrimPrefix(l["url"].(string), s.Base)
			}
		}
	}
	return ids, pages
}

func TestEverythingOfThePatient(t *testing.T) {
	t.Parallel()
	s := start(t)
	path := "/Patient/" + s.Patient + "/$everything"
	whole, _ := s.all(t, clinician, path)
	if len(whole) < 20 || whole[0] != "Patient/"+s.Patient {
		t.Fatalf("%d entries: %.3v", len(whole), whole)
	}
	paged, pages := s.all(t, clinician, path+"?_count=9")
	if fmt.Sprint(paged) != fmt.Sprint(whole) || pages != (len(whole)+8)/9 {
		t.Errorf("%d pages gave %d entries, want %d", pages, len(paged), len(whole))
	}
	own, _ := s.all(t, patient, path)
	if own[0] != whole[0] {
		t.Errorf("the patient gets %v", own[0])
	}
	for _, id := range own { // each as readable as alone
		s.do(t, patient, "GET", "/"+id, nil).want(200)
	}
	a := s.do(t, clinician, "POST", path, parameters("_type", "valueCode", "Encounter", "start", "valueDate", "1900-01-01")).want(200)
	for _, r := range a.resources() {
		if r["resourceType"] != "Encounter" {
			t.Errorf("_type=Encounter gave %v", r["resourceType"])
		}
	}
	z := s.do(t, clinician, "GET", path, nil, "Accept-Encoding", "gzip").want(200)
	unzipped, err := gzip.NewReader(bytes.NewReader(z.body))
	if err != nil || z.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v %v", err, z.header)
	}
	if plain, err := io.ReadAll(unzipped); err != nil || !json.Valid(plain) {
		t.Errorf("%v", err)
	}
	if h := s.do(t, clinician, "HEAD", path, nil).want(200); len(h.body) > 0 {
		t.Error("HEAD has a body")
	}
	for _, q := range []string{"?_count=0", "?_page=forged", "?nonsense=1", "?_type=Nonsense"} {
		s.do(t, clinician, "GET", path+q, nil).outcome(400)
	}
}

// abuse 41 and 50.
func TestEverythingOfAnotherPatientIsUnknown(t *testing.T) {
	t.Parallel()
	s := shared(t)
	other := s.create(t, person(""))
	foreign := s.do(t, patient, "GET", "/Patient/"+other+"/$everything", nil).outcome(404)
	unknown := s.do(t, patient, "GET", "/Patient/"+unique("none-")+"/$everything", nil).outcome(404)
	if string(foreign.body) != string(unknown.body) {
		t.Error("a foreign patient and none are told apart")
	}
	s.do(t, patient, "GET", "/Patient/$everything", nil).outcome(403)
	b := s.do(t, clinician, "GET", "/Patient/"+s.Patient+"/$everything?_count=1", nil).want(200).json()
	link, _ := at(b, "link", 1, "url").(string)
	s.do(t, clinician, "GET", strings.TrimPrefix(link, s.Base), nil).want(200)
	s.do(t, patient, "GET", strings.TrimPrefix(link, s.Base), nil).outcome(400)
}

// Every chunk is recorded with what it held.
func TestEverythingIsInTheTrail(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids, _ := s.all(t, clinician, "/Patient/"+s.Patient+"/$everything")
	trail := s.do(t, patient, "GET", "/AuditEvent?patient="+s.Patient+"&_count=100", nil).want(200)
	seen := map[string]bool{}
	for _, r := range trail.resources() {
		if at(r, "subtype", 0, "code") != "operation" {
			continue
		}
		for _, e := range each(r, "entity") {
			if ref, ok := at(e, "what", "reference").(string); ok {
				typ, rest, _ := strings.Cut(ref, "/")
				id, _, _ := strings.Cut(rest, "/")
				seen[typ+"/"+id] = true
			}
		}
	}
	for _, id := range ids {
		if strings.HasPrefix(id, "Organization") || strings.HasPrefix(id, "Practitioner") || strings.HasPrefix(id, "Location") {
			continue // no entity about this patient
		}
		if !seen[id] {
			t.Errorf("%s was sent and is not in the trail", id)
		}
	}
}

func TestMetaAndValidateOperations(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.create(t, person(""))
	tag := object{"tag": []any{object{"system": "urn:suite", "code": "x"}}}
	a := s.do(t, clinician, "POST", path+"/$meta-add", parameters("meta", "valueMeta", tag)).want(200)
	if at(a.json(), "parameter", 0, "valueMeta", "tag", 0, "code") != "x" || a.header.Get("ETag") != `W/"2"` {
		t.Errorf("%s", a.body)
	}
	s.do(t, clinician, "POST", path+"/$meta-delete", parameters("meta", "valueMeta", tag), "If-Match", `W/"1"`).outcome(412)
	s.do(t, clinician, "POST", path+"/$meta-delete", parameters("meta", "valueMeta", tag)).want(200)
	m := s.do(t, clinician, "GET", path+"/$meta", nil).want(200).json()
	if at(m, "parameter", 0, "valueMeta", "tag") != nil || at(m, "parameter", 0, "valueMeta", "versionId") != "3" {
		t.Errorf("%v", m)
	}
	for _, used := range []string{"/Patient/$meta", "/$meta"} {
		m := s.do(t, clinician, "GET", used, nil).want(200).json()
		if at(m, "parameter", 0, "name") != "return" || at(m, "parameter", 0, "valueMeta", "versionId") != nil {
			t.Errorf("%s: %v", used, m)
		}
		s.do(t, admin, "POST", used, nil).outcome(403)
		s.do(t, clinician, "DELETE", used, nil).outcome(405)
	}
	s.do(t, clinician, "GET", path+"/$meta-add", nil).outcome(405)
	for _, role := range []string{nurse, researcher, patient, admin} {
		s.do(t, role, "POST", path+"/$meta-add", parameters("meta", "valueMeta", tag)).outcome(403)
	}
	bad := object{"resourceType": "Patient", "colour": "red"}
	for _, body := range []any{bad, object{"resourceType": "Parameters", "parameter": []any{object{"name": "resource", "resource": bad}}}} {
		o := s.do(t, clinician, "POST", "/Patient/$validate", body).want(200).json()
		if at(o, "issue", 0, "severity") != "error" {
			t.Errorf("%v", o)
		}
	}
	s.do(t, clinician, "POST", "/Patient/$validate?profile=http://x", bad).outcome(400)
	s.do(t, clinician, "GET", path+"/$validate?mode=delete", nil).want(200)
}

func TestOperationsAreStatedAndDefined(t *testing.T) {
	t.Parallel()
	s := shared(t)
	m := s.do(t, nobody, "GET", "/metadata", nil).want(200).json()
	if got := each(each(m, "rest")[0], "operation"); len(got) != 1 || got[0]["definition"] != "http://hl7.org/fhir/OperationDefinition/Resource-meta" {
		t.Errorf("on the system: %v", got)
	}
	n := 0
	for _, r := range each(each(m, "rest")[0], "resource") {
		for _, o := range each(r, "operation") {
			url := o["definition"].(string)
			if r["type"] != "Patient" && r["type"] != "Encounter" && r["type"] != "Observation" && r["type"] != "Composition" {
				continue
			}
			id := url[strings.LastIndexByte(url, '/')+1:]
			if d := s.do(t, clinician, "GET", "/OperationDefinition/"+id, nil).want(200).json(); d["url"] != url || d["code"] != o["name"] {
				t.Errorf("%s: %v %v", id, d["url"], d["code"])
			}
			n++
		}
	}
	if n < 19 {
		t.Errorf("%d operations are stated", n)
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/Patient/$nonsense", 400}, {"POST", "/Patient/$nonsense", 400}, {"GET", "/Patient/x/$nonsense", 400}, {"POST", "/Patient/x/$nonsense", 400},
		{"GET", "/Observation/x/$everything", 404}, {"POST", "/Observation/$everything", 404}, {"GET", "/$everything", 404}, {"GET", "/$nonsense", 400}, {"GET", "/AuditEvent/x/$meta", 404}} {
		var body any
		if c.method == http.MethodPost {
			body = parameters()
		}
		s.do(t, clinician, c.method, c.path, body).outcome(c.status)
	}
}

func TestDocumentAndLastN(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := "Patient/" + s.create(t, person(""))
	var obs []string
	for year := range 3 {
		obs = append(obs, "Observation/"+s.create(t, object{"resourceType": "Observation", "status": "final", "code": object{"text": "weight"},
			"subject": object{"reference": p}, "effectiveDateTime": fmt.Sprint(2010 + year)}))
	}
	for _, c := range []struct {
		query string
		want  []string
	}{{"patient=" + p, obs[2:]}, {"patient=" + p + "&max=2", []string{obs[2], obs[1]}}, {"patient=" + p + "&date=lt2012", obs[1:2]}} {
		if got, _ := s.all(t, clinician, "/Observation/$lastn?"+c.query); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
	got := s.do(t, clinician, "POST", "/Observation/$lastn", parameters("patient", "valueString", p, "max", "valuePositiveInt", 5)).want(200)
	if len(got.resources()) != 3 {
		t.Errorf("%s", got.body)
	}
	comp := "/Composition/" + s.create(t, object{"resourceType": "Composition", "status": "final", "type": object{"text": "t"}, "subject": object{"reference": p},
		"date": "2020", "author": []any{object{"reference": p}}, "title": "x", "section": []any{object{"entry": []any{object{"reference": obs[0]}}}}})
	d := s.do(t, clinician, "GET", comp+"/$document", nil).want(200)
	types := ""
	for _, r := range d.resources() {
		types += r["resourceType"].(string) + " "
	}
	if types != "Composition Patient Observation " || d.json()["type"] != "document" {
		t.Errorf("%s", types)
	}
	s.do(t, patient, "GET", comp+"/$document", nil).outcome(404)
	kept := s.do(t, clinician, "GET", comp+"/$document?persist=true", nil).want(200)
	s.do(t, clinician, "GET", "/Bundle/"+kept.id(), nil).want(200)
	s.do(t, nurse, "GET", comp+"/$document?persist=true", nil).outcome(403)
}
