package suite

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"
)

const mib = 1 << 20

// patientWith is a Patient's JSON with raw members added.
func patientWith(members string) string { return `{"resourceType":"Patient",` + members + `}` }

// Bodies that are refused before anything is stored (abuse 1 to 12).
func TestHostileBodiesAreRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	deep := strings.Repeat(`[`, 10_000) + strings.Repeat(`]`, 10_000)
	for _, c := range []struct {
		name, path, body string
		status           int
	}{
		{"1 resource over the limit", "/Patient", patientWith(`"language":"` + strings.Repeat("a", 9*mib) + `"`), 413},
		{"1 over the limit and no JSON", "/Patient", strings.Repeat("{", 9*mib), 413},
		{"1 Bundle over the limit", "", strings.Repeat(" ", 65*mib), 413},
		{"2 10,000 deep arrays", "/Patient", patientWith(`"name":` + deep), 400},
		{"2 10,000 deep objects", "/Patient", strings.Repeat(`{"extension":`, 10_000), 400},
		{"3 duplicate key", "/Patient", patientWith(`"gender":"male","gender":"female"`), 400},
		{"3 duplicate key by escape", "/Patient", patientWith(`"gender":"male","\u0067ender":"female"`), 400},
		{"4 100 k entries", "", `{"resourceType":"Bundle","type":"batch","entry":[` + strings.Repeat(`{},`, 100_000) + `{}]}`, 413},
		{"6 1e999999", "/Patient", patientWith(`"extension":[{"url":"u","valueDecimal":1e999999}]`), 400},
		{"6 number of 1 MB", "/Patient", patientWith(`"extension":[{"url":"u","valueDecimal":` + strings.Repeat("9", mib) + `}]`), 400},
		{"6 number of 10 MB in a Bundle", "", `{"resourceType":"Bundle","type":"batch","entry":[{"resource":` +
			patientWith(`"multipleBirthInteger":`+strings.Repeat("9", 10*mib)) + `}]}`, 400},
		{"6 hexadecimal", "/Patient", patientWith(`"multipleBirthInteger":0x10`), 400},
		{"6 leading zero", "/Patient", patientWith(`"multipleBirthInteger":01`), 400},
		{"6 NaN", "/Patient", patientWith(`"extension":[{"url":"u","valueDecimal":NaN}]`), 400},
		{"7 invalid UTF-8", "/Patient", patientWith("\"language\":\"\xff\xfe\""), 400},
		{"7 overlong UTF-8", "/Patient", patientWith("\"language\":\"\xc0\xaf\""), 400},
		{"7 lone surrogate", "/Patient", patientWith(`"language":"\ud800"`), 400},
		{"7 reversed surrogates", "/Patient", patientWith(`"language":"\udc00\ud800"`), 400},
		{"7 escaped NUL", "/Patient", patientWith(`"language":"a\u0000b"`), 400},
		{"7 raw NUL", "/Patient", patientWith("\"language\":\"a\x00b\""), 400},
		{"7 raw newline", "/Patient", patientWith("\"language\":\"a\nb\""), 400},
		{"7 byte order mark", "/Patient", "\ufeff" + patientWith(`"gender":"male"`), 400},
		{"8 XML with external entity", "/Patient", `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient/>`, 400},
		{"11 __proto__", "/Patient", patientWith(`"__proto__":{"admin":true}`), 422},
		{"11 constructor", "/Patient", patientWith(`"constructor":{"prototype":{}}`), 422},
		{"11 unknown property", "/Patient", patientWith(`"isAdmin":true`), 422},
		{"trailing data", "/Patient", patientWith(`"gender":"male"`) + `{}`, 400},
		{"comment", "/Patient", patientWith(`/* x */"gender":"male"`), 400},
		{"trailing comma", "/Patient", patientWith(`"gender":"male",`), 400},
	} {
		t.Run(c.name, func(t *testing.T) { s.do(t, integration, "POST", c.path, c.body).outcome(c.status) })
	}
}

func TestBundlesNestedFiftyDeepAreRefused(t *testing.T) { // abuse 5
	t.Parallel()
	s := shared(t)
	inner := `{"resourceType":"Patient"}`
	for range 50 {
		inner = `{"resourceType":"Bundle","type":"batch","entry":[{"resource":` + inner + `,"request":{"method":"POST","url":"Bundle"}}]}`
	}
	s.do(t, integration, "POST", "", inner).outcome(400)
}

func TestScriptInNarrativeIsRefused(t *testing.T) { // abuse 12
	t.Parallel()
	s := shared(t)
	for _, markup := range []string{
		`<script>alert(1)</script>`, `<img src="x" onerror="alert(1)"/>`, `<a href="javascript:alert(1)">x</a>`,
		`<iframe src="https://evil.example"></iframe>`, `<svg onload="alert(1)"/>`, `<p style="background:url(javascript:1)">x</p>`,
		`<a href="JaVa&#x53;cript:alert(1)">x</a>`, `<object data="x"></object>`, `<form action="x"><input name="y"/></form>`, `<p>unclosed`,
		`<![CDATA[<script>]]>`, `<?xml-stylesheet href="x"?>`,
	} {
		div := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(`<div xmlns="http://www.w3.org/1999/xhtml">` + markup + `</div>`)
		a := s.do(t, integration, "POST", "/Patient", patientWith(`"text":{"status":"generated","div":"`+div+`"}`)).outcome(422)
		if strings.Contains(string(a.body), "alert") {
			t.Errorf("%s: the markup is repeated", markup)
		}
	}
}

func TestWrongOrDoubleContentTypeIsRefused(t *testing.T) { // abuse 8, 10, 13
	t.Parallel()
	s := shared(t)
	for _, ct := range []string{"application/fhir+xml", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/fhir+json; charset=utf-16", "application/xml", "", "application/fhir+json, text/plain", "*/*"} {
		s.do(t, integration, "POST", "/Patient", person(""), "Content-Type", ct).outcome(415)
	}
	body := patientWith(`"gender":"male"`)
	got, _ := s.raw(t, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", s.bearer(integration),
		"Content-Type: application/fhir+json\r\nContent-Type: text/html\r\n", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
	if c := statuses(t, got); len(c) != 1 || c[0] != 415 {
		t.Errorf("two Content-Type headers: %v", c)
	}
	for _, ct := range []string{"application/json", "application/fhir+json; charset=UTF-8", "application/fhir+json;fhirVersion=4.0"} {
		s.do(t, integration, "POST", "/Patient", person(""), "Content-Type", ct).want(201)
	}
}

// Hostile bodies cost memory in proportion to the limits, not to what they
// unpack to (abuse 1, 2, 9).
func TestHostileBodiesCostBoundedMemory(t *testing.T) {
	s := start(t)
	before := s.peakMemory(t)
	var member bytes.Buffer
	z, _ := gzip.NewWriterLevel(&member, gzip.BestCompression)
	for range 64 {
		_, _ = z.Write(bytes.Repeat([]byte("0"), mib))
	}
	_ = z.Close()
	bomb := bytes.Repeat(member.Bytes(), 64) // of 4 GiB: members follow one another (RFC 1952 §2.2)
	s.do(t, integration, "POST", "/Patient", bomb, "Content-Encoding", "gzip").outcome(413)
	s.do(t, integration, "POST", "", bomb, "Content-Encoding", "gzip").outcome(413)
	// Seven million levels of a parser that calls itself are gigabytes of stack.
	s.do(t, integration, "POST", "/Patient", patientWith(`"name":`+strings.Repeat(`[`, 7*mib))).outcome(400)
	grown := s.peakMemory(t) - before
	t.Logf("%d MiB", grown/mib)
	if grown > 512*mib { // eight times the largest body, an eighth of what it unpacks to
		t.Errorf("hostile bodies cost %d MiB", grown/mib)
	}
	got, closed := s.raw(t, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\n", s.bearer(integration),
		"Content-Type: application/fhir+json\r\nContent-Length: 99999999999\r\n\r\n{")
	if c := statuses(t, got); len(c) != 1 || c[0] != 413 || !closed {
		t.Errorf("a declared length of 100 GB: %v, closed %v", c, closed)
	}
}
