package suite

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCreateAnswersLocationETagAndLastModified(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("chosen-by-client") // R4 http.html#create: the server ignores an id
	a := s.do(t, clinician, "POST", "/Patient", p).want(201)
	id := a.id()
	if id == "" || id == "chosen-by-client" || a.header.Get("Location") != s.Base+"/Patient/"+id+"/_history/1" {
		t.Errorf("Location %q", a.header.Get("Location"))
	}
	if a.header.Get("ETag") != `W/"1"` {
		t.Errorf("ETag %q", a.header.Get("ETag"))
	}
	if at, err := http.ParseTime(a.header.Get("Last-Modified")); err != nil || time.Since(at).Abs() > 10*time.Minute {
		t.Errorf("Last-Modified %q", a.header.Get("Last-Modified"))
	}
	if r := a.json(); r["id"] != id || at(r, "meta", "versionId") != "1" || at(r, "meta", "lastUpdated") == nil {
		t.Errorf("%s", a.body)
	}
}

func TestUpdateAsCreateIsForIntegration(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person(unique("client-"))
	path := "/Patient/" + p["id"].(string)
	a := s.do(t, integration, "PUT", path, p).want(201)
	if a.header.Get("Location") != s.Base+path+"/_history/1" {
		t.Errorf("Location %q", a.header.Get("Location"))
	}
	s.do(t, integration, "PUT", path, p).want(200)
	s.do(t, integration, "PUT", "/Patient/another", p).outcome(400)
	s.do(t, integration, "PUT", "/Patient/"+unique("n-"), person("")).outcome(400)
	fresh := person(unique("client-"))
	s.do(t, integration, "PUT", "/Patient/"+fresh["id"].(string), fresh, "If-Match", `W/"1"`).outcome(412)
	s.do(t, patient, "PUT", "/Patient/"+fresh["id"].(string), fresh).outcome(403)
}

func TestDeleteLeavesGoneAndOlderVersions(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	path := "/Patient/" + id
	p["id"], p["active"] = id, true
	s.do(t, clinician, "PUT", path, p).want(200)
	s.do(t, clinician, "DELETE", path, nil, "If-Match", `W/"1"`).outcome(412)
	s.do(t, clinician, "DELETE", path, nil).want(204)
	s.do(t, clinician, "GET", path, nil).outcome(410)
	s.do(t, clinician, "DELETE", path, nil).want(204)
	s.do(t, clinician, "GET", path+"/_history/3", nil).outcome(410)
	s.do(t, clinician, "GET", path+"/_history/4", nil).outcome(404)
	if got := s.do(t, clinician, "GET", path+"/_history/1", nil).want(200).json(); got["active"] != nil {
		t.Errorf("version 1 is %v", got)
	}
	s.checkDeletedHistory(t, path)
	if n := s.total(t, "/Patient?identifier="+identifierOf(p)); n != 0 {
		t.Errorf("a deleted patient is found")
	}
	if got := s.do(t, clinician, "PUT", path, p).want(201).header.Get("ETag"); got != `W/"4"` {
		t.Errorf("brought back with ETag %s", got)
	}
}

func (s *server) checkDeletedHistory(t *testing.T, path string) {
	t.Helper()
	h := s.do(t, clinician, "GET", path+"/_history", nil).want(200).json()
	var got []string
	for _, e := range each(h, "entry") {
		got = append(got, fmt.Sprint(at(e, "request", "method"), at(e, "response", "status"), e["resource"] != nil))
	}
	if want := "[DELETE204false PUT200true POST201true]"; fmt.Sprint(got) != want || h["type"] != "history" {
		t.Errorf("history %v, want %s", got, want)
	}
	first := s.do(t, clinician, "GET", path+"/_history?_count=2", nil).want(200)
	next := at(first.json(), "link", 1, "url")
	link, _ := next.(string)
	if !strings.HasPrefix(link, s.Base) {
		t.Fatalf("no next link: %s", first.body)
	}
	if rest := s.do(t, clinician, "GET", strings.TrimPrefix(link, s.Base), nil).want(200); len(each(rest.json(), "entry")) != 1 {
		t.Errorf("second page: %s", rest.body)
	}
	for _, q := range []string{"_count=0", "_count=x", "_since=2020", "_page=forged"} {
		s.do(t, clinician, "GET", path+"/_history?"+q, nil).outcome(400)
	}
}

func TestConditionalReads(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.create(t, person(""))
	a := s.do(t, clinician, "GET", path, nil).want(200)
	for _, header := range []string{`W/"1"`, `"1"`, `*`, `W/"7", W/"1"`} {
		n := s.do(t, clinician, "GET", path, nil, "If-None-Match", header).want(304)
		if len(n.body) > 0 || n.header.Get("ETag") != `W/"1"` {
			t.Errorf("304 with body %q, ETag %q", n.body, n.header.Get("ETag"))
		}
	}
	s.do(t, clinician, "GET", path, nil, "If-None-Match", `W/"2"`).want(200)
	s.do(t, clinician, "GET", path, nil, "If-Modified-Since", a.header.Get("Last-Modified")).want(304)
	s.do(t, clinician, "GET", path, nil, "If-Modified-Since", "Thu, 01 Jan 2015 00:00:00 GMT").want(200)
	s.do(t, clinician, "GET", path, nil, "If-Modified-Since", "rubbish").want(200)
	s.do(t, patient, "GET", path, nil, "If-None-Match", "*").outcome(404)
}

func TestIfNoneExist(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	cond := "identifier=" + identifierOf(p)
	first := s.do(t, integration, "POST", "/Patient", p, "If-None-Exist", cond).want(201).id()
	again := s.do(t, integration, "POST", "/Patient", p, "If-None-Exist", cond).want(200)
	if again.id() != first {
		t.Errorf("located %s, want %s", again.id(), first)
	}
	s.create(t, p)
	s.do(t, integration, "POST", "/Patient", p, "If-None-Exist", cond).outcome(412)
	for _, bad := range []string{"family:below=x", "nonsense=1", "identifier=", "_count=1", "identifier=a|b|c", "_sort=family"} {
		s.do(t, integration, "POST", "/Patient", p, "If-None-Exist", bad).outcome(400)
	}
}

func TestConcurrentConditionalCreatesMakeOneResource(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	cond := "identifier=" + identifierOf(p)
	var wg sync.WaitGroup
	answers := make([]*answer, 64)
	for i := range answers {
		wg.Go(func() { answers[i], _ = s.try(t, integration, "POST", "/Patient", p, "If-None-Exist", cond) })
	}
	wg.Wait()
	created, ids := outcomes(t, answers)
	if n := s.total(t, "/Patient?identifier="+identifierOf(p)); created != 1 || len(ids) != 1 || n != 1 {
		t.Errorf("%d created, %d ids, %d stored", created, len(ids), n)
	}
}

func TestConcurrentUpdatesUnderIfMatchLoseNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	p := person(id)
	var wg sync.WaitGroup
	won := make(chan struct{}, 32)
	for range cap(won) {
		wg.Go(func() {
			a, err := s.try(t, clinician, "PUT", "/Patient/"+id, p, "If-Match", `W/"1"`)
			switch {
			case err != nil:
				t.Error(err)
			case a.status == 200:
				won <- struct{}{}
			case a.status != 412:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d updates won", len(won))
	}
}

func TestHeadEqualsGetWithoutBody(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{"/Patient/" + s.Patient, "/Patient/" + s.Patient + "/_history/1", "/metadata", "/Patient/unknown", "/Patient?_id=" + s.Patient} {
		get, head := s.do(t, clinician, "GET", path, nil), s.do(t, clinician, "HEAD", path, nil)
		if get.status != head.status || len(head.body) > 0 {
			t.Errorf("%s: %d and %d, HEAD body %d bytes", path, get.status, head.status, len(head.body))
		}
		for _, name := range []string{"Content-Type", "Content-Length", "ETag", "Last-Modified", "Cache-Control", "Content-Encoding"} {
			if get.header.Get(name) != head.header.Get(name) {
				t.Errorf("%s %s: GET %q, HEAD %q", path, name, get.header.Get(name), head.header.Get(name))
			}
		}
	}
}

func TestGzipBothWays(t *testing.T) {
	t.Parallel()
	s := shared(t)
	plain := s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
	zipped := s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil, "Accept-Encoding", "gzip").want(200)
	if zipped.header.Get("Content-Encoding") != "gzip" || !strings.Contains(strings.Join(zipped.header.Values("Vary"), ","), "Accept-Encoding") {
		t.Fatalf("not compressed: %v", zipped.header)
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, plain.body) {
		t.Errorf("another body when compressed: %v", err)
	}
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_ = json.NewEncoder(w).Encode(person(""))
	_ = w.Close()
	s.do(t, integration, "POST", "/Patient", buf.Bytes(), "Content-Encoding", "gzip").want(201)
	s.do(t, integration, "POST", "/Patient", buf.Bytes()[:buf.Len()-9], "Content-Encoding", "gzip").outcome(400)
	s.do(t, integration, "POST", "/Patient", buf.Bytes(), "Content-Encoding", "br").outcome(415)
}

func TestPrettyAndFormat(t *testing.T) {
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.Patient
	compact := s.do(t, clinician, "GET", path, nil).want(200)
	pretty := s.do(t, clinician, "GET", path+"?_pretty=true", nil).want(200)
	var b bytes.Buffer
	if err := json.Compact(&b, pretty.body); err != nil || !bytes.Equal(b.Bytes(), compact.body) || !bytes.Contains(pretty.body, []byte("\n  ")) {
		t.Errorf("_pretty: %v", err)
	}
	for _, f := range []string{"json", "application/fhir%2Bjson", "application/fhir+json", "application/json", "text/json"} {
		a := s.do(t, clinician, "GET", path+"?_format="+f, nil, "Accept", "text/html").want(200)
		if got := a.header.Get("Content-Type"); got != "application/fhir+json; charset=utf-8" {
			t.Errorf("_format=%s: %s", f, got)
		}
	}
	s.do(t, clinician, "GET", path+"?_format=xml", nil).outcome(406)
	s.do(t, clinician, "GET", path, nil, "Accept", "application/fhir+xml").outcome(406)
	s.do(t, clinician, "GET", path, nil, "Accept", "application/fhir+xml;q=0.9, */*;q=0.1").want(200)
}

func TestPreferReturn(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for prefer, want := range map[string]string{"return=minimal": "", "return=representation": "Patient", "return=OperationOutcome": "OperationOutcome", "": "Patient"} {
		a := s.do(t, clinician, "POST", "/Patient", person(""), "Prefer", prefer).want(201)
		got := ""
		if len(a.body) > 0 {
			got, _ = a.json()["resourceType"].(string)
		}
		if got != want || a.header.Get("ETag") != `W/"1"` || a.header.Get("Location") == "" {
			t.Errorf("%q: body %q", prefer, got)
		}
	}
	s.do(t, clinician, "POST", "/Patient", person(""), "Prefer", "return=everything").outcome(400)
}

// outcomes tells of answers to the same conditional create how many created,
// and which ids were named.
func outcomes(t *testing.T, answers []*answer) (created int, ids map[string]bool) {
	t.Helper()
	ids = map[string]bool{}
	for i, a := range answers {
		switch {
		case a == nil:
			t.Fatalf("request %d had no answer", i)
		case a.status == 201:
			created++
		case a.status != 200:
			t.Errorf("request %d: %d %s", i, a.status, a.body)
			continue
		}
		ids[a.id()] = true
	}
	return created, ids
}
