package suite

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The demo roles.
const (
	clinician      = "clinician"
	nurse          = "nurse"
	researcher     = "researcher"
	patient        = "patient"
	integration    = "integration"
	privacyOfficer = "privacy-officer"
	admin          = "admin"
	nobody         = "" // no Authorization header
)

// tooLong is what nothing takes that is refused unread, even on a machine that
// is a thousand times too slow for it.
const tooLong = time.Minute

const fhirJSON = "application/fhir+json"

// object is a decoded JSON object.
type object = map[string]any

func httpClient(conf *tls.Config) *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{DisableCompression: true, TLSClientConfig: conf, MaxIdleConnsPerHost: 64,
			IdleConnTimeout:   5 * time.Second, // earlier than the server's, which would race with a request
			ForceAttemptHTTP2: conf != nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is a response that was read to its end.
type answer struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	body   []byte
}

// do sends one request as a role. Headers are name, value pairs; a body gets
// the FHIR media type unless they say otherwise.
func (s *server) do(t testing.TB, role, method, path string, body any, headers ...string) *answer {
	t.Helper()
	a, err := s.try(t, role, method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (s *server) try(t testing.TB, role, method, path string, body any, headers ...string) (*answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.Base+path, encoded(t, body))
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", fhirJSON)
	}
	if role != nobody {
		token, ok := s.Tokens[role]
		if !ok {
			t.Fatalf("no demo token for %s", role)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return &answer{t, method + " " + path, res.StatusCode, res.Header, b}, err
}

func encoded(t testing.TB, body any) io.Reader {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(b)
	case []byte:
		return bytes.NewReader(b)
	case io.Reader:
		return b
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b)
}

// want ends the test when the status is another one.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %.600s", a.asked, a.status, status, a.body)
	}
	return a
}

// json decodes the body as an object.
func (a *answer) json() object {
	a.t.Helper()
	var o object
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		a.t.Fatalf("%s: no JSON object: %v: %.300s", a.asked, err, a.body)
	}
	return o
}

// outcome wants the status and an OperationOutcome with an issue of severity
// error, a code and a text for people.
func (a *answer) outcome(status int) *answer {
	a.t.Helper()
	a.want(status)
	o := a.json()
	first := object{}
	if list := each(o, "issue"); len(list) > 0 {
		first = list[0]
	}
	if o["resourceType"] != "OperationOutcome" || first["code"] == nil || first["diagnostics"] == nil || first["severity"] != "error" {
		a.t.Errorf("%s: %d without a useful OperationOutcome: %.300s", a.asked, status, a.body)
	}
	return a
}

// id is the logical id of the answered or located resource.
func (a *answer) id() string {
	a.t.Helper()
	if l := a.header.Get("Location"); l != "" {
		parts := strings.Split(l, "/")
		return parts[len(parts)-3]
	}
	id, _ := a.json()["id"].(string)
	return id
}

// resources are the resources of a Bundle's entries.
func (a *answer) resources() (list []object) {
	a.t.Helper()
	for _, e := range each(a.json(), "entry") {
		if r, ok := e["resource"].(object); ok {
			list = append(list, r)
		}
	}
	return list
}

// each is the array of objects under a name; absent is empty.
func each(o object, name string) (list []object) {
	items, _ := o[name].([]any)
	for _, i := range items {
		if m, ok := i.(object); ok {
			list = append(list, m)
		}
	}
	return list
}

// unique returns a word that stands nowhere else.
func unique(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

// person is a small valid Patient with an identifier of its own.
func person(id string) object {
	p := object{"resourceType": "Patient", "gender": "female", "birthDate": "1974-12-25",
		"identifier": []any{object{"system": "urn:suite", "value": unique("mrn-")}},
		"name":       []any{object{"family": unique("Fam"), "given": []any{unique("Giv")}}}}
	if id != "" {
		p["id"] = id
	}
	return p
}

// identifierOf is the search value of a person's identifier.
func identifierOf(p object) string {
	i := each(p, "identifier")[0]
	return i["system"].(string) + "|" + i["value"].(string)
}

// create stores a resource as integration and returns its id.
func (s *server) create(t testing.TB, r object) string {
	t.Helper()
	return s.do(t, integration, http.MethodPost, "/"+r["resourceType"].(string), r).want(http.StatusCreated).id()
}

// at walks names and indexes down a decoded value; nil when absent.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o, _ := v.(object)
			v = o[p]
		case int:
			a, _ := v.([]any)
			if p >= len(a) {
				return nil
			}
			v = a[p]
		}
	}
	return v
}
