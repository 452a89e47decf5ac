package suite

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// smuggled is a request that must never be answered when it travels inside
// another one's body.
func (s *server) smuggled() string {
	return "GET /fhir/Patient/" + s.Patient + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + s.bearer(clinician) + "\r\n"
}

func TestLengthAndTransferEncodingTogetherDoNotSmuggle(t *testing.T) { // abuse 14
	t.Parallel()
	s := shared(t)
	head := "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n" + s.bearer(integration)
	for _, c := range []struct{ name, headers, body string }{
		{"CL.TE", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"},
		{"TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 500\r\n", "0\r\n\r\n"},
		{"two lengths", "Content-Length: 2\r\nContent-Length: 300\r\n", "{}"},
		{"list of lengths", "Content-Length: 2, 300\r\n", "{}"},
		{"signed length", "Content-Length: +2\r\n", "{}"},
		{"two encodings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"},
		{"obscured encoding", "Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n", "{}"},
		{"space before colon", "Transfer-Encoding : chunked\r\nContent-Length: 2\r\n", "{}"},
		{"chunk with bare LF", "Transfer-Encoding: chunked\r\n", "2\n{}\n0\n\n"},
		{"chunk size overflow", "Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"},
	} {
		got, closed := s.raw(t, head, c.headers, "\r\n", c.body, s.smuggled())
		codes := statuses(t, got)
		if len(codes) != 1 || codes[0] < 400 || !closed {
			t.Errorf("%s: answers %v, closed %v", c.name, codes, closed)
		}
	}
}

func TestOddHeadersAreOneRequestOrRefused(t *testing.T) { // abuse 15
	t.Parallel()
	s := shared(t)
	ok := "Connection: close\r\n"
	for _, c := range []struct {
		name, request string
		most          int // the highest status that may come
		least         int
	}{
		{"two Authorization headers", "GET /fhir/Patient/" + s.Patient + " HTTP/1.1\r\nHost: x\r\n" + s.bearer(clinician) + s.bearer(admin) + ok + "\r\n", 400, 400},
		{"two equal Authorization headers", "GET /fhir/Patient/" + s.Patient + " HTTP/1.1\r\nHost: x\r\n" + s.bearer(clinician) + s.bearer(clinician) + ok + "\r\n", 400, 400},
		{"bare LF", "GET /fhir/metadata HTTP/1.1\nHost: x\nConnection: close\n\n", 400, 200},
		{"folded header", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-A: b\r\n c: d\r\n" + ok + "\r\n", 400, 200},
		{"bare CR in a header", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-A: b\rX-C: d\r\n" + ok + "\r\n", 400, 200},
		{"NUL in a header", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-A: b\x00\r\n" + ok + "\r\n", 400, 400},
		{"no Host", "GET /fhir/metadata HTTP/1.1\r\n" + ok + "\r\n", 400, 400},
		{"two Hosts", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nHost: y\r\n" + ok + "\r\n", 400, 400},
		{"headers of 1 MB", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", mib) + "\r\n\r\n", 431, 431},
		{"HTTP/0.9", "GET /fhir/metadata\r\n\r\n", 400, 400},
		{"HTTP/9.9", "GET /fhir/metadata HTTP/9.9\r\nHost: x\r\n\r\n", 505, 400},
	} {
		got, closed := s.raw(t, c.request)
		codes := statuses(t, got)
		reset := closed && got == "" && c.least >= 400 // an answer that the kernel dropped with the connection
		if !reset && (len(codes) != 1 || codes[0] > c.most || codes[0] < c.least || !closed) {
			t.Errorf("%s: answers %v, closed %v", c.name, codes, closed)
		}
	}
}

func TestMethodOverrideIsIgnored(t *testing.T) { // abuse 16
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	for _, h := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		s.do(t, clinician, "GET", "/Patient/"+id, nil, h, "DELETE").want(200)
	}
	s.do(t, clinician, "GET", "/Patient/"+id+"?_method=DELETE", nil)
	s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
}

func TestSpoofedProxyHeadersAreIgnored(t *testing.T) { // abuse 17
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	spoof := []string{"X-Forwarded-For", "203.0.113.66", "X-Real-IP", "203.0.113.66", "Forwarded", "for=203.0.113.66;host=evil.example",
		"X-User", "admin", "X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Remote-User", "root",
		"X-Original-URL", "/fhir/metadata", "X-Rewrite-URL", "/fhir/metadata", "X-Request-Id", "203.0.113.66"}
	a := s.do(t, researcher, "GET", "/Patient/"+id, nil, spoof...).want(200)
	if a.json()["name"] != nil || a.header.Get("X-Request-Id") == "203.0.113.66" {
		t.Error("a header changed who asks")
	}
	for _, e := range s.auditEvents(t, privacyOfficer, "patient="+id) {
		if mentions(e, "203.0.113.66") || mentions(e, "evil.example") {
			t.Errorf("spoofed data in the trail: %v", e)
		}
	}
	body := `{"resourceType":"Patient"}`
	got, _ := s.raw(t, "POST /fhir/Patient HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n", s.bearer(integration),
		"Content-Type: application/fhir+json\r\n", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
	if strings.Contains(got, "evil.example") || !strings.Contains(got, "Location: "+s.Base+"/Patient/") {
		t.Errorf("the Host header moves the base: %.300s", got)
	}
}

func TestEscapesAndDotSegmentsInPathsAreRefused(t *testing.T) { // abuse 18, 19
	t.Parallel()
	s := shared(t)
	for _, path := range []string{
		"/fhir/Patient/../admin", "/fhir/Patient/..", "/fhir/./metadata", "/fhir/Patient/%2e%2e/admin", "/fhir/Patient/%2E%2E%2Fadmin",
		"/fhir/Patient%2f" + s.Patient, "/fhir/Patient;x=1/" + s.Patient, "/fhir/Patient/" + s.Patient + ";x", "/fhir//Patient/" + s.Patient,
		"//fhir/metadata", "/fhir/Patient/%00", "/fhir/Patient/" + s.Patient + "%00", `/fhir/Patient\` + s.Patient, "/%66hir/metadata",
		"/fhir/Patient/" + strings.Repeat("a", 65), "/fhir/Patient/$ne", `/fhir/Patient/{"$gt":""}`, "/fhir/Patient/a_b", "/fhir/Patient/%E2%80%8B",
		"/fhir/Patient/a/_history/%2e%2e",
	} {
		got, _ := s.raw(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", s.bearer(clinician), "\r\n")
		if c := statuses(t, got); len(c) != 1 || c[0] != http.StatusBadRequest {
			t.Errorf("%s: %v", path, c)
		}
	}
}

func TestTraceAndConnectAreRefused(t *testing.T) { // abuse 21
	t.Parallel()
	s := shared(t)
	for _, line := range []string{"TRACE /fhir/metadata", "TRACK /fhir/metadata", "CONNECT 127.0.0.1:1", "PROPFIND /fhir/Patient", "get /fhir/metadata"} {
		got, _ := s.raw(t, line, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Secret: echo-me\r\n", s.bearer(clinician), "\r\n")
		c := statuses(t, got)
		if len(c) != 1 || c[0] != http.StatusMethodNotAllowed || strings.Contains(got, "echo-me") {
			t.Errorf("%s: %v", line, c)
		}
	}
}

func TestNoOriginMayReadFHIRData(t *testing.T) { // abuse 22
	t.Parallel()
	s := shared(t)
	for _, origin := range []string{"null", "https://evil.example", s.origin(), "file://"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			a := s.do(t, clinician, method, "/Patient/"+s.Patient, nil, "Origin", origin, "Access-Control-Request-Method", "GET")
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s from %s: %s: %s", method, origin, name, a.header.Get(name))
				}
			}
		}
	}
}

// A client that trickles is cut off at the deadline (abuse 20).
func TestSlowHeadersAndBodiesAreCutOff(t *testing.T) {
	t.Parallel()
	s := start(t, "--header-timeout", "1s", "--request-timeout", "2s", "--idle-timeout", "1s")
	body := "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n" + s.bearer(integration) + "Content-Length: 1000\r\n\r\n{"
	for _, c := range []struct {
		name, first, trickle string
		limit                time.Duration
	}{
		{"headers", "GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", 20 * time.Second},
		{"nothing", "", "", 20 * time.Second},
		{"body", body, " ", 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := trickle(t, s.address(), c.first, c.trickle, c.limit); d >= c.limit {
				t.Errorf("still open after %s", d)
			}
		})
	}
}

// trickle sends first and then a little every 100 ms, and reports how long the
// server held the connection.
func trickle(t *testing.T, address, first, little string, limit time.Duration) time.Duration {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	began := time.Now()
	_, _ = io.WriteString(c, first)
	_ = c.SetDeadline(began.Add(limit))
	go func() {
		for time.Since(began) < limit {
			if _, err := io.WriteString(c, little); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	_, _ = io.Copy(io.Discard, c)
	return time.Since(began)
}
