package testscript

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// message is a request, a response or a fixture.
type message struct {
	method string
	url    string
	status int
	header http.Header
	body   []byte
}

// tree is the body as JSON.
func (m *message) tree() (map[string]any, error) {
	if m == nil {
		return nil, errors.New("nothing was sent or received yet")
	}
	if len(m.body) == 0 {
		return nil, differ("there is no body")
	}
	if m.isXML() {
		return nil, skip("bodies in XML are not read")
	}
	d := json.NewDecoder(bytes.NewReader(m.body))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		return nil, differ("the body is no JSON object")
	}
	return o, nil
}

func (m *message) isXML() bool { return bytes.HasPrefix(bytes.TrimSpace(m.body), []byte("<")) }

// identity is the type and id of what a message is about: of its body, or of
// the Location that an answer names.
func (m *message) identity() (resourceType, id, version string, err error) {
	if o, err := m.tree(); err == nil {
		resourceType, _ = o["resourceType"].(string)
		id, _ = o["id"].(string)
		meta, _ := o["meta"].(map[string]any)
		version, _ = meta["versionId"].(string)
	}
	if id == "" || resourceType == "OperationOutcome" {
		for _, place := range []string{m.header.Get("Location"), m.header.Get("Content-Location"), m.url} {
			if t, i, v, ok := fromURL(place); ok {
				return t, i, v, nil
			}
		}
	}
	if resourceType == "" || id == "" {
		return "", "", "", errors.New("the source names no resource")
	}
	return resourceType, id, version, nil
}

// fromURL reads …/Type/id or …/Type/id/_history/version.
func fromURL(text string) (resourceType, id, version string, ok bool) {
	u, err := url.Parse(text)
	if err != nil {
		return "", "", "", false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if n := len(parts); n >= 4 && parts[n-2] == "_history" {
		parts, version = parts[:n-2], parts[n-1]
	}
	n := len(parts)
	if n < 2 || parts[n-2] == "" || parts[n-2][0] < 'A' || parts[n-2][0] > 'Z' {
		return "", "", "", false
	}
	return parts[n-2], parts[n-1], version, true
}

// mediaType is what a script's code or short form stands for.
func mediaType(code string) string {
	switch code {
	case "json":
		return "application/fhir+json"
	case "xml":
		return "application/fhir+xml"
	case "ttl", "turtle":
		return "application/fhir+turtle"
	}
	return code
}

func sameMedia(a, b string) bool {
	x, _, err1 := mime.ParseMediaType(mediaType(a))
	y, _, err2 := mime.ParseMediaType(mediaType(b))
	return err1 == nil && err2 == nil && x == y
}

// send exchanges one request for its response. Only the runner's own base is
// sent to, as the token goes along.
func (x *run) send(m *message) (*message, error) {
	target, err := url.Parse(m.url)
	if err != nil {
		return nil, errors.New("the request URL cannot be read")
	}
	base, err := url.Parse(x.Base)
	if err != nil || target.Scheme != base.Scheme || target.Host != base.Host ||
		target.Path != base.Path && !strings.HasPrefix(target.Path, strings.TrimSuffix(base.Path, "/")+"/") {
		return nil, errors.New("the request URL lies outside of the base")
	}
	var body io.Reader
	if m.body != nil {
		body = bytes.NewReader(m.body)
	}
	r, err := http.NewRequestWithContext(x.ctx, m.method, m.url, body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	r.Header = m.header.Clone()
	if x.Token != "" && r.Header.Get("Authorization") == "" {
		r.Header.Set("Authorization", "Bearer "+x.Token)
	}
	res, err := x.Client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the server did not answer: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	return &message{url: m.url, status: res.StatusCode, header: res.Header, body: b}, nil
}
