package suite

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// canary hands out markers: words that stand nowhere else and share one core,
// so that one search finds all of them.
type canary struct {
	core   string // 12 letters and digits
	digits string // 15 digits, inside decimals: fewer stand in a log by chance
	n      int
	// names are markers in the places of member and parameter names. An error
	// may tell a client its own misspelt name; nothing else may keep it.
	names *canary
}

func newCanary() *canary {
	id := unique("")
	digits := strings.Map(func(r rune) rune {
		if r >= 'a' {
			return r - 'a' + '1'
		}
		return r
	}, unique(""))
	return &canary{core: "zq" + id[:10], digits: "7" + digits[:14]}
}

func (c *canary) word() string { c.n++; return fmt.Sprintf("%sx%d", c.core, c.n) }

// patient is a Patient with a marker in every text that FHIR lets a client
// choose.
func (c *canary) patient(id string) object {
	w := func() any { return c.word() }
	coding := func() object {
		return object{"coding": []any{object{"system": "urn:" + c.word(), "code": w(), "display": w()}}, "text": w()}
	}
	name := func() object {
		return object{"use": "official", "text": w(), "family": w(), "given": []any{w(), nil}, "prefix": []any{w()}, "suffix": []any{w()},
			"_given": []any{nil, object{"extension": []any{object{"url": "urn:" + c.word(), "valueString": w()}}}}}
	}
	address := func() object {
		return object{"text": w(), "line": []any{w()}, "city": w(), "district": w(), "state": w(), "postalCode": w(), "country": w()}
	}
	telecom := func() any { return []any{object{"system": "phone", "value": w()}} }
	return object{"resourceType": "Patient", "id": id, "implicitRules": "urn:" + c.word(), "language": w(),
		"meta": object{"source": "urn:" + c.word(), "profile": []any{"urn:" + c.word()},
			"tag": []any{object{"system": "urn:" + c.word(), "code": w(), "display": w()}}},
		"text":       object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">` + c.word() + `</div>`},
		"contained":  []any{object{"resourceType": "Patient", "id": "o", "name": []any{name()}, "address": []any{address()}}},
		"extension":  []any{object{"url": "urn:" + c.word(), "valueString": w()}, object{"url": "urn:y", "valueDecimal": json.Number("3." + c.digits + "5")}},
		"identifier": []any{object{"system": "urn:" + c.word(), "value": w(), "type": coding(), "assigner": object{"display": w()}}},
		"name":       []any{name()}, "telecom": telecom(), "address": []any{address()}, "maritalStatus": coding(),
		"_birthDate":           object{"extension": []any{object{"url": "urn:z", "valueString": w()}}},
		"photo":                []any{object{"title": w(), "url": "urn:" + c.word(), "data": "QUJD"}},
		"contact":              []any{object{"relationship": []any{coding()}, "name": name(), "telecom": telecom(), "address": address()}},
		"link":                 []any{object{"type": "seealso", "other": object{"reference": "#o", "display": w()}}},
		"managingOrganization": object{"reference": "Organization/o", "display": w(), "identifier": object{"value": w()}},
		"communication":        []any{object{"language": coding()}}}
}

// printedMetrics is where the metrics are.
var printedMetrics = regexp.MustCompile(`metrics +(http://127\.0\.0\.1:\d+/metrics)`)

// Nothing of a patient is found where no reader is authorised: not in files,
// logs, metrics or errors, in no encoding.
func TestCanaryIsNowhereInClear(t *testing.T) {
	s := start(t, "--metrics", "127.0.0.1:0", "--log-level", "debug")
	metrics := printedMetrics.FindStringSubmatch(s.stdout.String())
	if metrics == nil {
		t.Fatalf("no metrics in %s", s.stdout)
	}
	c := newCanary()
	c.names = newCanary()
	needles := c.needles()
	id, answers := c.use(t, s)
	for _, a := range answers {
		needles.scan(t, "the answer to "+a.asked[:4], a.body)
		for name, values := range a.header {
			if name == "X-Correlation-Id" {
				continue // the caller's own request id, which goes back to it and nowhere else (R4 http.html#custom)
			}
			needles.scan(t, "header "+name, []byte(strings.Join(values, "\n")))
		}
	}
	needles.add("name", c.names.core)
	res, err := http.Get(metrics[1])
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if len(b) == 0 {
		t.Error("no metrics")
	}
	needles.scan(t, "/metrics", b)
	needles.scanServer(t, s)
	if code, stdout, stderr := command(t, "keys", "status", "--data", s.dir); code == 0 {
		needles.scan(t, "keys status", []byte(stdout+stderr))
	}
	verify(t, s.dir)
	if got := s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200); !needles.hit(got.body) {
		t.Error("the scanner does not find the markers where they must be")
	}
	s.stop(t)
	needles.scanServer(t, s)
	needles.scan(t, "stdout", []byte(s.stdout.String()))
	needles.scan(t, "stderr", []byte(s.stderr.String()))
	again := startOn(t, s.dir) // what a restart writes: recovery, compaction
	again.stop(t)
	needles.scanServer(t, s)
	needles.scan(t, "stderr after restart", []byte(again.stderr.String()))
}

// use writes, reads, searches and makes errors with markers everywhere. It
// returns the answers that must be free of them.
func (c *canary) use(t *testing.T, s *server) (id string, mustBeClean []*answer) {
	id = c.word()
	p := c.patient(id)
	path := "/Patient/" + id
	s.do(t, integration, "PUT", path, p).want(201)
	p["active"] = true
	s.do(t, clinician, "PUT", path, p).want(200)
	s.do(t, integration, "POST", "/Patient", c.patient("ignored"), "If-None-Exist", "identifier="+c.word()).want(201)
	query := "/Patient?identifier=" + url.QueryEscape(identifierOf(p))
	name := url.QueryEscape(fmt.Sprint(at(p, "name", 0, "family")))
	for _, get := range []string{path, path + "/_history", path + "/_history/1", query, "/Patient?family=" + name + "&_sort=-birthdate,family",
		"/Patient?name:contains=" + name + "&_count=1", "/Observation?subject:Patient.family=" + name, "/Patient?family:exact=" + name + "&_revinclude=*",
		"/Patient?family=" + name + "&_summary=count", path + "/Observation?_count=1", "/Patient?address:contains=" + name + "&_elements=name"} {
		s.do(t, clinician, "GET", get, nil, "Accept-Encoding", "identity").want(200)
	}
	for _, form := range []string{"family=" + name + "&_sort=given", "_has:Observation:patient:code:text=" + name, "name:contains=" + name + "&_include=*&_total=accurate",
		"organization:Organization.name=" + name, "identifier:of-type=urn:" + name + "%7C" + name + "%7C" + name} {
		s.do(t, clinician, "POST", "/Patient/_search", form, "Content-Type", "application/x-www-form-urlencoded", "Accept-Encoding", "identity").want(200)
	}
	if code, stdout, stderr := command(t, "search", "explain", "--data", s.dir, "Patient?family="+name); code != 0 || c.stands(stdout+stderr) {
		t.Errorf("search explain: exit code %d, %s%s", code, stdout, stderr)
	}
	s.do(t, privacyOfficer, "GET", "/AuditEvent?patient="+id, nil).want(200)
	s.do(t, integration, "POST", "", transaction(post(c.patient(""), "urn:uuid:"+uuid))).want(200)
	redacted := s.do(t, researcher, "GET", path, nil).want(200)
	c.checkRedacted(t, redacted, p)
	return id, c.provoke(t, s, path)
}

// stands reports whether a marker stands in a text.
func (c *canary) stands(text string) bool { return strings.Contains(text, c.core) }

const uuid = "0b9c6d2e-3a65-4c9d-8f66-1f2f3a4b5c6d"

// checkRedacted wants what a researcher reads to hold no marker of the hidden
// elements; coded values, the id and profile addresses are not hidden.
func (c *canary) checkRedacted(t *testing.T, a *answer, p object) {
	t.Helper()
	for _, hidden := range []any{p["identifier"], at(p, "name"), p["telecom"], at(p, "address", 0, "line"), at(p, "address", 0, "city"),
		p["contact"], p["text"], at(p, "contained", 0, "name"), at(p, "contained", 0, "address", 0, "line"), at(p, "link", 0, "other", "display"), p["photo"], p["_birthDate"], at(p, "extension", 0)} {
		b, _ := json.Marshal(hidden)
		for _, m := range regexp.MustCompile(c.core+`x\d+`).FindAllString(string(b), -1) {
			if regexp.MustCompile(m + `\D`).Match(a.body) {
				t.Errorf("a researcher sees a hidden value of %.60s", b)
			}
		}
	}
}

// provoke makes errors with markers in bodies, ids, queries and headers.
func (c *canary) provoke(t *testing.T, s *server, path string) (answers []*answer) {
	add := func(a *answer) { answers = append(answers, a) }
	w := c.word
	for _, body := range []string{
		`{"resourceType":"Patient","` + c.names.word() + `":"` + w() + `"}`, `{"resourceType":"Patient","gender":"` + w() + `","birthDate":"` + w() + `"}`,
		`{"resourceType":"Patient","name":[{"family":"` + w() + `"`, `{"resourceType":"` + w() + `"}`, w(), `{"resourceType":"Patient","id":{"x":"` + w() + `"}}`,
		`{"resourceType":"Patient","gender":"male","gender":"` + w() + `"}`, `{"resourceType":"Patient","text":{"status":"generated","div":"<div>` + w() + `<script>"}}`,
		`{"resourceType":"Patient","managingOrganization":{"reference":"` + w() + ` "}}`, `{"resourceType":"Patient","birthDate":1.` + c.digits + `}`,
	} {
		add(s.do(t, integration, "POST", "/Patient", body))
		add(s.do(t, integration, "PUT", path, body))
		add(s.do(t, integration, "POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+body+`,"request":{"method":"POST","url":"Patient"}}]}`))
	}
	for _, get := range []string{"/Patient/" + w(), "/Patient/" + w() + "_", "/" + w() + "/1", "/Patient?birthdate=" + w(), "/Patient?" + c.names.word() + "=1", "/Patient?identifier=a|b|" + w(),
		"/Patient?identifier:" + c.names.word() + "=1", "/Patient/" + w() + "/_history?x=" + w(), "/Patient/a/_history?" + w() + "=1", path + "/_history/" + w(), "/AuditEvent?patient=" + w() + "_", "/AuditEvent?date=" + w(),
		"/Patient/%41" + w(), path + "?_format=" + w(), "/Patient?access_token=" + w()} {
		for _, role := range []string{integration, researcher, nobody} {
			add(s.do(t, role, "GET", get, nil))
		}
		add(s.do(t, privacyOfficer, "DELETE", get, nil))
	}
	for _, h := range []string{"If-Match", "If-None-Exist", "Prefer", "Content-Type", "Accept", "Content-Encoding", "Authorization", "X-Request-Id", "Traceparent", "User-Agent", "Origin", "X-Forwarded-For"} {
		value := map[string]string{"Prefer": "return=" + w(), "If-None-Exist": "birthdate=" + w(), "Authorization": "Bearer " + w()}[h]
		if value == "" {
			value = w()
		}
		add(s.do(t, integration, "PUT", path, `{"resourceType":"Patient"}`, h, value))
		add(s.do(t, integration, "POST", "/Patient", `{"resourceType":"Patient","x":1}`, h, value))
	}
	got, _ := s.raw(t, w()+" / HTTP/1.1\r\n"+w()+": "+w()+"\r\n\r\n")
	add(&answer{t, "raw ", 400, http.Header{}, []byte(got)})
	return append(answers, c.crowd(t, s, path)...)
}

// crowd races writers, so that conflicts and retries are logged if they are.
func (c *canary) crowd(t *testing.T, s *server, path string) (answers []*answer) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	id := path[len("/Patient/"):]
	for range 8 {
		p := c.patient(id)
		wg.Go(func() {
			a, err := s.try(t, integration, "PUT", path, p, "If-Match", `W/"2"`, "Prefer", "return=minimal")
			if err != nil {
				t.Error(err)
			} else if a.status == 412 {
				mu.Lock()
				defer mu.Unlock()
				answers = append(answers, a)
			}
		})
	}
	wg.Wait()
	return answers
}
