package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
)

const person = `{"resourceType":"Patient","id":"p1","name":[{"family":"CANARY"}]}`

// TestRoutingTable: every route asks for a token but the open ones, and a
// method that is not in the table is refused with those that are.
func TestRoutingTable(t *testing.T) { // R4 http.html, RFC 9110 §15.5.6
	t.Parallel()
	f := newFace(t, nil)
	fill := strings.NewReplacer(":type", "Patient", ":id", "p1", ":member", "Observation", ":version", "1")
	served := map[string][]string{}
	for _, r := range routes {
		path := "/fhir" + fill.Replace(r.path)
		for _, method := range r.methods {
			served[path] = append(served[path], method)
			want := http.StatusUnauthorized
			if r.open != nil {
				want = http.StatusOK
			}
			f.status(f.ask(method, path, "", "Authorization", ""), want, method+" "+path)
		}
	}
	for path, methods := range served {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"} {
			if slices.Contains(methods, method) {
				continue
			}
			w := f.ask(method, path, "")
			if strings.HasSuffix(path, "/_search") || strings.HasSuffix(path, "/metadata") {
				if w.Code < 400 || w.Code > 499 { // a type or id of that name, for the routes with parameters
					t.Errorf("%s %s: %d", method, path, w.Code)
				}
				continue
			}
			f.status(w, http.StatusMethodNotAllowed, method+" "+path)
			for _, m := range methods {
				if !strings.Contains(w.Header().Get("Allow"), m) {
					t.Errorf("%s %s: Allow %q lacks %s", method, path, w.Header().Get("Allow"), m)
				}
			}
		}
	}
	for _, method := range []string{"TRACE", "CONNECT"} { // abuse 21
		f.status(f.ask(method, "/fhir/metadata", ""), http.StatusMethodNotAllowed, method)
	}
	f.status(f.ask("GET", "/fhir/Patient/p1/a/b/c", ""), http.StatusNotFound, "no route")
	f.status(f.ask("GET", "/other", ""), http.StatusNotFound, "outside of the base")
}

// TestServedNamesEveryInteractionOnce: the CapabilityStatement is made of it.
func TestServedNamesEveryInteractionOnce(t *testing.T) {
	t.Parallel()
	seen := map[Interaction]bool{}
	for _, i := range Served() {
		if seen[i] || i.Code == "" {
			t.Errorf("%+v is there twice or has no code", i)
		}
		seen[i] = true
	}
	for _, must := range []Interaction{{ReadOnly, "read"}, {Type, "vread"}, {Type, "update"}, {Type, "delete"}, {Type, "create"},
		{Type, "history-instance"}, {ReadOnly, "search-type"}, {System, "batch"}, {System, "transaction"}} {
		if !seen[must] {
			t.Errorf("%+v is not served", must)
		}
	}
}

func TestHeadersOfAWriteAndARead(t *testing.T) { // R4 http.html#create, #read; RFC 9110 §8
	t.Parallel()
	f := newFace(t, nil)
	w := f.ask("PUT", "/fhir/Patient/p1", person)
	f.status(w, http.StatusCreated, "update as create")
	if w.Header().Get("Location") != base+"/Patient/p1/_history/1" || w.Header().Get("Content-Location") != w.Header().Get("Location") {
		t.Errorf("Location %q, Content-Location %q", w.Header().Get("Location"), w.Header().Get("Content-Location"))
	}
	got := f.ask("GET", "/fhir/Patient/p1", "")
	f.status(got, http.StatusOK, "read")
	for name, want := range map[string]string{"ETag": `W/"1"`, "Content-Type": "application/fhir+json; charset=utf-8", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Last-Modified": w.Header().Get("Last-Modified")} {
		if v := got.Header().Get(name); v == "" || v != want {
			t.Errorf("%s: %q, want %q", name, v, want)
		}
	}
	if got.Header().Get("X-Request-Id") == w.Header().Get("X-Request-Id") || !strings.Contains(got.Header().Get("Vary"), "Accept-Encoding") {
		t.Errorf("headers %v", got.Header())
	}
	head := f.ask("HEAD", "/fhir/Patient/p1", "")
	f.status(head, http.StatusOK, "HEAD")
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") != got.Header().Get("Content-Length") || head.Header().Get("ETag") != `W/"1"` {
		t.Errorf("HEAD: %d bytes, headers %v", head.Body.Len(), head.Header())
	}
}

func TestConditionalHeaders(t *testing.T) { // RFC 9110 §13, R4 http.html#concurrency, #cread, #ccreate
	t.Parallel()
	f := newFace(t, nil)
	f.status(f.ask("PUT", "/fhir/Patient/p1", person), http.StatusCreated, "first")
	f.status(f.ask("PUT", "/fhir/Patient/p1", person, "If-Match", `W/"7"`), http.StatusPreconditionFailed, "stale If-Match")
	f.status(f.ask("PUT", "/fhir/Patient/p1", person, "If-Match", `W/"1"`), http.StatusOK, "current If-Match")
	w := f.ask("GET", "/fhir/Patient/p1", "", "If-None-Match", `W/"2"`)
	f.status(w, http.StatusNotModified, "If-None-Match")
	if w.Body.Len() != 0 || w.Header().Get("ETag") != `W/"2"` {
		t.Errorf("304 with %d bytes, ETag %q", w.Body.Len(), w.Header().Get("ETag"))
	}
	f.status(f.ask("GET", "/fhir/Patient/p1", "", "If-None-Match", `W/"1"`), http.StatusOK, "old If-None-Match")
	f.status(f.ask("GET", "/fhir/Patient/p1", "", "If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"), http.StatusOK, "changed since")
	f.status(f.ask("GET", "/fhir/Patient/p1", "", "If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"), http.StatusNotModified, "not changed since")
	f.status(f.ask("GET", "/fhir/Patient/p1", "", "If-Modified-Since", "yesterday"), http.StatusOK, "unreadable date")
	one := `{"resourceType":"Patient","identifier":[{"system":"urn:s","value":"1"}]}`
	f.status(f.ask("POST", "/fhir/Patient", one, "If-None-Exist", "identifier=urn:s|1"), http.StatusCreated, "If-None-Exist, none")
	f.status(f.ask("POST", "/fhir/Patient", one, "If-None-Exist", "identifier=urn:s|1"), http.StatusOK, "If-None-Exist, one")
}

func TestBodiesAreTakenByTheirContentType(t *testing.T) { // RFC 9110 §8.3, abuse 10
	t.Parallel()
	f := newFace(t, nil)
	for media, want := range map[string]int{
		"application/fhir+json": 201, "application/json": 201, "application/fhir+json; charset=UTF-8": 201,
		"application/fhir+json; fhirVersion=4.0": 201, "application/fhir+json; fhirVersion=3.0": 415, "application/fhir+json; charset=latin1": 415,
		"text/plain": 415, "application/xml": 415, "application/x-www-form-urlencoded": 415, "": 415, "garbage": 415,
	} {
		f.status(f.ask("POST", "/fhir/Patient", `{"resourceType":"Patient"}`, "Content-Type", media), want, media)
	}
}

func TestContentCodingOfBodies(t *testing.T) { // RFC 9110 §8.4, abuse 1, 9
	t.Parallel()
	f := newFace(t, nil)
	large := `{"resourceType":"Patient","id":"p1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + strings.Repeat("word ", 1000) + `</div>"}}`
	f.status(f.ask("PUT", "/fhir/Patient/p1", zipped(large), "Content-Encoding", "gzip"), http.StatusCreated, "gzip")
	f.status(f.ask("PUT", "/fhir/Patient/p1", zipped(strings.Repeat(" ", 4<<20)), "Content-Encoding", "gzip"), http.StatusRequestEntityTooLarge, "gzip bomb")
	f.status(f.ask("PUT", "/fhir/Patient/p1", large, "Content-Encoding", "gzip"), http.StatusBadRequest, "no gzip")
	f.status(f.ask("PUT", "/fhir/Patient/p1", large, "Content-Encoding", "br"), http.StatusUnsupportedMediaType, "unknown coding")
	f.status(f.ask("PUT", "/fhir/Patient/p1", strings.Repeat(" ", 64<<10)+large), http.StatusRequestEntityTooLarge, "over the limit")
	w := f.ask("GET", "/fhir/Patient/p1", "", "Accept-Encoding", "gzip")
	f.status(w, http.StatusOK, "gzip answer")
	z, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatal(err, w.Header())
	}
	if plain, err := io.ReadAll(z); err != nil || !strings.Contains(string(plain), "word word") {
		t.Errorf("%v %.100s", err, plain)
	}
}

func free() error { return nil }

// Many large bodies at once cannot make the server hold them all (abuse 20).
func TestLargeBodiesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	f := newFace(t, func(o *Options) { o.BodyBytes, o.Timeout = 4<<20, time.Minute })
	large := `{"resourceType":"Binary","contentType":"text/plain","data":"` + strings.Repeat("YWJj", firstRead/4) + `"}`
	h := f.Handler
	for range cap(h.large) {
		h.large <- struct{}{}
	}
	hasty := func(method, path, body string) *httptest.ResponseRecorder { // waits for a second, the least
		h.Timeout = 0
		defer func() { h.Timeout = time.Minute }()
		return f.ask(method, path, body)
	}
	f.status(hasty("POST", "/fhir/Binary", large), http.StatusServiceUnavailable, "no turn")
	f.status(f.ask("POST", "/fhir/Patient", strings.Replace(person, `"id":"p1",`, "", 1)), http.StatusCreated, "a small body needs none")
	<-h.large
	for range 2 { // a turn is given back
		f.status(f.ask("POST", "/fhir/Binary", large), http.StatusCreated, "a turn")
	}
	if len(h.large) != cap(h.large)-1 {
		t.Errorf("%d of %d turns are taken", len(h.large), cap(h.large))
	}
	f.status(f.ask("PUT", "/fhir/Binary/b", strings.Replace(large, `"contentType"`, `"id":"b","contentType"`, 1)), http.StatusCreated, "put")
	for range cap(h.opens) {
		h.opens <- struct{}{}
	}
	f.status(hasty("GET", "/fhir/Binary/b", ""), http.StatusServiceUnavailable, "no turn to read")
	f.status(f.ask("GET", "/fhir/Patient/none", ""), http.StatusNotFound, "what is small needs none")
	<-h.opens
	for _, accept := range []string{"text/plain", "application/fhir+json"} {
		f.status(f.ask("GET", "/fhir/Binary/b", "", "Accept", accept), http.StatusOK, accept)
	}
	f.status(f.ask("GET", "/fhir/Binary/none", ""), http.StatusNotFound, "unknown")
	f.status(f.ask("PUT", "/fhir/Basic/b", `{"resourceType":"Basic","id":"b","code":{"text":"x"},"extension":[`+strings.TrimSuffix(strings.Repeat(`{"url":"urn:x","valueString":"`+strings.Repeat("y", 200_000)+`"},`, 2), ",")+`]}`), http.StatusCreated, "a large one of another type")
	f.status(f.ask("GET", "/fhir/Basic/b", ""), http.StatusOK, "a large one of another type")
	if len(h.opens) != cap(h.opens)-1 {
		t.Errorf("%d of %d turns to read are taken", len(h.opens), cap(h.opens))
	}
}

func TestBodiesInPiecesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	want := make([]byte, 100_000)
	for i := range want {
		want[i] = byte(i * 7 >> 3)
	}
	for _, n := range []int{0, 1, 15, 16, 17, 48, 100, 99_999, 100_000} {
		for name, in := range map[string]io.Reader{"whole": bytes.NewReader(want[:n]), "by byte": iotest.OneByteReader(bytes.NewReader(want[:n])),
			"end with data": iotest.DataErrReader(bytes.NewReader(want[:n]))} {
			got, err := readAll(in, 16, 99_999, free)
			if n > 99_999 {
				if !errors.Is(err, errBodyTooLarge) || got != nil {
					t.Errorf("%d bytes, %s: %v", n, name, err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got, want[:n]) {
				t.Errorf("%d bytes, %s: %d bytes, %v", n, name, len(got), err)
			}
		}
	}
	if _, err := readAll(iotest.ErrReader(io.ErrUnexpectedEOF), 16, 99, free); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestFormatAndPretty(t *testing.T) { // R4 http.html#parameters
	t.Parallel()
	f := newFace(t, nil)
	f.status(f.ask("PUT", "/fhir/Patient/p1", person), http.StatusCreated, "put")
	f.status(f.ask("GET", "/fhir/Patient/p1?_format=xml", ""), http.StatusNotAcceptable, "xml")
	f.status(f.ask("GET", "/fhir/Patient/p1", "", "Accept", "text/turtle"), http.StatusNotAcceptable, "turtle")
	f.status(f.ask("GET", "/fhir/Patient/p1?_format=json", "", "Accept", "text/turtle"), http.StatusOK, "_format wins")
	plain, pretty := f.ask("GET", "/fhir/Patient/p1", "").Body.String(), f.ask("GET", "/fhir/Patient/p1?_pretty=true", "").Body.String()
	if strings.Contains(plain, "\n") || !strings.Contains(pretty, "\n  \"name\": [") {
		t.Errorf("plain %.80q, pretty %.80q", plain, pretty)
	}
}

// unread fails the test when somebody reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body of a stranger was read")
	return 0, io.EOF
}

func TestNothingIsReadBeforeAuthentication(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	for name, authorization := range map[string]string{"no token": "", "basic": "Basic YTpi", "unknown": "Bearer fst_unknown", "empty": "Bearer "} {
		r := httptest.NewRequest("POST", "/fhir/Patient", unread{t})
		r.RemoteAddr = "192.0.2.7:4711"
		r.Header.Set("Content-Type", "application/fhir+json")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		f.status(w, http.StatusUnauthorized, name)
		if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: WWW-Authenticate %q", name, w.Header().Get("WWW-Authenticate"))
		}
	}
	slices.Sort(f.reasons)
	if want := []string{"192.0.2.7 invalid-token", "192.0.2.7 no-token", "192.0.2.7 no-token", "192.0.2.7 no-token"}; !slices.Equal(f.reasons, want) {
		t.Errorf("recorded %v", f.reasons)
	}
}

func TestTargetsAreRefusedBeforeRouting(t *testing.T) { // abuse 15, 18, 34
	t.Parallel()
	f := newFace(t, nil)
	for _, path := range []string{"/fhir/Patient/../admin", "/fhir/Patient/%2e%2e/x", "/fhir/Patient%2fp1", "/fhir/Patient;x/p1", "/fhir//Patient", `/fhir/Patient\p1`} {
		f.status(f.ask("GET", path, ""), http.StatusBadRequest, path)
	}
	f.status(f.ask("GET", "/fhir/Patient/p1?access_token=x", ""), http.StatusBadRequest, "token in the query")
	r := httptest.NewRequest("GET", "/fhir/Patient/p1", nil)
	r.Header["Authorization"] = []string{f.bearer("clinician"), f.bearer("clinician")}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	f.status(w, http.StatusBadRequest, "two Authorization headers")
}

// TestTroubleOfTheServerIsA503: what the server lacks is told apart from what
// the client did, and says nothing of the patient.
func TestTroubleOfTheServerIsA503(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	f.status(f.ask("PUT", "/fhir/Patient/p1", person), http.StatusCreated, "put")
	f.full = true
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		body := ""
		if method == "PUT" {
			body = person
		}
		w := f.ask(method, "/fhir/Patient/p1", body)
		f.status(w, http.StatusServiceUnavailable, method+" with a full trail")
		if w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "CANARY") {
			t.Errorf("%s: %v %s", method, w.Header(), w.Body)
		}
	}
	f.full = false
	f.status(f.ask("GET", "/fhir/Patient/p1", ""), http.StatusOK, "the trail is back")
	f.identity = errors.New("CANARY: table of tokens is broken")
	w := f.ask("GET", "/fhir/Patient/p1", "")
	f.status(w, http.StatusInternalServerError, "identity is broken")
	if strings.Contains(w.Body.String(), "CANARY") || w.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	f.identity = token.ErrInvalid
	f.status(f.ask("GET", "/fhir/Patient/p1", ""), http.StatusUnauthorized, "bad token")
}

// TestTroubleOfAnEntryIsLogged: a batch is answered with 200 whatever its entries
// meet; whoever runs the server learns of it as of a request.
func TestTroubleOfAnEntryIsLogged(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	f := newFace(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	f.status(f.ask("PUT", "/fhir/Patient/p1", person), http.StatusCreated, "put")
	f.reading = true
	const get = `{"request":{"method":"GET","url":"Patient/p1"}}`
	w := f.ask("POST", "/fhir", `{"resourceType":"Bundle","type":"batch","entry":[`+get+","+get+`]}`)
	f.status(w, http.StatusOK, "batch")
	if !strings.Contains(w.Body.String(), `"status":"503`) || strings.Contains(log.String(), "p1") {
		t.Errorf("answer %s\nlog %s", w.Body, log.String())
	}
	if line := log.String(); strings.Count(line, "level=ERROR") != 1 || !strings.Contains(line, "status=503 count=2") {
		t.Errorf("log: %s", line)
	}
}

// TestPanicTellsNothing: a panic's value may be patient data.
func TestPanicTellsNothing(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	f := newFace(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	f.panics = "CANARY of a patient"
	w := f.ask("GET", "/fhir/Patient/p1", "")
	f.status(w, http.StatusInternalServerError, "panic")
	if strings.Contains(w.Body.String()+log.String(), "CANARY") || !strings.Contains(log.String(), "panic in a handler") {
		t.Errorf("answer %s\nlog %s", w.Body, log.String())
	}
}

func TestReadinessNamesNoCause(t *testing.T) {
	t.Parallel()
	down := error(nil)
	f := newFace(t, func(o *Options) {
		o.Ready = func(context.Context) error { return down }
	})
	f.status(f.ask("GET", "/readyz", "", "Authorization", ""), http.StatusOK, "ready")
	down = errors.New("CANARY: /srv/secret is gone")
	w := f.ask("GET", "/readyz", "", "Authorization", "")
	f.status(w, http.StatusServiceUnavailable, "not ready")
	if strings.Contains(w.Body.String(), "CANARY") || w.Header().Get("Retry-After") == "" {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
	f.status(f.ask("GET", "/healthz", "", "Authorization", ""), http.StatusOK, "alive")
}

// TestOnlyListedProxiesSayWhoAsks (abuse 17).
func TestOnlyListedProxiesSayWhoAsks(t *testing.T) {
	t.Parallel()
	listed := newFace(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	plain := newFace(t, nil)
	for _, c := range []struct {
		name, forwarded, want string
		f                     *face
	}{
		{"stranger", "203.0.113.1", "192.0.2.7", plain},
		{"listed", "203.0.113.1", "203.0.113.1", listed},
		{"only the last hop", "198.51.100.9, 203.0.113.1", "203.0.113.1", listed},
		{"garbage", "nobody", "192.0.2.7", listed},
		{"none", "", "192.0.2.7", listed},
	} {
		c.f.ask("GET", "/fhir/Patient/p1", "", "Authorization", "", "X-Forwarded-For", c.forwarded)
		if got := c.f.reasons[len(c.f.reasons)-1]; got != c.want+" no-token" {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
