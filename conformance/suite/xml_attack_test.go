package suite

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// XML is not read at all: an entity bomb, an external entity or a DTD costs
// nothing and fetches nothing, whatever the body says that it is (abuse 8).
func TestXMLAttacksAreRefusedUnread(t *testing.T) {
	t.Parallel()
	s := shared(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var fetched atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fetched.Add(1)
			c.Close()
		}
	}()
	away := "http://" + l.Addr().String() + "/x"
	bomb := `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "aaaaaaaaaa">`
	for i := 'b'; i < 'k'; i++ {
		bomb += fmt.Sprintf(`<!ENTITY %c "%s">`, i, strings.Repeat("&"+string(i-1)+";", 10))
	}
	bomb += `]><Patient xmlns="http://hl7.org/fhir"><id value="&j;"/></Patient>`
	for name, body := range map[string]string{
		"entity bomb":     bomb,
		"external entity": `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY x SYSTEM "` + away + `">]><Patient xmlns="http://hl7.org/fhir"><id value="&x;"/></Patient>`,
		"external DTD":    `<?xml version="1.0"?><!DOCTYPE p SYSTEM "` + away + `"><Patient xmlns="http://hl7.org/fhir"/>`,
		"parameter":       `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY % x SYSTEM "` + away + `"> %x;]><Patient/>`,
		"inclusion":       `<Patient xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="` + away + `"/></Patient>`,
		"style sheet":     `<?xml-stylesheet href="` + away + `"?><Patient/>`,
	} {
		for media, status := range map[string]int{"application/fhir+xml": 415, "application/xml": 415, "text/xml": 415, "application/fhir+json": 400} {
			began := time.Now()
			a := s.do(t, integration, "POST", "/Patient", body, "Content-Type", media).outcome(status)
			if strings.Contains(string(a.body), "aaaaaaaaaa") || strings.Contains(string(a.body), away) || time.Since(began) > tooLong {
				t.Errorf("%s as %s: %s after %s", name, media, a.body, time.Since(began))
			}
		}
	}
	div := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(`<!DOCTYPE d [<!ENTITY x SYSTEM "` + away + `">]><div xmlns="http://www.w3.org/1999/xhtml">&x;</div>`)
	s.do(t, integration, "POST", "/Patient", patientWith(`"text":{"status":"generated","div":"`+div+`"}`)).outcome(422)
	if n := fetched.Load(); n != 0 {
		t.Errorf("%d requests to the address in the body", n)
	}
}

// The other coding unpacks within the limits too (abuse 9).
func TestDeflateBombIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	var bomb bytes.Buffer
	z, _ := zlib.NewWriterLevel(&bomb, zlib.BestCompression)
	for range 256 {
		_, _ = z.Write(bytes.Repeat([]byte("0"), mib))
	}
	_ = z.Close()
	s.do(t, integration, "POST", "/Patient", bomb.Bytes(), "Content-Encoding", "deflate").outcome(413)
	s.do(t, integration, "POST", "/Patient", bomb.Bytes(), "Content-Encoding", "deflate, deflate").outcome(415)
	s.do(t, integration, "POST", "/Patient", bomb.Bytes()[:bomb.Len()/2], "Content-Encoding", "gzip").outcome(400)
}
