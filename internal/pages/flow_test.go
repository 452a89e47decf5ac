package pages

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

const appScopes = "openid fhirUser offline_access launch/patient patient/Observation.cruds patient/Condition.rs"

// From the app's address to its code: login, patient, consent (access.md, SMART
// 4 and 5), and what the token says then.
func TestStandaloneLaunchEndsInACode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enrolled("user:dr")
	b := h.browse().get(authorizeURL(appScopes)).follow()
	if b.status != http.StatusOK || !strings.Contains(b.body, "to continue to <strong>Growth &lt;b&gt;chart") {
		t.Fatalf("%d %s", b.status, b.body)
	}
	b.submit("password", "username", "dr", "password", phrase).follow()
	b.submit(`role="search"`, "who", "Bolingbroke")
	if strings.Contains(b.body, "Ada &lt;") || !strings.Contains(b.body, "Dr Bolingbroke") || !strings.Contains(b.body, "born 1990-01-01") {
		t.Fatal(b.body)
	}
	b.submit(`class="list people"`, "patient", "p2")
	if !strings.Contains(b.body, "For the record of <strong>Dr Bolingbroke</strong>") {
		t.Fatal(b.body)
	}
	b.submit("decide", "answer", "allow")
	claims, body := b.redeemed()
	if b.answer().Get("state") != "state-of-app" || claims.Account != "user:dr" || claims.Patient != "p2" || claims.Who != "Practitioner/dr" || body["patient"] != "p2" ||
		body["scope"] != appScopesSorted(claims) || !slices.Equal(claims.AMR, []string{"pwd"}) || slices.Contains(claims.AMR, login.MFA) || body["refresh_token"] == nil {
		t.Errorf("%+v %v", claims, body)
	}
	for _, q := range h.ward.queries { // as the user, in whose name every search is
		if strings.Contains(b.url, "Bolingbroke") {
			t.Errorf("%s: a name in an address", q)
		}
	}
	if got := h.ward.asked[0]; got.Account != "user:dr" || got.Client != "fieldseal-pages" || !slices.Equal(got.Roles, []string{"role:clinician"}) {
		t.Errorf("searched as %+v", got)
	}
}

func appScopesSorted(c token.Claims) string { return strings.Join(c.Scopes, " ") }

// access.md, SMART 5: each scope, and finer alternatives, can be declined.
func TestEveryScopeCanBeDeclinedOrNarrowed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const laboratory = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
	for _, row := range []struct {
		name   string
		change []string // name and value; "" takes the box away
		want   string   // scopes; empty: declined
	}{
		{"all", nil, "patient/Observation.cruds patient/Condition.rs openid fhirUser launch/patient offline_access"},
		{"reading only", []string{"x0", "read"}, "patient/Observation.rs patient/Condition.rs openid fhirUser launch/patient offline_access"},
		{"laboratory results", []string{"x0", "some", "k0", "laboratory"}, "patient/Observation.rs?" + laboratory + " patient/Condition.rs openid fhirUser launch/patient offline_access"},
		{"no kind", []string{"x0", "some", "s1", "", "s2", "", "s3", "", "s4", "", "s5", ""}, ""},
		{"not offline", []string{"s5", ""}, "patient/Observation.cruds patient/Condition.rs openid fhirUser launch/patient"},
		{"data alone", []string{"s1", "", "s2", "", "s3", "", "s4", "", "s5", ""}, "patient/Observation.cruds"},
		{"identity alone", []string{"s0", "", "s1", "", "s3", "", "s4", "", "s5", ""}, "openid"},
		{"nothing", []string{"s0", "", "s1", "", "s2", "", "s3", "", "s4", "", "s5", ""}, ""},
	} {
		b := h.as("user:ann").get(authorizeURL(appScopes))
		action, form := b.form("decide")
		form.Set("answer", "allow")
		for i := 0; i+1 < len(row.change); i += 2 {
			form.Set(row.change[i], row.change[i+1])
			if row.change[i+1] == "" {
				form.Del(row.change[i])
			}
		}
		b.postForm(action, form)
		if row.want == "" {
			if got := b.answer().Get("error"); got != "access_denied" {
				t.Errorf("%s: %d %s", row.name, b.status, b.location())
			}
			continue
		}
		claims, _ := b.redeemed()
		if got := strings.Join(claims.Scopes, " "); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// Deny and Allow weigh the same, and what is asked for is said in words.
func TestConsentSaysWhatIsAsked(t *testing.T) {
	t.Parallel()
	b := newHouse(t).as("user:ann").get(authorizeURL(appScopes + " user/Appointment.c patient/MedicationRequest.read"))
	for _, text := range []string{"Measurements, laboratory results and observations", "Read, add, change and delete", "changes data", "Diagnoses and problems",
		"Keep access while you are away", "(offline access)", "Prescriptions", "Appointments", "app.example", "Which patient you chose",
		`<button class="second" type="submit" name="answer" value="deny">Deny</button>`, `<button class="second" type="submit" name="answer" value="allow">Allow</button>`} {
		if !strings.Contains(b.body, text) {
			t.Errorf("no %q", text)
		}
	}
	b.submit("decide", "answer", "deny")
	if b.answer().Get("error") != "access_denied" {
		t.Errorf("%d %s", b.status, b.location())
	}
}

// Patients go straight to their own record or choose among those they act for; a
// proxy's scopes are those of the delegation.
func TestProxyChoosesAmongDelegations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:ann").get(authorizeURL(appScopes))
	if !strings.Contains(b.body, "For the record of") || strings.Contains(b.body, "Choose a patient") {
		t.Fatal(b.body)
	}
	b = h.as("user:mum").get(authorizeURL(appScopes))
	if !strings.Contains(b.body, "Whose record?") || !strings.Contains(b.body, "(you)") {
		t.Fatal(b.body)
	}
	b.submit(`class="list people"`, "patient", "p2")
	if strings.Contains(b.body, "Diagnoses") || strings.Contains(b.body, "changes data") {
		t.Error("more is offered than was delegated")
	}
	b.submit("decide", "answer", "allow")
	claims, _ := b.redeemed()
	if claims.Patient != "p2" || !slices.Equal(claims.Roles, []string{account.ProxyRole}) || slices.Contains(claims.Scopes, "patient/Observation.cruds") {
		t.Errorf("%+v", claims)
	}
}

// A role that needs a second factor leads to its enrolment before anything else.
func TestRoleThatNeedsAFactorEnrolsFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:chief").get(authorizeURL("user/Patient.rs")).follow()
	if b.status != http.StatusOK || !strings.Contains(b.body, "Your role needs one before anything else") {
		t.Fatalf("%d %s", b.status, b.body)
	}
	for _, path := range []string{accountPath, appsPath, passwordPath} {
		if b.get(path).follow(); !strings.HasPrefix(b.url, securePath) {
			t.Errorf("%s leads to %s", path, b.url)
		}
	}
}

// OpenID Connect Core §3.1.2.1 and §3.1.2.6.
func TestPromptsAndMaxAge(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enrolled("user:ann")
	if b := h.browse().get(authorizeURL("openid", "prompt", "none")); b.answer().Get("error") != "login_required" {
		t.Errorf("none without a session: %s", b.location())
	}
	if b := h.as("user:ann").get(authorizeURL("openid", "prompt", "none")); b.answer().Get("error") != "consent_required" {
		t.Errorf("none with a session: %s", b.location())
	}
	if b := h.as("user:ann").get(authorizeURL("openid", "prompt", "consent")); b.status != http.StatusOK || !strings.Contains(b.body, "decide") {
		t.Errorf("consent: %d", b.status)
	}
	for _, asked := range [][]string{{"prompt", "login"}, {"max_age", "60"}, {"max_age", "0"}} {
		b := h.as("user:ann")
		h.clock.Advance(2 * time.Minute)
		b.get(authorizeURL("openid", asked...)).follow()
		if !strings.HasPrefix(b.url, loginPath) || !strings.Contains(b.body, "Confirm that it is you") {
			t.Fatalf("%v: %s", asked, b.url)
		}
		b.submit("password", "username", "ann", "password", phrase).follow()
		if b.status != http.StatusOK || !strings.Contains(b.body, "decide") {
			t.Errorf("%v: not satisfied by a login: %d %s", asked, b.status, b.url)
		}
	}
	b := h.as("user:ann")
	h.clock.Advance(30 * time.Second)
	if b.get(authorizeURL("openid", "max_age", "60")); b.status != http.StatusOK {
		t.Errorf("a login of 30 s ago is too old for 60 s: %s", b.location())
	}
}

// SMART App Launch 2.2, authorize-post: the same request by GET.
func TestPostedRequestGoesOnByGET(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, query, _ := strings.Cut(authorizeURL("openid"), "?")
	r := httptest.NewRequest(http.MethodPost, authorizePath, strings.NewReader(query))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	b := h.as("user:ann").do(r)
	if b.status != http.StatusSeeOther || !strings.HasPrefix(b.location(), authorizePath+"?") {
		t.Fatalf("%d %s", b.status, b.location())
	}
	if b.follow(); !strings.Contains(b.body, "decide") {
		t.Error(b.body)
	}
}

// Who lost roles gets narrower claims, who was disabled nothing, and so does who
// has to have a second factor by now.
func TestRenewReadsTheAccountAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := token.Claims{Account: "user:dr", Client: "app", Roles: []string{"role:clinician", "role:old"}, Scopes: []string{"user/Patient.rs"}, AMR: []string{"pwd"}}
	if got, err := h.Renew(t.Context(), old); err != nil || !slices.Equal(got.Roles, []string{"role:clinician"}) || got.Client != "app" || got.Who != "Practitioner/dr" {
		t.Errorf("%+v %v", got, err)
	}
	for name, edit := range map[string]func(*account.Account){
		"disabled":       func(a *account.Account) { a.Disabled = true },
		"ended":          func(a *account.Account) { a.Disabled, a.Until = false, h.clock.Now() },
		"needs a factor": func(a *account.Account) { a.Until, a.Roles = time.Time{}, []string{"role:admin"} },
	} {
		_, err := h.accounts.Change(t.Context(), "user:dr", func(a *account.Account) error { edit(a); return nil })
		h.must(err)
		if _, err := h.Renew(t.Context(), old); !errors.Is(err, oauth.ErrDeclined) {
			t.Errorf("%s: %v", name, err)
		}
		_, err = h.accounts.Change(t.Context(), "user:dr", func(a *account.Account) error {
			a.Disabled, a.Until, a.Roles = false, time.Time{}, []string{"role:clinician"}
			return nil
		})
		h.must(err)
	}
	h.policy = authz.ErrNoPolicy
	if _, err := h.Renew(t.Context(), old); !errors.Is(err, authz.ErrNoPolicy) {
		t.Errorf("without a policy nobody can tell, and what was given stays: %v", err)
	}
	h.policy, old.Account = nil, "user:nobody"
	if _, err := h.Renew(t.Context(), old); !errors.Is(err, oauth.ErrDeclined) {
		t.Error(err)
	}
}

// The picker pages without a script, and says what it cannot find.
func TestPickerPages(t *testing.T) {
	t.Parallel()
	b := newHouse(t).as("user:dr").get(authorizeURL(appScopes))
	b.submit(`role="search"`, "who", "")
	b.submit(`name="more"`)
	if got := b.ward.queries[1]; got != "_page=sealed" || strings.Contains(b.body, `name="more"`) {
		t.Errorf("%s", got)
	}
	if b.submit(`role="search"`, "who", "Zoe"); !strings.Contains(b.body, "Nobody was found") {
		t.Error(b.body)
	}
	if b.submit(`role="search"`, "born", "1.2.1990"); b.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", b.status)
	}
	b.ward.err = ErrDenied
	if b.submit(`role="search"`, "who", "Ada", "born", ""); b.status != http.StatusForbidden || !strings.Contains(b.body, "No patient is available") {
		t.Errorf("%d %s", b.status, b.body)
	}
	b.ward.err = errors.New("down")
	if b.get(authorizeURL(appScopes)).submit(`role="search"`, "who", "Ada"); b.status != http.StatusServiceUnavailable {
		t.Errorf("%d", b.status)
	}
}

// An EHR chose the patient, and for whom.
func TestLaunchOfAnEHRNeedsNoPicker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for subject, want := range map[string]string{"user:dr": "For the record of", "user:ann": "Opened for somebody else"} {
		b := h.as(subject)
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, authorizeURL("launch patient/Observation.rs"), nil)
		r.AddCookie(&http.Cookie{Name: "__Host-fieldseal", Value: b.cookie})
		h.must(r.ParseForm())
		c, err := h.clients.Get(t.Context(), "app")
		h.must(err)
		d, err := h.Ask(w, r, oauth.Asked{Client: c, Scopes: []string{"launch", "patient/Observation.rs"}, Launch: &oauth.Launch{Account: "user:dr", Patient: "p2"}})
		if d != nil || err != nil || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %v %v %s", subject, d, err, w.Body)
		}
	}
}

// access.md, SMART 13: people see and end what they authorised.
func TestPeopleSeeAndEndTheirApps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:ann").get(authorizeURL("openid patient/Condition.rs")).submit("decide", "answer", "allow")
	b.redeemed()
	b.get(authorizeURL("openid patient/Condition.rs")).submit("decide", "answer", "allow").redeemed() // on another device
	b.get(appsPath)
	if n := strings.Count(b.body, "End access<"); n != 1 {
		t.Errorf("one app is shown %d times", n)
	}
	if !strings.Contains(b.body, "Growth &lt;b&gt;chart") || !strings.Contains(b.body, "Diagnoses and problems – Read") {
		t.Fatal(b.body)
	}
	_, form := b.form("End access")
	other := h.as("user:dr").get(appsPath)
	if strings.Contains(other.body, "Growth") {
		t.Error("another one's apps are shown")
	}
	_, mine := other.get(logoutPath).form("csrf")
	other.postForm(appsPath, map[string][]string{"csrf": mine["csrf"], "client": form["client"]})
	if all, err := h.server.Grants(t.Context(), "user:ann"); err != nil || len(all) != 2 {
		t.Fatalf("ended by another: %v %v", all, err)
	}
	if b.postForm(appsPath, form).follow(); !strings.Contains(b.body, "The access was ended") {
		t.Error(b.body)
	}
	if all, err := h.server.Grants(t.Context(), "user:ann"); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}

// The whole login page, with all that it loads, is at most 50 kB.
func TestLoginPageIsSmall(t *testing.T) {
	t.Parallel()
	b := newHouse(t).browse().get(loginPath)
	page, total := b.body, len(b.body)
	for _, a := range []asset{styleAsset, logoAsset, scriptAsset} {
		if a.path != scriptAsset.path && !strings.Contains(page, a.path) {
			t.Errorf("%s is not loaded", a.path)
		}
		if b.get(a.path); b.status != http.StatusOK || !strings.Contains(b.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d", a.path, b.status)
		}
		total += len(b.body)
	}
	if t.Log("bytes:", total); total > 50_000 {
		t.Errorf("%d bytes", total)
	}
}

// Marks of used forms go when they would not be accepted any more.
func TestSweepForgetsOldForms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.as("user:ann").get(authorizeURL("openid")).submit("decide", "answer", "allow").redeemed()
	if n, err := h.Sweep(t.Context()); n != 0 || err != nil {
		t.Error(n, err)
	}
	var row usedRow
	for stored, err := range h.Table.Scan(t.Context(), []byte(rowForms)) {
		h.must(err)
		h.must(json.Unmarshal(stored.Value, &row))
	}
	if row.Format != 1 || row.Keep < h.clock.Now().Add(formLife).Unix() {
		t.Errorf("%+v", row)
	}
	h.clock.Advance(formLife + 2*time.Minute)
	if n, err := h.Sweep(t.Context()); n != 1 || err != nil {
		t.Error(n, err)
	}
}

// A proxy's access goes on within the delegation, and ends with it.
func TestProxyRefreshesWithinTheDelegation(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:mum").get(authorizeURL("offline_access patient/Patient.rs patient/*.rs")).submit(`class="list people"`, "patient", "p2").submit("decide", "answer", "allow")
	claims, body := b.redeemed()
	if !slices.Contains(claims.Scopes, "patient/Observation.rs") || slices.Contains(claims.Scopes, "patient/*.rs") {
		t.Fatalf("%v", claims.Scopes)
	}
	renew := func() (int, map[string]any) {
		refresh, _ := body["refresh_token"].(string)
		r := httptest.NewRequest(http.MethodPost, oauth.Path+"/token", strings.NewReader("grant_type=refresh_token&client_id=app&refresh_token="+refresh))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.server.ServeHTTP(w, r)
		h.must(json.Unmarshal(w.Body.Bytes(), &body))
		return w.Code, body
	}
	change := func(edit func(*account.Delegation)) {
		_, err := h.accounts.Change(t.Context(), "user:mum", func(a *account.Account) error { edit(&a.Delegations[0]); return nil })
		h.must(err)
	}
	if status, _ := renew(); status != http.StatusOK {
		t.Fatalf("%d %v", status, body)
	}
	change(func(d *account.Delegation) { d.Scopes = []string{"patient/Observation.r"} })
	if status, body := renew(); status != http.StatusOK || body["scope"] != "offline_access patient/Observation.r" {
		t.Errorf("%d %v", status, body)
	}
	change(func(d *account.Delegation) { d.Revoked = h.clock.Now() })
	if status, body := renew(); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("%d %v", status, body)
	}
}
