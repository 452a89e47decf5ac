package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
)

// client is one keep-alive connection that understands as much HTTP/1.1 as the
// server's answers need, so that the load generator leaves the processor to the
// server.
type client struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(addr string) (*client, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// roundTrip sends a prepared request and returns status and size of the answer.
func (c *client) roundTrip(request []byte) (status, size int, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, 0, err
	}
	return c.answer()
}

var (
	contentLength    = []byte("Content-Length: ")
	transferEncoding = []byte("Transfer-Encoding:")
	chunked          = []byte(" chunked")
	errCoding        = errors.New("an answer in an unknown coding")
)

// answer reads one answer and discards its body.
func (c *client) answer() (status, size int, err error) {
	inChunks := false
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	if len(line) < 12 {
		return 0, 0, fmt.Errorf("a status line of %d bytes", len(line))
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, err
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return status, 0, err
		}
		switch {
		case len(line) <= 2 && inChunks:
			n, err := io.Copy(io.Discard, httputil.NewChunkedReader(c.in))
			if err == nil {
				_, err = c.in.ReadSlice('\n') // behind the last chunk
			}
			return status, int(n), err
		case len(line) <= 2:
			_, err = c.in.Discard(size)
			return status, size, err
		case bytes.HasPrefix(line, contentLength):
			if size, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return status, 0, err
			}
		case bytes.HasPrefix(line, transferEncoding):
			if inChunks = bytes.Equal(bytes.TrimRight(line[len(transferEncoding):], "\r\n"), chunked); !inChunks {
				return status, 0, errCoding
			}
		}
	}
}

// httpRequest renders a request for a keep-alive connection.
func httpRequest(method, path, host, token string, body []byte) []byte {
	b := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: application/fhir+json\r\n", method, path, host, token)
	if body != nil {
		b = fmt.Appendf(b, "Content-Type: application/fhir+json\r\nContent-Length: %d\r\n", len(body))
	}
	return append(append(b, "\r\n"...), body...)
}
