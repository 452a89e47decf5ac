package testscript

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fake is a server that remembers what was asked and answers by path.
type fake struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // METHOD path?query body
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

const patientBody = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3"},"active":true,"name":[{"use":"official","family":"Chalmers","given":["Peter","James"]},{"use":"usual","family":"Jim"}],"multipleBirthInteger":2}`

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.asked = append(f.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/fhir+json; charset=utf-8")
	w.Header().Set("X-Auth", r.Header.Get("Authorization"))
	w.Header().Set("X-Accept", r.Header.Get("Accept"))
	w.Header().Set("X-Type", r.Header.Get("Content-Type"))
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/Patient"):
		w.Header().Set("Location", f.URL+"/fhir/Patient/new1/_history/1")
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case strings.HasSuffix(r.URL.Path, "/gone"):
		w.WriteHeader(http.StatusGone)
	case r.URL.Query().Get("page") == "2":
		fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"x"}]}`)
	case r.URL.Path == "/fhir/Observation":
		fmt.Fprintf(w, `{"resourceType":"Bundle","type":"searchset","total":2,"link":[{"relation":"self","url":"Observation?code=a"},{"relation":"next","url":"%s/fhir/Observation?page=2"}]}`, f.URL)
	case r.URL.Path == "/fhir/Lost":
		fmt.Fprint(w, `{"resourceType":"Bundle","type":"searchset","link":[{"relation":"self","url":"Lost"},{"relation":"next","url":"https://elsewhere.example/fhir/Lost"}]}`)
	default:
		fmt.Fprint(w, patientBody)
	}
}

func (f *fake) runner() *Runner { return &Runner{Base: f.URL + "/fhir", Token: "t0k"} }

// script parses a TestScript whose file lies in a folder with fixtures.
func script(t *testing.T, members string) *Script {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"patient.json": patientBody, "new.json": `{"resourceType":"Patient","gender":"${gender}"}`,
		"least.json": `{"resourceType":"Patient","name":[{"given":["James"]}],"active":true}`,
		"more.json":  `{"resourceType":"Patient","name":[{"given":["James","Tiberius"]}]}`,
		"patch.json": `[{"op":"test","path":"/active","value":true}]`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "script.json")
	text := `{"resourceType":"TestScript","name":"S",
	 "fixture":[{"id":"patient","resource":{"reference":"patient.json"}},{"id":"new","resource":{"reference":"./new"}},
	  {"id":"least","resource":{"reference":"least.json"}},{"id":"more","resource":{"reference":"more.json"}},{"id":"patch","resource":{"reference":"patch.json"}},
	  {"id":"inside","resource":{"reference":"#c"}}],
	 "contained":[{"resourceType":"Basic","id":"c"}],
	 "variable":[{"name":"gender","defaultValue":"other"},{"name":"id","path":"Patient/id","sourceId":"patient"},
	  {"name":"where","headerField":"Location","sourceId":"created"},{"name":"family","path":"fhir:Patient/fhir:name[fhir:use/@value='official']/fhir:family/@value","sourceId":"patient"},
	  {"name":"unset"}],` + members + `}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	scripts, err := Load(path)
	if err != nil || len(scripts) != 1 {
		t.Fatalf("%v\n%s", err, text)
	}
	return scripts[0]
}

func TestOperationsBecomeRequests(t *testing.T) { // R4 testscript-definitions.html#operation
	t.Parallel()
	updated := strings.Replace(patientBody, `"id":"p1"`, `"id":"other"`, 1)
	for _, tt := range []struct{ name, operation, want string }{
		{"read by params", `"type":{"code":"read"},"resource":"Patient","params":"/${id}"`, "GET /fhir/Patient/p1"},
		{"read by target", `"type":{"code":"read"},"targetId":"patient"`, "GET /fhir/Patient/p1"},
		{"vread by target", `"type":{"code":"vread"},"targetId":"patient"`, "GET /fhir/Patient/p1/_history/3"},
		{"vread by params", `"type":{"code":"vread"},"resource":"Patient","params":"/p1/_history/2"`, "GET /fhir/Patient/p1/_history/2"},
		{"history by target", `"type":{"code":"history"},"resource":"Patient","targetId":"patient"`, "GET /fhir/Patient/p1/_history"},
		{"history by params", `"type":{"code":"history"},"resource":"Patient","params":"/p1"`, "GET /fhir/Patient/p1/_history"},
		{"history of a type", `"type":{"code":"history"},"resource":"Patient"`, "GET /fhir/Patient/_history"},
		{"search", `"type":{"code":"search"},"resource":"Patient","params":"?family=${family}&_count=1"`, "GET /fhir/Patient?family=Chalmers&_count=1"},
		{"search by POST", `"type":{"code":"search"},"resource":"Patient","method":"post","params":"?family=a"`, "POST /fhir/Patient/_search family=a"},
		{"encoded", `"type":{"code":"search"},"resource":"Observation","params":"?code=http://loinc.org|8480-6"`, "GET /fhir/Observation?code=http%3A%2F%2Floinc.org%7C8480-6"},
		{"not encoded", `"type":{"code":"search"},"resource":"Observation","encodeRequestUrl":false,"params":"?code=http://loinc.org|8480-6&a=b%20c"`, "GET /fhir/Observation?code=http://loinc.org|8480-6&a=b%20c"},
		{"create", `"type":{"code":"create"},"resource":"Patient","sourceId":"new"`, `POST /fhir/Patient {"resourceType":"Patient","gender":"other"}`},
		{"create, type of the source", `"type":{"code":"create"},"sourceId":"inside"`, `POST /fhir/Basic {"resourceType":"Basic","id":"c"}`},
		{"update by source", `"type":{"code":"update"},"resource":"Patient","sourceId":"patient"`, "PUT /fhir/Patient/p1 " + patientBody},
		{"update takes the id of the URL", `"type":{"code":"updateCreate"},"resource":"Patient","params":"/other","sourceId":"patient"`, "PUT /fhir/Patient/other " + updated},
		{"patch", `"type":{"code":"patch"},"targetId":"patient","sourceId":"patch"`, `PATCH /fhir/Patient/p1 [{"op":"test","path":"/active","value":true}]`},
		{"delete by target", `"type":{"code":"delete"},"targetId":"patient"`, "DELETE /fhir/Patient/p1"},
		{"conditional delete", `"type":{"code":"deleteCondSingle"},"resource":"Patient","params":"?identifier=a"`, "DELETE /fhir/Patient?identifier=a"},
		{"transaction", `"type":{"code":"transaction"},"sourceId":"inside"`, `POST /fhir {"resourceType":"Basic","id":"c"}`},
		{"capabilities", `"type":{"code":"capabilities"}`, "GET /fhir/metadata"},
		{"operation on an instance", `"type":{"code":"everything"},"targetId":"patient"`, "GET /fhir/Patient/p1/$everything"},
		{"operation on a type", `"type":{"code":"validate"},"resource":"Patient","sourceId":"inside"`, `POST /fhir/Patient/$validate {"resourceType":"Basic","id":"c"}`},
		{"operation named in params", `"type":{"code":"everything"},"resource":"Patient","params":"/p1/$everything?_count=2"`, "GET /fhir/Patient/p1/$everything?_count=2"},
		{"method alone", `"method":"get","url":"Patient/p1"`, "GET /fhir/Patient/p1"},
		{"head", `"type":{"code":"read"},"method":"head","resource":"Patient","params":"/p1"`, "HEAD /fhir/Patient/p1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			r := f.runner().Run(t.Context(), script(t, `"test":[{"name":"t","action":[{"operation":{`+tt.operation+`}}]}]`))
			if r.Verdict != Pass || len(f.asked) != 1 || f.asked[0] != tt.want {
				t.Errorf("%s %q, want %q; %+v", r.Verdict, f.asked, tt.want, r.Parts)
			}
		})
	}
}

// The token must not follow a URL out of the base.
func TestRequestsElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for _, url := range []string{"https://elsewhere.example/fhir/Patient/p1", f.URL + "/fhirx/Patient", f.URL + "/admin", "http://127.0.0.1:1/fhir/x"} {
		r := f.runner().Run(t.Context(), script(t, `"test":[{"name":"t","action":[{"operation":{"type":{"code":"read"},"url":"`+url+`"}}]}]`))
		if r.Verdict != Error {
			t.Errorf("%s: %s", url, r.Verdict)
		}
	}
	if len(f.asked) != 0 {
		t.Errorf("asked %v", f.asked)
	}
	for _, ref := range []string{"../secret.json", "/etc/passwd"} {
		s := script(t, `"test":[]`)
		s.Fixtures[0].Resource.Reference = ref
		if r := f.runner().Run(t.Context(), s); r.Verdict != Error {
			t.Errorf("fixture %s: %s", ref, r.Verdict)
		}
	}
}

const readP1 = `{"operation":{"type":{"code":"read"},"resource":"Patient","params":"/p1","responseId":"got"}}`

func TestAssertions(t *testing.T) { // R4 testscript-definitions.html#assert
	t.Parallel()
	for _, tt := range []struct {
		name, before, assert string
		want                 Verdict
	}{
		{"response", readP1, `"response":"okay"`, Pass},
		{"response, other", readP1, `"response":"created"`, Fail},
		{"response, unknown", readP1, `"response":"fine"`, Error},
		{"code", readP1, `"responseCode":"200"`, Pass},
		{"code in", readP1, `"operator":"in","responseCode":"200, 204"`, Pass},
		{"code list", readP1, `"responseCode":"201,204"`, Fail},
		{"code not in", readP1, `"operator":"notIn","responseCode":"500,501"`, Pass},
		{"code greater", readP1, `"operator":"greaterThan","responseCode":"99"`, Pass},
		{"content type", readP1, `"contentType":"json"`, Pass},
		{"content type in full", readP1, `"contentType":"application/fhir+json"`, Pass},
		{"content type contains", readP1, `"operator":"contains","contentType":"fhir+json"`, Pass},
		{"content type, other", readP1, `"contentType":"xml"`, Fail},
		{"content type of the request", `{"operation":{"type":{"code":"create"},"resource":"Patient","sourceId":"new"}}`, `"direction":"request","contentType":"json"`, Pass},
		{"header", readP1, `"headerField":"x-auth","value":"Bearer t0k"`, Pass},
		{"header present", readP1, `"headerField":"X-Auth","operator":"notEmpty"`, Pass},
		{"header absent", readP1, `"headerField":"ETag","operator":"notEmpty"`, Fail},
		{"header, nothing said", readP1, `"headerField":"ETag"`, Fail},
		{"header empty", readP1, `"headerField":"ETag","operator":"empty"`, Pass},
		{"accept default", readP1, `"headerField":"X-Accept","value":"application/fhir+json"`, Pass},
		{"resource", readP1, `"resource":"Patient"`, Pass},
		{"resource, other", readP1, `"resource":"Bundle"`, Fail},
		{"resource without body", `{"operation":{"type":{"code":"read"},"resource":"Patient","params":"/gone"}}`, `"resource":"Bundle"`, Fail},
		{"gone", `{"operation":{"type":{"code":"read"},"resource":"Patient","params":"/gone"}}`, `"response":"gone"`, Pass},
		{"body regex", readP1, `"operator":"matchesRegex","responseBody":"\"resourceType\"\\s*:\\s*\"Patient\""`, Pass},
		{"body regex, other", readP1, `"operator":"matchesRegex","responseBody":"Bundle"`, Fail},
		{"body contains", readP1, `"operator":"contains","responseBody":"${family}"`, Pass},
		{"request method", readP1, `"direction":"request","requestMethod":"get"`, Pass},
		{"request URL", readP1, `"direction":"request","operator":"contains","requestURL":"/Patient/${id}"`, Pass},
		{"request URL, other", readP1, `"operator":"contains","requestURL":"Observation"`, Fail},
		{"path", readP1, `"path":"fhir:Patient/fhir:id/@value","value":"p1"`, Pass},
		{"path, one of several", readP1, `"path":"Patient/name/given","value":"James"`, Pass},
		{"path, none of several", readP1, `"path":"Patient/name/given","operator":"notEquals","value":"James"`, Fail},
		{"path with index", readP1, `"path":"/Patient/name[2]/family","value":"Jim"`, Pass},
		{"path, deep", readP1, `"path":"//given","operator":"contains","value":"et"`, Pass},
		{"path, JSONPath", readP1, `"path":"$.name[0].given[1]","value":"James"`, Pass},
		{"path, JSONPath over all", readP1, `"path":"$.name[*].family","value":"Jim"`, Pass},
		{"path, numbers", readP1, `"path":"Patient/multipleBirthInteger","operator":"lessThan","value":"10"`, Pass},
		{"path, decimals", readP1, `"path":"Patient/multipleBirthInteger","value":"2.0"`, Pass},
		{"path, absent", readP1, `"path":"Patient/gender","value":"male"`, Fail},
		{"path, empty", readP1, `"path":"Patient/gender","operator":"empty"`, Pass},
		{"path that is not known", readP1, `"path":"count(//given) > 1"`, Error},
		{"expression", readP1, `"expression":"Patient.name.where(use = 'official').family","value":"${family}"`, Pass},
		{"expression that holds", readP1, `"expression":"name.given.count() = 2"`, Pass},
		{"expression that does not hold", readP1, `"expression":"name.given.count() > 2"`, Fail},
		{"expression with value true", readP1, `"expression":"active and multipleBirth <= 2","value":"true"`, Pass},
		{"expression, one of several", readP1, `"expression":"name.given","operator":"in","value":"James,Jim"`, Pass},
		{"expression, empty", readP1, `"expression":"gender","operator":"empty"`, Pass},
		{"expression that is complex", readP1, `"expression":"name","operator":"notEmpty"`, Pass},
		{"expression of nothing", readP1, `"expression":"gender"`, Fail},
		{"expression that is none", readP1, `"expression":"name..x","value":"a"`, Error},
		{"expression compared", readP1, `"expression":"id","compareToSourceId":"patient","compareToSourceExpression":"Patient.id"`, Pass},
		{"expression with a variable", readP1, `"expression":"name.where(family = '${family}').exists()"`, Pass},
		{"compare", readP1, `"path":"Patient/id","compareToSourceId":"patient","compareToSourcePath":"Patient/id"`, Pass},
		{"compare, other", readP1, `"path":"Patient/id","compareToSourceId":"patient","compareToSourcePath":"Patient/name/family"`, Fail},
		{"compare with nothing", readP1, `"path":"Patient/id","compareToSourceId":"patient","compareToSourcePath":"Patient/gender"`, Fail},
		{"source", readP1, `"sourceId":"patient","path":"Patient/id","value":"p1"`, Pass},
		{"source that is not known", readP1, `"sourceId":"nothing","path":"Patient/id","value":"p1"`, Error},
		{"minimum", readP1, `"minimumId":"least"`, Pass},
		{"minimum, more than there is", readP1, `"minimumId":"more"`, Fail},
		{"links", `{"operation":{"type":{"code":"search"},"resource":"Observation"}}`, `"navigationLinks":true`, Pass},
		{"links that lead away", `{"operation":{"type":{"code":"search"},"resource":"Lost"}}`, `"navigationLinks":true`, Error},
		{"links of no Bundle", readP1, `"navigationLinks":true`, Fail},
		{"profile", readP1, `"validateProfileId":"p"`, Skip},
		{"variable without value", readP1, `"path":"Patient/id","value":"${unset}"`, Error},
		{"variable of the answer", `{"operation":{"type":{"code":"create"},"resource":"Patient","sourceId":"new","responseId":"created"}},{"operation":{"type":{"code":"read"},"url":"${where}"}}`, `"operator":"contains","requestURL":"/Patient/new1/_history/1"`, Pass},
		{"target of an answer without body", `{"operation":{"type":{"code":"create"},"resource":"Patient","sourceId":"new","responseId":"created"}},{"operation":{"type":{"code":"read"},"targetId":"created"}}`, `"operator":"contains","requestURL":"/Patient/new1"`, Pass},
		{"unknown operator", readP1, `"operator":"resembles","responseCode":"200"`, Fail},
		{"nothing asserted", readP1, `"label":"x"`, Error},
		{"nothing asked before", `{"operation":{"type":{"code":"read"},"url":"https://elsewhere.example"}}`, `"responseCode":"200"`, Error},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			r := f.runner().Run(t.Context(), script(t, `"test":[{"name":"t","action":[`+tt.before+`,{"assert":{`+tt.assert+`}}]}]`))
			actions := r.Parts[0].Actions
			if last := actions[len(actions)-1]; last.Verdict != tt.want && r.Verdict != tt.want {
				t.Errorf("%s, want %s: %+v", last.Verdict, tt.want, actions)
			}
		})
	}
}

func TestFailureEndsItsPartAndSetupTheTests(t *testing.T) { // R4 testing.html
	t.Parallel()
	f := newFake(t)
	bad := `{"assert":{"responseCode":"404"}}`
	s := script(t, `"setup":{"action":[`+readP1+`]},"test":[{"name":"a","action":[`+readP1+`,`+bad+`,`+readP1+`]},{"name":"b","action":[`+readP1+`]},
	 {"name":"warns","action":[`+readP1+`,{"assert":{"responseCode":"404","warningOnly":true}},`+readP1+`]}],"teardown":{"action":[`+readP1+`]}`)
	r := f.runner().Run(t.Context(), s)
	if r.Verdict != Fail || len(f.asked) != 6 {
		t.Errorf("%s, %d requests", r.Verdict, len(f.asked))
	}
	var verdicts []string
	for _, p := range r.Parts {
		verdicts = append(verdicts, p.Name+"="+string(p.Verdict))
	}
	if got := strings.Join(verdicts, " "); got != "setup=pass a=fail b=pass warns=warning teardown=pass" {
		t.Error(got)
	}
	f.asked = nil
	r = f.runner().Run(t.Context(), script(t, `"setup":{"action":[`+readP1+`,`+bad+`]},"test":[{"action":[`+readP1+`]}],"teardown":{"action":[`+readP1+`]}`))
	if r.Verdict != Fail || len(f.asked) != 2 || r.Parts[1].Verdict != Skip {
		t.Errorf("%s, %d requests, %+v", r.Verdict, len(f.asked), r.Parts)
	}
}

func TestFixturesAreCreatedAndDeleted(t *testing.T) { // R4 testscript.html#fixture
	t.Parallel()
	f := newFake(t)
	s := script(t, `"test":[{"name":"t","action":[{"operation":{"type":{"code":"read"},"targetId":"new"}}]}]`)
	for i := range s.Fixtures[:2] {
		s.Fixtures[i].Autocreate, s.Fixtures[i].Autodelete = true, true
	}
	r := f.runner().Run(t.Context(), s)
	want := []string{"PUT /fhir/Patient/p1 " + patientBody, `POST /fhir/Patient {"resourceType":"Patient","gender":"${gender}"}`,
		"GET /fhir/Patient/new1", "DELETE /fhir/Patient/p1", "DELETE /fhir/Patient/new1"}
	if r.Verdict != Pass || strings.Join(f.asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s %q %+v", r.Verdict, f.asked, r.Parts)
	}
}

func TestSubtestsGiveTheirVerdict(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	inner := script(t, `"test":[{"name":"t","action":[{"operation":{"type":{"code":"read"},"resource":"Patient","params":"/${target}"}},{"assert":{"response":"okay"}}]}]`)
	inner.Name = "Inner"
	outer := script(t, `"test":[{"name":"one","action":[{"assert":{"extension":[{"url":"`+subtestURL+`","extension":[{"url":"testName","valueString":"Inner"},
	 {"url":"bindVariable","extension":[{"url":"bindSource","valueString":"id"},{"url":"bindTarget","valueString":"target"}]}]}]}}]},
	 {"name":"each","action":[`+readP1+`,{"assert":{"path":"Patient/name/given","extension":[{"url":"`+subtestEachURL+`","extension":[{"url":"testName","valueString":"Inner"},
	 {"url":"allMustPass","valueBoolean":true},{"url":"bindEachTarget","valueString":"target"}]}]}}]},
	 {"name":"missing","action":[{"assert":{"extension":[{"url":"`+subtestURL+`","extension":[{"url":"testName","valueString":"Nobody"}]}]}}]}]`)
	runner := f.runner()
	runner.Scripts = []*Script{inner, outer}
	r := runner.Run(t.Context(), outer)
	if strings.Join(f.asked, " ") != "GET /fhir/Patient/p1 GET /fhir/Patient/p1 GET /fhir/Patient/Peter GET /fhir/Patient/James" {
		t.Errorf("%q", f.asked)
	}
	for i, want := range []Verdict{Pass, Pass, Skip} {
		if r.Parts[i].Verdict != want {
			t.Errorf("%s: %+v", r.Parts[i].Name, r.Parts[i])
		}
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	s := script(t, `"test":[{"name":"a<b>","action":[`+readP1+`,{"assert":{"label":"l","responseCode":"404"}}]},{"name":"c","action":[`+readP1+`]},{"name":"d","action":[`+readP1+`,{"assert":{"validateProfileId":"x"}}]}]`)
	results := []Result{f.runner().Run(t.Context(), s)}
	var table, junit bytes.Buffer
	if err := Table(&table, results); err != nil || !strings.Contains(table.String(), "1 scripts: 0 pass, 0 warning, 1 fail") || !strings.Contains(table.String(), `status is "200"`) {
		t.Errorf("%v\n%s", err, table.String())
	}
	if err := JUnit(&junit, results); err != nil {
		t.Fatal(err)
	}
	var back junitSuites
	if err := xml.Unmarshal(junit.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	suite := back.Suites[0]
	if suite.Tests != 3 || suite.Failures != 1 || suite.Cases[0].Name != "a<b>" || suite.Cases[0].Failure == nil || suite.Cases[1].Failure != nil || suite.Cases[2].Out == "" {
		t.Errorf("%s", junit.String())
	}
}

func TestLoadSaysWhatIsNoScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"a.json": `{"resourceType":"Patient"}`, "b.json": `{`, "c.json": "<TestScript/>", "d.json": `{"resourceType":"TestScript","name":"D"}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	scripts, err := Load(dir)
	if len(scripts) != 1 || scripts[0].Name != "D" || err == nil || !strings.Contains(err.Error(), "b.json") || !strings.Contains(err.Error(), "c.json") || strings.Contains(err.Error(), "a.json") {
		t.Errorf("%v %v", scripts, err)
	}
	if _, err := Load(filepath.Join(dir, "a.json")); err == nil {
		t.Error("a named file that is no script is taken")
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"fhir:Bundle/fhir:type/@value", "$.a[0]['b']", "//x[y='z'][2]", "/Patient/name[1]/given"} {
		f.Add(seed)
	}
	var tree map[string]any
	if err := json.Unmarshal([]byte(patientBody), &tree); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) { _, _ = find(tree, path) })
}
