package suite

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFormatsAreNegotiated(t *testing.T) { // R4 http.html#mime-type
	t.Parallel()
	s := shared(t)
	path := "/Patient/" + s.Patient
	const json = "application/fhir+json; charset=utf-8"
	for _, c := range []struct {
		name, path, accept, charset string
		want                        string // Content-Type; empty for 406
	}{
		{"no wish", path, "", "", json},
		{"FHIR JSON", path, "application/fhir+json", "utf-8", json},
		{"R4 by parameter", path, "application/fhir+json; fhirVersion=4.0", "", "application/fhir+json; fhirVersion=4.0; charset=utf-8"},
		{"generic JSON", path, "application/json", "", "application/json; charset=utf-8"},
		{"XML refused", path, "application/fhir+xml", "", ""},
		{"R5 refused", path, "application/fhir+json; fhirVersion=5.0", "", ""},
		{"_format wins over Accept", path + "?_format=json", "application/fhir+xml", "", json},
		{"_format=xml", path + "?_format=xml", "application/fhir+json", "", ""},
		{"Latin-1 refused", path, "", "iso-8859-1", ""},
		{"on a search", "/Patient?_format=xml", "", "", ""},
		{"on metadata", "/metadata?_format=application/fhir%2Bjson", "text/html", "", json},
		{"XML metadata", "/metadata", "application/xml", "", ""},
	} {
		a := s.do(t, clinician, "GET", c.path, nil, "Accept", c.accept, "Accept-Charset", c.charset)
		if c.want == "" {
			a.outcome(406)
		} else if got := a.want(200).header.Get("Content-Type"); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	s.do(t, clinician, "POST", "/Patient/_search", "_id=x&_format=xml", "Content-Type", "application/x-www-form-urlencoded").outcome(406)
	s.do(t, integration, "POST", "/Patient", person(""), "Content-Type", "application/fhir+json; fhirVersion=3.0").outcome(415)
}

func TestContentCodings(t *testing.T) { // RFC 9110 §8.4
	t.Parallel()
	s := shared(t)
	plain := s.do(t, nobody, "GET", "/metadata", nil).want(200)
	for coding, open := range map[string]func(io.Reader) (io.ReadCloser, error){
		"gzip":    func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
		"deflate": zlib.NewReader,
	} {
		a := s.do(t, nobody, "GET", "/metadata", nil, "Accept-Encoding", coding).want(200)
		r, err := open(bytes.NewReader(a.body))
		if err != nil || a.header.Get("Content-Encoding") != coding || len(a.body) > len(plain.body)/2 {
			t.Fatalf("%s: %v %v", coding, a.header, err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain.body) {
			t.Errorf("%s: other bytes, %v", coding, err)
		}
		if !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
			t.Errorf("%s: Vary %q", coding, a.header.Get("Vary"))
		}
	}
	var body bytes.Buffer
	z := zlib.NewWriter(&body)
	_, _ = io.WriteString(z, patientWith(`"gender":"other"`))
	_ = z.Close()
	s.do(t, integration, "POST", "/Patient", body.Bytes(), "Content-Encoding", "deflate").want(201)
	s.do(t, integration, "POST", "/Patient", body.Bytes(), "Content-Encoding", "gzip").outcome(400)
	s.do(t, integration, "POST", "/Patient", body.Bytes(), "Content-Encoding", "br").outcome(415)
	s.do(t, integration, "POST", "/Patient", body.Bytes(), "Content-Encoding", "gzip, gzip").outcome(415)
}

// Every GET has its HEAD with the same headers and no body (RFC 9110 §9.3.2).
func TestHeadIsGetWithoutBody(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	for _, path := range []string{"/metadata", "/Patient/" + id, "/Patient/" + id + "/_history/1", "/Patient/" + id + "/_history", "/Patient?_id=" + id, "/Patient/none"} {
		get, head := s.do(t, clinician, "GET", path, nil), s.do(t, clinician, "HEAD", path, nil)
		if head.status != get.status || len(head.body) != 0 {
			t.Errorf("%s: HEAD %d with %d bytes, GET %d", path, head.status, len(head.body), get.status)
		}
		for _, name := range []string{"Content-Type", "ETag", "Last-Modified"} {
			if head.header.Get(name) != get.header.Get(name) {
				t.Errorf("%s: %s: %q and %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
	for _, probe := range []string{"/healthz", "/readyz"} {
		s.until(t, "HEAD "+probe, func() bool { // a probe has three seconds, which a busy machine may take
			res, err := s.client.Head(s.origin() + probe)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode == 200
		})
	}
}

func TestMethodsAreNamed(t *testing.T) { // RFC 9110 §9.3.7, §15.5.6
	t.Parallel()
	s := shared(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        []string
	}{
		{"OPTIONS", "/Patient", 204, []string{"GET", "HEAD", "POST"}},
		{"OPTIONS", "/Patient/1", 204, []string{"DELETE", "GET", "HEAD", "PUT"}},
		{"OPTIONS", "/metadata", 204, []string{"GET", "HEAD"}},
		{"DELETE", "/metadata", 405, []string{"GET", "HEAD", "OPTIONS"}},
		{"POST", "/Patient/1/_history/1", 405, []string{"GET", "HEAD", "OPTIONS"}},
	} {
		a := s.do(t, nobody, c.method, c.path, nil)
		if c.status == 405 {
			a.outcome(405)
		}
		allow := strings.Split(a.header.Get("Allow"), ", ")
		for _, m := range c.allow {
			if a.status != c.status || !slices.Contains(allow, m) {
				t.Errorf("%s %s: %d, Allow %q", c.method, c.path, a.status, a.header.Get("Allow"))
			}
		}
	}
	s.do(t, clinician, "GET", "/no/such/path/at/all", nil).outcome(404)
}

func TestOneSlashAtTheEndIsTaken(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.do(t, nobody, "GET", "/metadata/", nil).want(200)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient+"/", nil).want(200)
	s.do(t, clinician, "GET", "/Patient/?_id="+s.Patient, nil).want(200)
	s.do(t, integration, "POST", "/Patient/", person("")).want(201)
	s.do(t, integration, "POST", "/", bundle("batch", nil)).want(200)
	s.do(t, clinician, "GET", "/Patient//", nil).outcome(400)
}

func TestRequestIds(t *testing.T) { // R4 http.html#custom
	t.Parallel()
	s := shared(t)
	ours := regexp.MustCompile(`^[0-9a-f]{16}$`)
	seen := map[string]bool{}
	for _, c := range []struct{ name, sent, back string }{
		{"none", "", ""}, {"an id", "app-7.Request-1", "app-7.Request-1"}, {"too long", strings.Repeat("a", 65), ""},
		{"markup", "<script>", ""}, {"line break as text", `a%0d%0aSet-Cookie:x`, ""}, {"spaces", "John Smith", ""}, {"not ASCII", "Müller", ""},
	} {
		a := s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil, "X-Request-Id", c.sent).want(200)
		id := a.header.Get("X-Request-Id")
		if !ours.MatchString(id) || seen[id] || a.header.Get("X-Correlation-Id") != c.back {
			t.Errorf("%s: id %q, correlation %q", c.name, id, a.header.Get("X-Correlation-Id"))
		}
		seen[id] = true
	}
	refused := s.do(t, clinician, "GET", "/Patient/%2e%2e", nil).outcome(400)
	if !ours.MatchString(refused.header.Get("X-Request-Id")) {
		t.Error("a refused target has no request id")
	}
}

// What clients build on in the headers of answers (R4 http.html#ops, RFC 9110).
func TestHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	created := s.do(t, integration, "POST", "/Patient", person("")).want(201)
	id, version := created.id(), s.Base+"/Patient/"+created.id()+"/_history/1"
	if created.header.Get("Location") != version || created.header.Get("Content-Location") != version || created.header.Get("ETag") != `W/"1"` {
		t.Errorf("create: %v", created.header)
	}
	for _, want := range []string{"minimal", "OperationOutcome"} {
		a := s.do(t, integration, "POST", "/Patient", person(""), "Prefer", "return="+want).want(201)
		if a.header.Get("Content-Location") != "" || a.header.Get("Location") == "" {
			t.Errorf("return=%s: %v", want, a.header)
		}
	}
	read := s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
	for _, name := range []string{"Date", "Last-Modified"} {
		at, err := http.ParseTime(read.header.Get(name))
		if err != nil || !strings.HasSuffix(read.header.Get(name), " GMT") || time.Since(at).Abs() > 10*time.Minute {
			t.Errorf("%s: %q", name, read.header.Get(name))
		}
	}
	if c := read.header.Get("Cache-Control"); c != "no-store" {
		t.Errorf("Cache-Control: %q", c)
	}
	s.do(t, clinician, "GET", "/Patient/"+id, nil, "If-Modified-Since", read.header.Get("Last-Modified")).want(304)
	if a := s.do(t, nobody, "GET", "/Patient/"+id, nil).outcome(401); a.header.Get("WWW-Authenticate") != `Bearer realm="fhir"` {
		t.Errorf("401: %q", a.header.Get("WWW-Authenticate"))
	}
	a := s.do(t, nobody, "GET", "/Patient/"+id, nil, "Authorization", "Bearer nonsense").outcome(401)
	if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("401: %q", a.header.Get("WWW-Authenticate"))
	}
	s.do(t, clinician, "GET", "/Patient", nil, "Prefer", "respond-async").outcome(400)
	s.do(t, clinician, "GET", "/Patient", nil, "Prefer", "return=all").outcome(400)
}

func TestClientsAreLimited(t *testing.T) { // RFC 6585 §4
	t.Parallel()
	s := start(t, "--rate-limit", "0.0001/3", "--rate-limits", "other=none") // no second one within the test
	refused := 0
	for i := range 6 {
		path := "/Patient/" + s.Patient
		if i%2 == 1 {
			path = "/Patient/none" // an unknown id counts the same
		}
		a := s.do(t, clinician, "GET", path, nil)
		if a.status == 429 {
			refused++
			a.outcome(429)
			if code := at(a.json(), "issue", 0, "code"); code != "throttled" || !regexp.MustCompile(`^[1-9]\d*$`).MatchString(a.header.Get("Retry-After")) {
				t.Errorf("code %v, Retry-After %q", code, a.header.Get("Retry-After"))
			}
		}
	}
	if refused != 3 {
		t.Errorf("%d of 6 refused, want 3", refused)
	}
	s.do(t, nobody, "GET", "/metadata", nil).want(200)
	s.do(t, nobody, "GET", "/Patient/none", nil, "Authorization", "Bearer nonsense").outcome(401)
	s.stop(t) // the trail takes the refusals
}
