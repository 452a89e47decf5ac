package suite

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func TestBinaryComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	pdf := []byte("%PDF-1.4\x00\xff\xfe bytes")
	a := s.do(t, clinician, "POST", "/Binary", pdf, "Content-Type", "application/pdf", "X-Security-Context", "Patient/"+id).want(201)
	path := "/Binary/" + a.id()
	if len(a.body) > 0 {
		t.Errorf("the bytes come back: %.100s", a.body)
	}
	for _, accept := range []string{"", "*/*", "application/pdf", "image/png"} {
		r := s.do(t, clinician, "GET", path, nil, "Accept", accept).want(200)
		if !bytes.Equal(r.body, pdf) || r.header.Get("Content-Type") != "application/pdf" || r.header.Get("ETag") != `W/"1"` {
			t.Errorf("Accept %q: %q %v", accept, r.body, r.header)
		}
	}
	for _, r := range []*answer{s.do(t, clinician, "GET", path, nil, "Accept", fhirJSON), s.do(t, clinician, "GET", path+"?_format=json", nil)} {
		o := r.want(200).json()
		if o["contentType"] != "application/pdf" || o["data"] != base64.StdEncoding.EncodeToString(pdf) || at(o, "securityContext", "reference") != "Patient/"+id {
			t.Errorf("%s", r.body)
		}
	}
	h := s.do(t, clinician, "HEAD", path, nil).want(200)
	if len(h.body) > 0 || h.header.Get("Content-Length") != "17" && h.header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %q %v", h.body, h.header)
	}
	s.do(t, clinician, "GET", path, nil, "If-None-Match", `W/"1"`).want(304)
	part := s.do(t, clinician, "GET", path, nil, "Range", "bytes=1-3").want(206)
	if string(part.body) != "PDF" || !strings.HasPrefix(part.header.Get("Content-Range"), "bytes 1-3/") {
		t.Errorf("%q %v", part.body, part.header)
	}
	s.do(t, clinician, "GET", path, nil, "Range", "bytes=900-").want(416)
	u := s.do(t, clinician, "PUT", path, "second", "Content-Type", "text/plain; charset=utf-8", "X-Security-Context", "Patient/"+id, "If-Match", `W/"1"`).want(200)
	if u.header.Get("ETag") != `W/"2"` {
		t.Errorf("%v", u.header)
	}
	if r := s.do(t, clinician, "GET", path, nil).want(200); string(r.body) != "second" || r.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("%q %v", r.body, r.header)
	}
	if r := s.do(t, clinician, "GET", path+"/_history/1", nil).want(200); !bytes.Equal(r.body, pdf) {
		t.Errorf("%q", r.body)
	}
	s.do(t, clinician, "PUT", path, "third", "Content-Type", "text/plain", "X-Security-Context", "Patient/"+id, "If-Match", `W/"1"`).outcome(412)
}

func TestBinaryAsFHIR(t *testing.T) {
	t.Parallel()
	s := shared(t)
	body := object{"resourceType": "Binary", "contentType": "text/plain", "data": base64.StdEncoding.EncodeToString([]byte("hello"))}
	path := "/Binary/" + s.create(t, body)
	if r := s.do(t, clinician, "GET", path, nil).want(200); string(r.body) != "hello" {
		t.Errorf("%q", r.body)
	}
	s.do(t, clinician, "POST", "/Binary", "x", "Content-Type", "nonsense").outcome(415)
	s.do(t, clinician, "POST", "/Binary", "x", "Content-Type", "text/plain", "X-Security-Context", "not a reference").outcome(400)
	none := object{"resourceType": "Binary", "contentType": "text/plain"}
	if r := s.do(t, clinician, "GET", "/Binary/"+s.create(t, none), nil).want(200); len(r.body) != 0 {
		t.Errorf("%q", r.body)
	}
	s.do(t, clinician, "GET", "/Binary/"+unique("none-"), nil).outcome(404)
}

// What was sent as a page must not run as one.
func TestHTMLInABinaryDoesNotRun(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := s.do(t, clinician, "POST", "/Binary", "<script>alert(1)</script>", "Content-Type", "text/html").want(201)
	r := s.do(t, clinician, "GET", "/Binary/"+a.id(), nil, "Accept", "text/html").want(200)
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment", "Content-Security-Policy": "default-src 'none'; sandbox"} {
		if r.header.Get(name) != want {
			t.Errorf("%s: %q", name, r.header.Get(name))
		}
	}
	forged := object{"resourceType": "Binary", "contentType": "text/html\r\nX-Forged: 1", "data": ""}
	if b := s.do(t, clinician, "POST", "/Binary", forged); b.status == 201 {
		r := s.do(t, clinician, "GET", "/Binary/"+b.id(), nil).want(200)
		if r.header.Get("X-Forged") != "" || strings.Contains(r.header.Get("Content-Type"), "Forged") {
			t.Errorf("%v", r.header)
		}
	}
}

// abuse 58.
func TestBinaryOfAnotherPatientIsUnknown(t *testing.T) {
	t.Parallel()
	s := shared(t)
	other := s.create(t, person(""))
	mine := "/Binary/" + s.do(t, clinician, "POST", "/Binary", "mine", "Content-Type", "text/plain", "X-Security-Context", "Patient/"+s.Patient).want(201).id()
	foreign := "/Binary/" + s.do(t, clinician, "POST", "/Binary", "foreign", "Content-Type", "text/plain", "X-Security-Context", "Patient/"+other).want(201).id()
	if r := s.do(t, patient, "GET", mine, nil).want(200); string(r.body) != "mine" {
		t.Errorf("%q", r.body)
	}
	a := s.do(t, patient, "GET", foreign, nil).outcome(404)
	b := s.do(t, patient, "GET", "/Binary/"+unique("none-"), nil).outcome(404)
	if string(a.body) != string(b.body) {
		t.Error("a foreign Binary and none are told apart")
	}
	for _, path := range []string{foreign + "/_history", foreign + "/_history/1"} {
		s.do(t, patient, "GET", path, nil).outcome(404)
	}
	s.do(t, patient, "GET", foreign, nil, "Range", "bytes=0-1").outcome(404)
	if r := s.do(t, researcher, "GET", mine, nil).outcome(403); bytes.Contains(r.body, []byte("mine")) {
		t.Errorf("%s", r.body)
	}
}

func TestBinaryOverTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	most := bytes.Repeat([]byte("x"), (8<<20-4096)/4*3)
	a := s.do(t, clinician, "POST", "/Binary", most, "Content-Type", "application/octet-stream").want(201)
	if r := s.do(t, clinician, "GET", "/Binary/"+a.id(), nil).want(200); !bytes.Equal(r.body, most) {
		t.Errorf("%d bytes came back", len(r.body))
	}
	s.do(t, clinician, "POST", "/Binary", append(most, 'x'), "Content-Type", "application/octet-stream").outcome(413)
}
