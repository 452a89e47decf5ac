package pages

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/login/logintest"
	"github.com/fieldseal/fieldseal/fhir"
)

var secretShown = regexp.MustCompile(`<code>([A-Z2-7 ]+)</code>`)

// app is the code that an authenticator app shows now.
func (b *browser) app(secret string) string {
	b.t.Helper()
	code, err := totp.GenerateCode(secret, b.clock.Now())
	b.must(err)
	return code
}

// guess is a code, written in two halves, that no step around now has.
func (b *browser) guess(secret string) string {
	b.t.Helper()
	var near []string
	for step := range 5 {
		code, err := totp.GenerateCode(secret, b.clock.Now().Add(time.Duration(step-2)*30*time.Second))
		b.must(err)
		near = append(near, code[:3]+" "+code[3:])
	}
	guesses := []string{"000 000", "111 111", "222 222", "333 333", "444 444", "555 555"} // one more than what is near
	return guesses[slices.IndexFunc(guesses, func(code string) bool { return !slices.Contains(near, code) })]
}

// withTOTP sets up an authenticator app by its pages and returns its secret.
func (b *browser) withTOTP() (secret string) {
	b.t.Helper()
	b.get(totpPath)
	m := secretShown.FindStringSubmatch(b.body)
	if m == nil || !strings.Contains(b.body, `src="data:image/png;base64,`) {
		b.t.Fatalf("%d %s", b.status, b.body)
	}
	secret = strings.ReplaceAll(m[1], " ", "")
	b.submit("code", "code", b.app(secret))
	b.clock.Advance(time.Minute)
	return secret
}

// From the link to the account: password, authenticator app, recovery codes, and
// a login with each.
func TestPersonEnrolsByALink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	link, _, err := h.login.Invite(t.Context(), "user:chief")
	h.must(err)
	b := h.browse().get(strings.TrimPrefix(link, origin))
	if !strings.Contains(b.body, `value="chief"`) || !strings.Contains(b.body, `autocomplete="new-password"`) {
		t.Fatal(b.body)
	}
	if b.submit("repeat", "password", phrase, "repeat", "other"); b.status != http.StatusUnprocessableEntity || !strings.Contains(b.body, "not the same") {
		t.Errorf("%d", b.status)
	}
	if b.submit("repeat", "password", "short", "repeat", "short"); b.status != http.StatusUnprocessableEntity || !strings.Contains(b.body, `role="alert"`) {
		t.Errorf("%d %s", b.status, b.body)
	}
	b.submit("repeat", "password", phrase, "repeat", phrase).follow()
	if b.url != securePath || !strings.Contains(b.body, "Your role needs one") {
		t.Fatalf("%s %s", b.url, b.body)
	}
	secret := b.withTOTP()
	if b.follow(); b.url != recoveryPath {
		t.Fatal(b.url)
	}
	b.submit("Show ten codes")
	codes := regexp.MustCompile(`<li><code>([^<]+)</code></li>`).FindAllStringSubmatch(b.body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d codes: %s", len(codes), b.body)
	}
	if again := h.browse().get(strings.TrimPrefix(link, origin)); again.status != http.StatusGone {
		t.Errorf("the link opens again: %d", again.status)
	}
	for how, code := range map[string]func() string{"totp": func() string { return b.app(secret) }, "recovery": func() string { return codes[3][1] }} {
		b := h.browse().get(loginPath).submit("password", "username", "chief", "password", phrase).follow()
		if b.get(accountPath).follow(); !strings.HasPrefix(b.url, factorPath) {
			t.Errorf("the account is open after the password alone: %s", b.url)
		}
		if b.submit(`value="`+how+`"`, "code", b.guess(secret)); b.status != http.StatusForbidden || !strings.Contains(b.body, refusedFactor) {
			t.Errorf("%s: %d", how, b.status)
		}
		if b.submit(`value="`+how+`"`, "code", code()).follow(); b.url != accountPath || !strings.Contains(b.body, "authenticator app") && !strings.Contains(b.body, "Authenticator app") {
			t.Errorf("%s: %s", how, b.url)
		}
		h.clock.Advance(time.Minute)
	}
}

// The script's part is played by the software authenticator.
func TestPasskeyIsSetUpAndUsed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	key := logintest.New(origin, "fhir.test")
	options := func(b *browser, name string) []byte {
		m := regexp.MustCompile(name + `="([^"]*)"`).FindStringSubmatch(b.body)
		if m == nil || !json.Valid([]byte(html.UnescapeString(m[1]))) || !strings.Contains(b.header.Get("Content-Security-Policy"), "script-src 'self'") || !strings.Contains(b.body, scriptAsset.path) {
			t.Fatalf("%d %s", b.status, b.body)
		}
		return []byte(html.UnescapeString(m[1]))
	}
	b := h.enrolled("user:dr").get(passkeyPath)
	if b.submit("data-create", "response", "{}"); b.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", b.status)
	}
	made, err := key.Register(options(b, "data-create"))
	h.must(err)
	b.submit("data-create", "response", string(made), "name", "Phone <i>").follow()
	if b.get(accountPath); !strings.Contains(b.body, "Phone &lt;i&gt;") {
		t.Fatal(b.body)
	}
	b = h.browse().get(authorizeURL("openid user/Patient.rs")).follow().submit("password", "username", "dr", "password", phrase).follow()
	answer, err := key.Answer(options(b, "data-get"))
	h.must(err)
	b.submit("data-get", "response", string(answer)).follow()
	claims, _ := b.submit("decide", "answer", "allow").redeemed()
	if !slices.Contains(claims.AMR, login.MFA) {
		t.Errorf("%v", claims.AMR)
	}
	b.get(accountPath).submit("remove-passkey").follow()
	if !strings.Contains(b.body, "The factor was removed") || strings.Contains(b.body, "Phone") {
		t.Error(b.body)
	}
}

// Changes of credentials ask for a fresh proof, by the factor or the password.
func TestChangesAskForAFreshProof(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.enrolled("user:dr")
	h.clock.Advance(login.Fresh + time.Minute)
	for _, path := range []string{securePath, totpPath, passkeyPath, recoveryPath, passwordPath} {
		if b.get(path).follow(); !strings.HasPrefix(b.url, loginPath+"?again=1") {
			t.Errorf("%s: %s", path, b.url)
		}
	}
	b.submit("password", "username", "dr", "password", phrase).follow()
	if b.url != passwordPath {
		t.Fatal(b.url)
	}
	b.submit("old", "old", "wrong", "password", phrase+" two", "repeat", phrase+" two")
	if b.status != http.StatusUnprocessableEntity {
		t.Errorf("%d", b.status)
	}
	other := &browser{house: h, cookie: h.as("user:ann").cookie}
	secret := b.withTOTP()
	h.clock.Advance(login.Fresh + time.Minute)
	if b.get(passwordPath).follow(); !strings.HasPrefix(b.url, factorPath) || !strings.Contains(b.body, "Confirm that it is you") {
		t.Fatal(b.url)
	}
	b.submit(`value="totp"`, "code", b.app(secret)).follow()
	b.submit("old", "old", phrase, "password", phrase+" two", "repeat", phrase+" two").follow()
	if !strings.Contains(b.body, "Your password was changed") {
		t.Error(b.body)
	}
	if other.get(accountPath); other.status != http.StatusOK {
		t.Error("another's session was ended")
	}
}

// The last factor of a role that needs one stays.
func TestLastFactorStays(t *testing.T) {
	t.Parallel()
	b := newHouse(t).as("user:chief")
	b.withTOTP()
	if b.get(accountPath).submit("remove-totp"); b.status != http.StatusConflict || !strings.Contains(b.body, "your only second factor") {
		t.Errorf("%d %s", b.status, b.body)
	}
}

// Logging out, and ending all sessions, is at the server.
func TestLoggedOutSessionsAreOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.enrolled("user:ann")
	stolen := &browser{house: h, cookie: b.cookie}
	b.get(logoutPath).submit("csrf").follow()
	if !strings.Contains(b.body, "You are signed out") {
		t.Error(b.body)
	}
	if stolen.get(accountPath); stolen.status != http.StatusSeeOther {
		t.Errorf("%d", stolen.status)
	}
	b = h.browse().get(loginPath).submit("password", "username", "ann", "password", phrase).follow()
	second := h.browse().get(loginPath).submit("password", "username", "ann", "password", phrase).follow()
	b.submit("end-all").follow()
	if second.get(accountPath); second.status != http.StatusSeeOther {
		t.Errorf("%d", second.status)
	}
}

// Administration by an app asks for a second factor that was proven just now.
func TestAdministrationAsksForAFreshFactor(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.clients.Add(t.Context(), client.Client{ID: "desk", Name: "Desk", Auth: client.SecretBasic, Redirects: []string{redirect}, Scopes: []string{"openid", "fieldseal/admin"}})
	h.must(err)
	address := authorizeURL("openid fieldseal/admin", "client_id", "desk")
	if b := h.as("user:dr").get(address); !strings.HasPrefix(b.location(), securePath) {
		t.Errorf("without a factor: %s", b.location())
	}
	b := h.as("user:chief")
	secret := b.withTOTP()
	if b.get(address); b.status != http.StatusOK || !strings.Contains(b.body, "Administer this server") {
		t.Errorf("%d %s", b.status, b.location())
	}
	h.clock.Advance(login.Fresh)
	if b.get(address).follow(); !strings.HasPrefix(b.url, factorPath) {
		t.Errorf("with an old proof: %s", b.url)
	}
	if b.submit(`value="totp"`, "code", b.app(secret)).follow(); !strings.Contains(b.body, "Administer this server") {
		t.Error(b.body)
	}
}

// A fault of ours ends in a page, and its text nowhere.
func TestFaultEndsInAPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.paths[accountPath] = page{get: func(*visit) { panic("secret text") }}
	if b := h.browse().get(accountPath); b.status != http.StatusServiceUnavailable || strings.Contains(b.body, "secret") {
		t.Errorf("%d %s", b.status, b.body)
	}
}

func TestPeopleAreShownAsTheirRecordsSay(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]person{
		`{"id":"a","name":[{"family":"Old","use":"old"},{"family":"Ng","given":["Li","Mei"],"use":"official"},{"text":"Mei","use":"nickname"}],"birthDate":"1990","gender":"female"}`: {"a", "Li Mei Ng", "1990", "female"},
		`{"id":"b","name":[{"text":"Jo Doe","family":"Doe","use":"usual"},{"family":"X","use":"official"}]}`:                                                                          {"b", "Jo Doe", "", ""},
		`{"id":"c","_birthDate":{"extension":[]}}`:         {"c", "Name not shown", "", ""},
		`{"id":"d","name":[{"family":"Old","use":"old"}]}`: {"d", "Old", "", ""},
		`{"id":"e","name":"x","birthDate":1}`:              {"e", "Name not shown", "", ""},
	} {
		r, err := fhir.Parse([]byte(strings.Replace(in, "{", `{"resourceType":"Patient",`, 1)), fhir.Limits{MaxBytes: 4096, MaxDepth: 20})
		if err != nil {
			t.Fatal(err)
		}
		if got := personOf(r.Root()); got != want {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

func TestScopesAreSaidInWords(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string][2]string{
		"patient/*.cruds":           {"Everything in the record", "Read, add, change and delete"},
		"user/ClinicalImpression.r": {"Clinical impression", "Read (one entry at a time)"},
		"user/Observation.s":        {"Measurements, laboratory results and observations", "Read (in lists)"},
		"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs": {"Measurements, laboratory results and observations", "Read, only where category is vital signs"},
		"launch/imagingstudy?role=x": {"Further context of the start: imagingstudy", "The number of an entry that was open when the app was started"},
	} {
		if o := offerOf(scope); o.Title != want[0] || o.Detail != want[1] {
			t.Errorf("%s: %s / %s", scope, o.Title, o.Detail)
		}
	}
	q, _ := url.ParseQuery("s0=on&x0=some&k0=laboratory&k0=imaging")
	got, ok := chosen(offers([]string{"patient/Observation.rs"}), q)
	if !ok || len(got) != 2 || !strings.HasSuffix(got[1], "|imaging") {
		t.Errorf("%v %v", got, ok)
	}
}
