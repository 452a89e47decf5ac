package suite

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rawLimit is how long a server that does not close may leave raw waiting; every
// answer to what the tests send comes with the end of its connection.
const rawLimit = time.Minute

// raw sends bytes over a fresh connection and returns everything that comes
// back until the server closes or the time is over.
func (s *server) raw(t testing.TB, parts ...string) (got string, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(rawLimit))
	if _, err := io.WriteString(c, strings.Join(parts, "")); err != nil {
		t.Logf("the server stopped reading: %v", err)
	}
	b, err := io.ReadAll(c)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return string(b), false
	}
	return string(b), true
}

// statuses are the status codes of the responses in a byte stream.
func statuses(t testing.TB, stream string) (codes []int) {
	t.Helper()
	for r := bufio.NewReader(strings.NewReader(stream)); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return codes
		}
		codes = append(codes, res.StatusCode)
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// bearer is the Authorization line of a role.
func (s *server) bearer(role string) string {
	return "Authorization: Bearer " + s.Tokens[role] + "\r\n"
}
