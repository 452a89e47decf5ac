package suite

import (
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A client that asks and does not read is cut off, as one that trickles is
// (abuse 20).
func TestClientsThatDoNotReadAreCutOff(t *testing.T) {
	t.Parallel()
	s := start(t, "--request-timeout", "1s")
	data := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("0123456789", 10_000)))
	binary := object{"resourceType": "Binary", "contentType": "text/plain", "data": data}
	id := ""
	s.until(t, "creating within a second", func() bool { // a busy machine takes longer at times
		a := s.do(t, integration, "POST", "/Binary", binary)
		if a.status == 201 {
			id = a.id()
		}
		return a.status == 201
	})
	c, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_ = c.SetDeadline(time.Now().Add(patience))
	const most = 26 << 20 // more than the kernel keeps for anybody
	ask := "GET /fhir/Binary/" + id + " HTTP/1.1\r\nHost: x\r\nAccept: application/fhir+json\r\n" + s.bearer(integration) + "\r\n"
	asked := 0
	for ; err == nil; asked++ { // until the server takes no more
		_, err = io.WriteString(c, ask)
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatalf("still open after %d requests", asked)
	}
	if got, _ := io.Copy(io.Discard, c); got > most {
		t.Errorf("%d bytes were kept for it", got)
	}
	s.until(t, "serving others", func() bool { return s.do(t, integration, "GET", "/Binary/"+id, nil, "Accept", fhirJSON).status == 200 })
}
