package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

const launchScopes = "launch launch/patient launch/encounter launch/imagingstudy openid offline_access patient/Observation.rs"

// launchable registers an app that an EHR can start, and the EHR: a backend
// service. It returns the EHR's access token.
// A role in the scope asks for what has that role in the context; a member
// without one has that of launch (SMART App Launch 2.2, fhirContext).
func TestLaunchGivesTheRoleThatIsAskedFor(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	const scopes = "launch launch/imagingstudy?role=https://e.example/study launch/imagingstudy?role=launch launch/list?role=https://e.example/study openid"
	_, err := n.clients.Add(t.Context(), client.Client{ID: "app", Name: "app", Auth: client.Public, Redirects: []string{redirect}, Scopes: strings.Fields(scopes)})
	n.must(err)
	bearer := n.ehr("ehr")
	for name, row := range map[string]struct{ role, want string }{
		"a role of its own": {`,"role":"https://e.example/study"`, "launch launch/imagingstudy?role=https://e.example/study openid"},
		"the role launch":   {`,"role":"launch"`, "launch launch/imagingstudy?role=launch openid"},
		"none, which is it": {"", "launch launch/imagingstudy?role=launch openid"},
		"another role":      {`,"role":"https://e.example/other"`, "launch openid"},
	} {
		value := n.value(bearer, `{"client_id":"app","user":"user:dr","patient":"p1","fhirContext":[{"reference":"ImagingStudy/i1"`+row.role+`}]}`)
		q := authorizeQuery("app", scopes)
		q.Set("launch", value)
		_, to, _ := n.authorize(q)
		if a := n.post("/token", redemption("app", to.Get("code"))); a.text("scope") != row.want {
			t.Errorf("%s: %q, want %q", name, a.text("scope"), row.want)
		}
	}
}

func (n *node) launchable(id string) (bearer string) {
	n.t.Helper()
	_, err := n.clients.Add(n.t.Context(), client.Client{ID: id, Name: id, Auth: client.Public, Redirects: []string{redirect}, Scopes: strings.Fields(launchScopes + " launch/list")})
	n.must(err)
	return n.ehr("ehr-of-" + id)
}

func (n *node) ehr(id string) (bearer string) {
	n.t.Helper()
	_, err := n.clients.Add(n.t.Context(), client.Client{ID: id, Name: id, Auth: client.PrivateKeyJWT, Keys: keySet(n.t, bothKeys()...),
		Scopes: []string{"system/Patient.rs"}, Roles: []string{"role:integration"}, Launches: true})
	n.must(err)
	return n.post("/token", serviceForm(n.goodAssertion(id).sign(n.t), "system/Patient.rs")).text("access_token")
}

// call posts JSON to the launch endpoint.
func (n *node) call(bearer, body string, change ...func(*http.Request)) answer {
	n.t.Helper()
	r := httptest.NewRequestWithContext(n.t.Context(), http.MethodPost, oauth.Path+"/launch", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	for _, c := range change {
		c(r)
	}
	w := n.do(r)
	a := answer{status: w.Code, header: w.Header()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	return a
}

const goodLaunch = `{"client_id":"app","user":"user:dr","patient":"p1","encounter":"e1","fhirContext":[{"reference":"ImagingStudy/i1","role":"https://e.example/study"}],` +
	`"intent":"reconcile","need_patient_banner":false,"smart_style_url":"https://ehr.example/style.json","tenant":"t-1"}`

// value is a fresh launch value.
func (n *node) value(bearer, body string) string {
	n.t.Helper()
	a := n.call(bearer, body)
	if a.status != http.StatusOK || !strings.HasPrefix(a.text("launch"), "fsl_") || a.text("iss") != base || a.header.Get("Cache-Control") != "no-store" {
		n.t.Fatalf("%d %v", a.status, a.body)
	}
	return a.text("launch")
}

func launchQuery(id, value string) url.Values {
	q := authorizeQuery(id, launchScopes)
	q.Set("launch", value)
	return q
}

// access.md, SMART 4 and 6: the context of an EHR launch reaches the app, and a
// refresh keeps it.
func TestLaunchGivesItsContext(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	bearer := n.launchable("app")
	_, to, _ := other.authorize(launchQuery("app", n.value(bearer, goodLaunch)))
	got := n.post("/token", redemption("app", to.Get("code")))
	for name, a := range map[string]answer{"token": got, "refresh": other.post("/token", refresh("app", got.text("refresh_token")))} {
		also, _ := json.Marshal(a.body["fhirContext"])
		if a.text("patient") != "p1" || a.text("encounter") != "e1" || a.text("intent") != "reconcile" || a.text("tenant") != "t-1" || a.text("scope") != launchScopes ||
			a.body["need_patient_banner"] != false || a.text("smart_style_url") != "https://ehr.example/style.json" ||
			string(also) != `[{"reference":"ImagingStudy/i1","role":"https://e.example/study"}]` {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	asked := s.person.Asked()
	if l := asked[len(asked)-1].Launch; l == nil || l.Account != "user:dr" || l.Patient != "p1" || l.Encounter != "e1" {
		t.Errorf("the pages were told %+v", l)
	}
	if !n.rec.has("launch", "", "client:ehr-of-app") {
		t.Error("no event")
	}
	for _, e := range n.rec.events {
		if e.Subtype == "launch" && (len(e.Entities) != 3 || len(e.Entities[2].Patients) != 1) {
			t.Errorf("the patient does not find the event: %+v", e.Entities)
		}
	}
}

// What a launch does not say: an app shows the banner itself, looks like the
// pages, and gets no scope whose context there is not.
func TestLaunchWithoutContextGrantsNoneOfIt(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	bearer := n.launchable("app")
	_, to, _ := n.authorize(launchQuery("app", n.value(bearer, `{"client_id":"app","user":"user:dr"}`)))
	a := n.post("/token", redemption("app", to.Get("code")))
	if a.text("scope") != "launch launch/patient openid offline_access patient/Observation.rs" || a.body["need_patient_banner"] != true || a.body["encounter"] != nil || a.body["fhirContext"] != nil {
		t.Errorf("%d %v", a.status, a.body)
	}
	w := n.do(httptest.NewRequest(http.MethodGet, strings.TrimPrefix(a.text("smart_style_url"), "https://fhir.test"), nil))
	var style map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &style); err != nil || style["color_text"] == "" || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("style: %d %s", w.Code, w.Body)
	}
	_, to, _ = n.authorize(authorizeQuery("app", "launch/patient launch/encounter launch/imagingstudy patient/Observation.rs"))
	if a := n.post("/token", redemption("app", to.Get("code"))); a.text("scope") != "launch/patient patient/Observation.rs" || a.body["need_patient_banner"] != true {
		t.Errorf("standalone: %d %v", a.status, a.body)
	}
}

// access.md, SMART 4: one use, five minutes, bound to user and client.
func TestLaunchIsBoundToUserClientAndTime(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	bearer := n.launchable("app")
	n.launchable("another")
	refused := func(name string, q url.Values, code string) {
		t.Helper()
		if _, to, _ := other.authorize(q); to.Get("code") != "" || to.Get("error") != code {
			t.Errorf("%s: %v", name, to)
		}
	}
	value := n.value(bearer, goodLaunch)
	refused("another app", launchQuery("another", value), "invalid_request")
	refused("a guess", launchQuery("app", token.Draw("fsl_")), "invalid_request")
	refused("no value", authorizeQuery("app", launchScopes), "invalid_request")
	bare := authorizeQuery("app", "launch/patient patient/Observation.rs")
	bare.Set("launch", value)
	refused("without the scope", bare, "invalid_request")

	nurse := clinician()
	nurse.Account = "user:nurse"
	s.person.Login(nurse)
	refused("another user", launchQuery("app", value), "access_denied")
	if !n.rec.has("failure", "launch-of-another-user", "user:nurse") {
		t.Error("no event of another user's launch")
	}
	s.person.Login(clinician())
	refused("a value that another user tried", launchQuery("app", value), "invalid_request")
	if !n.rec.has("failure", "launch-reuse", "user:dr") {
		t.Error("no event of the reuse")
	}

	wrong := clinician()
	wrong.Patient = "p2"
	s.person.Login(wrong)
	refused("another patient", launchQuery("app", n.value(bearer, goodLaunch)), "server_error")
	s.person.Login(clinician())

	s.person.Fail(oauth.ErrDeclined)
	value = n.value(bearer, goodLaunch)
	refused("declined", launchQuery("app", value), "access_denied")
	s.person.Fail(nil)
	refused("after it was declined", launchQuery("app", value), "invalid_request")

	s.person.ShowPage(true)
	value = n.value(bearer, goodLaunch)
	for range 2 {
		if status, to, _ := n.authorize(launchQuery("app", value)); status != http.StatusOK || len(to) > 0 {
			t.Errorf("a page uses the value up: %d %v", status, to)
		}
	}
	s.person.ShowPage(false)
	n.clock.Advance(oauth.LaunchLifetime)
	refused("after five minutes", launchQuery("app", value), "invalid_request")
}

// The call is for clients that are registered for it, and for what the user may
// see.
func TestLaunchCallIsRefused(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	bearer := n.launchable("app")
	n.service("lab", bothKeys()...)
	n.app("unlaunchable", client.Public)
	lab := n.post("/token", serviceForm(n.goodAssertion("lab").sign(t), "system/Patient.rs")).text("access_token")
	with := func(from, to string) string { return strings.Replace(goodLaunch, from, to, 1) }
	for name, row := range map[string]struct {
		bearer, body string
		status       int
		code         string
	}{
		"no token":             {"", goodLaunch, 401, "invalid_token"},
		"a guess":              {token.Draw(token.Prefix), goodLaunch, 401, "invalid_token"},
		"no right":             {lab, goodLaunch, 403, "unauthorized_client"},
		"no JSON":              {bearer, "client_id=app", 400, "invalid_request"},
		"two bodies":           {bearer, goodLaunch + goodLaunch, 400, "invalid_request"},
		"unknown member":       {bearer, with(`"intent"`, `"intend"`), 400, "invalid_request"},
		"no user":              {bearer, with(`"user":"user:dr",`, ""), 400, "invalid_request"},
		"a role as user":       {bearer, with("user:dr", "role:dr"), 400, "invalid_request"},
		"unknown app":          {bearer, with(`"app"`, `"nobody"`), 400, "invalid_request"},
		"a backend service":    {bearer, with(`"app"`, `"lab"`), 400, "invalid_request"},
		"app without launch":   {bearer, with(`"app"`, `"unlaunchable"`), 400, "invalid_request"},
		"patient with a path":  {bearer, with(`"p1"`, `"../p1"`), 400, "invalid_request"},
		"encounter alone":      {bearer, with(`"patient":"p1",`, ""), 400, "invalid_request"},
		"style by http":        {bearer, with("https://ehr", "http://ehr"), 400, "invalid_request"},
		"control in intent":    {bearer, with("reconcile", `a\u0007b`), 400, "invalid_request"},
		"empty reference":      {bearer, with(`"reference":"ImagingStudy/i1",`, ""), 400, "invalid_request"},
		"reference of a URL":   {bearer, with("ImagingStudy/i1", "https://e.example/i1"), 400, "invalid_request"},
		"type that differs":    {bearer, with(`"role"`, `"type":"List","role"`), 400, "invalid_request"},
		"relative role":        {bearer, with("https://e.example/study", "study"), 400, "invalid_request"},
		"patient as context":   {bearer, with(`"ImagingStudy/i1","role":"https://e.example/study"`, `"Patient/p1"`), 400, "invalid_request"},
		"encounter as launch":  {bearer, with(`"ImagingStudy/i1","role":"https://e.example/study"`, `"Encounter/e1","role":"launch"`), 400, "invalid_request"},
		"identifier of no one": {bearer, with(`"reference":"ImagingStudy/i1"`, `"identifier":{"value":"1"}`), 400, "invalid_request"},
		"relative canonical":   {bearer, with(`"reference":"ImagingStudy/i1"`, `"canonical":"Questionnaire/q"`), 400, "invalid_request"},
		"too many":             {bearer, with(`[{`, `[`+strings.Repeat(`{"reference":"ImagingStudy/i1"},`, 32)+`{`), 400, "invalid_request"},
		"invisible patient":    {bearer, with(`"p1"`, `"p2"`), 403, "access_denied"},
		"another's encounter":  {bearer, with(`"e1"`, `"e2"`), 403, "access_denied"},
		"invisible context":    {bearer, with("ImagingStudy/i1", "ImagingStudy/i2"), 403, "access_denied"},
		"unknown user":         {bearer, with("user:dr", "user:nobody"), 403, "access_denied"},
	} {
		n.refused(name, n.call(row.bearer, row.body), row.status, row.code)
	}
	n.refused("two tokens", n.call(bearer, goodLaunch, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+bearer) }), 401, "invalid_token")
	n.refused("in the query", n.call(bearer, goodLaunch, func(r *http.Request) { r.URL.RawQuery = "access_token=x" }), 401, "invalid_token")
	n.refused("a form", n.call(bearer, goodLaunch, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }), 400, "invalid_request")
	for _, reason := range []string{"unauthorized_client", "access_denied", "invalid_request"} {
		if account := map[bool]string{true: "client:lab", false: "client:ehr-of-app"}[reason == "unauthorized_client"]; !n.rec.has("launch", reason, account) {
			t.Errorf("no event of %s", reason)
		}
	}
	n.rec.down = true
	n.refused("the trail is down", n.call(bearer, goodLaunch), 503, "temporarily_unavailable")
}

// A user's own token launches for that user.
func TestUserLaunchesForOneself(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.launchable("app")
	_, err := n.clients.Add(t.Context(), client.Client{ID: "portal", Name: "portal", Auth: client.Public, Redirects: []string{redirect},
		Scopes: []string{"openid", "user/*.rs"}, Launches: true})
	n.must(err)
	bearer := n.granted("portal", "user/*.rs").text("access_token")
	n.refused("for another", n.call(bearer, strings.Replace(goodLaunch, "user:dr", "user:nurse", 1)), 403, "access_denied")
	_, to, _ := n.authorize(launchQuery("app", n.value(bearer, strings.Replace(goodLaunch, `"user":"user:dr",`, "", 1))))
	if to.Get("code") == "" {
		t.Errorf("%v", to)
	}
}

// FuzzLaunchCall: whatever is posted, the answer is JSON and no fault of the
// server.
func FuzzLaunchCall(f *testing.F) {
	n := open(f, newTables(), nil)
	bearer := n.launchable("app")
	f.Add(goodLaunch)
	f.Add(`{"client_id":"app","fhirContext":[null]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		here := *n
		here.t = t
		if a := here.call(bearer, body); a.status >= 500 || a.body == nil {
			t.Errorf("%d", a.status)
		}
	})
}
