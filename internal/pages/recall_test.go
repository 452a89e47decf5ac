package pages

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

const month = 30 * 24 * time.Hour

// remembering is a house that remembers consents for a month.
func remembering(t *testing.T) *house {
	t.Helper()
	h := newHouse(t)
	h.server.ConsentLifetime = month
	return h
}

// allowed is a browser of somebody who has allowed what the address asks for.
func (h *house) allowed(subject, address string) *browser {
	h.t.Helper()
	b := h.as(subject).get(address).submit("decide", "answer", "allow")
	b.redeemed()
	return b
}

func asks(b *browser) bool {
	return b.status == http.StatusOK && strings.Contains(b.body, `name="step" value="decide"`)
}

func silent(address string) string { return address + "&prompt=none" }

func TestAllowedAppIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	h := remembering(t)
	const scopes = "openid offline_access patient/Observation.rs patient/Condition.rs"
	b := h.as("user:ann").get(authorizeURL(scopes))
	if !strings.Contains(b.body, "remembered for 30 days") {
		t.Error("the page does not say that the answer is remembered")
	}
	b.submit("decide", "answer", "allow").redeemed()
	for name, address := range map[string]string{
		"the same":       authorizeURL(scopes),
		"fewer":          authorizeURL("patient/Condition.rs"),
		"narrower":       authorizeURL("openid patient/Observation.r patient/Condition.rs?category=problem"),
		"without asking": silent(authorizeURL(scopes)),
	} {
		claims, _ := b.get(address).redeemed()
		if claims.Patient != "p1" || claims.Account != "user:ann" || slices.Contains(claims.Scopes, "offline_access") && !strings.Contains(address, "offline") {
			t.Errorf("%s: %+v", name, claims)
		}
	}
	var subtypes []string
	for _, e := range h.rec.events {
		if strings.HasPrefix(e.Subtype, "authorize") {
			subtypes = append(subtypes, e.Subtype)
		}
	}
	if strings.Join(subtypes, " ") != "authorize"+strings.Repeat(" authorize-remembered", 4) {
		t.Error(subtypes)
	}
	if got := h.as("user:ann").get(authorizeURL(scopes)); got.answer().Get("code") == "" {
		t.Error("another browser of the same person is asked")
	}
}

// Nothing wider than what was allowed comes without a question.
func TestWiderRequestIsAsked(t *testing.T) {
	t.Parallel()
	h := remembering(t)
	b := h.allowed("user:ann", authorizeURL("openid patient/Observation.rs?category=laboratory"))
	for name, scopes := range map[string]string{
		"another type":      "openid patient/Condition.rs",
		"writing":           "patient/Observation.cruds?category=laboratory",
		"every observation": "patient/Observation.rs",
		"another category":  "patient/Observation.rs?category=vital-signs",
		"another level":     "user/Observation.rs?category=laboratory",
		"offline access":    "openid patient/Observation.rs?category=laboratory offline_access",
		"identity":          "openid fhirUser",
	} {
		if !asks(b.get(authorizeURL(scopes))) {
			t.Errorf("%s: %d %s", name, b.status, b.location())
		}
		if got := b.get(silent(authorizeURL(scopes))).answer().Get("error"); got != "consent_required" {
			t.Errorf("%s, silently: %s", name, got)
		}
	}
}

// What was declined once is not granted because something else was allowed.
func TestDeclinedScopeIsNotRemembered(t *testing.T) {
	t.Parallel()
	h := remembering(t)
	b := h.as("user:ann").get(authorizeURL("openid patient/Observation.rs patient/Condition.rs"))
	action, form := b.form("decide")
	form.Del("s1")
	form.Set("answer", "allow")
	b.postForm(action, form)
	if got := b.get(silent(authorizeURL("openid patient/Observation.rs patient/Condition.rs"))).answer().Get("error"); got != "consent_required" {
		t.Errorf("with what was declined: %s", got)
	}
	if b.get(silent(authorizeURL("openid patient/Observation.rs"))); b.answer().Get("code") == "" {
		t.Errorf("what was allowed: %s", b.location())
	}
}

func TestPromptConsentAsksAlways(t *testing.T) {
	t.Parallel()
	h := remembering(t)
	const scopes = "openid patient/Observation.rs"
	b := h.allowed("user:ann", authorizeURL(scopes))
	for _, prompt := range []string{"consent", "something"} {
		if !asks(b.get(authorizeURL(scopes, "prompt", prompt))) {
			t.Errorf("%s: %d %s", prompt, b.status, b.location())
		}
	}
	if got := b.get(authorizeURL(scopes, "prompt", "none consent")).answer().Get("error"); got != "invalid_request" {
		t.Errorf("none and consent: %s", got)
	}
	if b.get(authorizeURL(scopes, "prompt", "login")); !strings.HasPrefix(b.location(), loginPath) {
		t.Errorf("no login is asked for: %d %s", b.status, b.location())
	}
	// Who says no is asked again.
	b.get(authorizeURL(scopes, "prompt", "consent")).submit("decide", "answer", "deny")
	if !asks(b.get(authorizeURL(scopes))) {
		t.Error("what was refused is still granted silently")
	}
}

func TestErrorsOfSilentRequests(t *testing.T) {
	t.Parallel()
	h := remembering(t)
	clinician := "launch/patient patient/Observation.rs"
	b := h.as("user:dr").get(authorizeURL(clinician))
	b.submit(`role="search"`, "who", "Bo").submit(`class="list people"`, "patient", "p2").submit("decide", "answer", "allow").redeemed()
	for name, row := range map[string]struct {
		b       *browser
		address string
		want    string
	}{
		"nobody is logged in":        {h.browse(), authorizeURL("openid"), "login_required"},
		"never asked":                {h.as("user:ann"), authorizeURL("openid"), "consent_required"},
		"a patient has to be chosen": {b, authorizeURL(clinician), "interaction_required"},
		"a record has to be chosen":  {h.as("user:mum"), authorizeURL(clinician), "interaction_required"},
		"a login has to be anew":     {b, authorizeURL("openid", "max_age", "0"), "login_required"},
	} {
		h.clock.Advance(time.Second)
		if got := row.b.get(silent(row.address)).answer().Get("error"); got != row.want {
			t.Errorf("%s: %d %s, want %s", name, row.b.status, got, row.want)
		}
	}
}

// A choice of patient is made each time; only the question after it is spared,
// and only for the patient for whom it was answered.
func TestPickerIsShownEachTime(t *testing.T) {
	t.Parallel()
	h := remembering(t)
	scopes := "launch/patient patient/Observation.rs"
	pick := func(b *browser, id string) *browser {
		b.get(authorizeURL(scopes))
		if strings.Contains(b.body, "decide") || b.answer() != nil {
			t.Fatalf("no picker: %d %s", b.status, b.location())
		}
		return b.submit(`role="search"`).submit(`class="list people"`, "patient", id)
	}
	b := pick(h.as("user:dr"), "p2").submit("decide", "answer", "allow")
	b.redeemed()
	if claims, _ := pick(b, "p2").redeemed(); claims.Patient != "p2" {
		t.Errorf("%+v", claims)
	}
	if !asks(pick(b, "p1")) {
		t.Error("another patient's record is given silently")
	}
	if b = pick(b, "p9"); b.answer() != nil {
		t.Error("a hidden patient is given")
	}
}

func TestRememberedConsentIsForgotten(t *testing.T) {
	t.Parallel()
	const scopes = "openid patient/Observation.rs"
	change := func(edit func(*client.Client)) func(*house, *browser) {
		return func(h *house, _ *browser) {
			c, err := h.clients.Show(t.Context(), "app")
			h.must(err)
			edit(&c)
			h.server.Clients = client.New(client.Options{Table: keyringtest.NewTable(), PRF: prf, CheckKeys: oauth.CheckKeys, Now: h.clock.Now})
			_, err = h.server.Clients.Add(t.Context(), c)
			h.must(err)
		}
	}
	for name, after := range map[string]func(*house, *browser){
		"the user ends the access": func(_ *house, b *browser) { b.get(appsPath).submit("End access") },
		"the credentials changed": func(h *house, _ *browser) {
			_, err := h.server.EndGrants(t.Context(), "user:ann")
			h.must(err)
		},
		"its time has passed": func(h *house, _ *browser) { h.clock.Advance(month) },
		"the lifetime was shortened": func(h *house, _ *browser) {
			h.server.ConsentLifetime = time.Hour
			h.clock.Advance(time.Hour + time.Second)
		},
		"nothing is remembered any more":  func(h *house, _ *browser) { h.server.ConsentLifetime = 0 },
		"nothing":                         change(func(*client.Client) {}),
		"another name":                    change(func(c *client.Client) { c.Name = "Growth chart 2" }),
		"another redirect URI is allowed": change(func(c *client.Client) { c.Redirects = append(c.Redirects, "https://evil.example/cb") }),
		"wider scopes":                    change(func(c *client.Client) { c.Scopes = append(c.Scopes, "online_access") }),
		"keys": change(func(c *client.Client) {
			c.Auth, c.KeysURL = client.PrivateKeyJWT, "https://app.example/jwks"
		}),
	} {
		h := remembering(t)
		b := h.allowed("user:ann", authorizeURL(scopes))
		after(h, b)
		want := "consent_required"
		if name == "nothing" {
			want = ""
		}
		if got := h.as("user:ann").get(silent(authorizeURL(scopes))).answer().Get("error"); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOnlyTheSameAppAndPersonAreRemembered(t *testing.T) {
	t.Parallel()
	const scopes = "openid patient/Observation.rs"
	h := remembering(t)
	for id, c := range map[string]client.Client{
		"native": {Auth: client.Public, Redirects: []string{"http://localhost:4000/cb"}},
		"two":    {Auth: client.Public, Redirects: []string{redirect, "https://app.example/other"}},
	} {
		c.ID, c.Name, c.Scopes = id, id, []string{"openid", "patient/*.cruds"}
		_, err := h.clients.Add(t.Context(), c)
		h.must(err)
	}
	b := h.allowed("user:ann", authorizeURL(scopes))
	if got := b.get(silent(authorizeURL(scopes, "client_id", "two"))).answer().Get("error"); got != "consent_required" {
		t.Errorf("another app: %s", got)
	}
	if got := h.as("user:mum").get(silent(authorizeURL("openid"))).answer().Get("error"); got != "consent_required" {
		t.Errorf("another person: %s", got)
	}
	// Another redirect URI of the same public app is another app.
	b.get(authorizeURL(scopes, "client_id", "two")).submit("decide", "answer", "allow")
	if b.get(silent(authorizeURL(scopes, "client_id", "two"))); b.answer().Get("code") == "" {
		t.Errorf("the same again: %s", b.location())
	}
	if b.get(silent(authorizeURL(scopes, "client_id", "two", "redirect_uri", "https://app.example/other"))); !strings.Contains(b.location(), "error=consent_required") {
		t.Errorf("another redirect URI: %s", b.location())
	}
	// Any program of the device may listen there (RFC 8252 §8.6).
	native := authorizeURL(scopes, "client_id", "native", "redirect_uri", "http://localhost:4000/cb")
	b.get(native).submit("decide", "answer", "allow")
	if b.get(silent(native)); !strings.Contains(b.location(), "error=consent_required") {
		t.Errorf("a public app on the loopback: %s", b.location())
	}
	// What the account may not do any more is not done silently either.
	_, err := h.accounts.Change(t.Context(), "user:ann", func(a *account.Account) error { a.Links = []string{"Patient/p2"}; return nil })
	h.must(err)
	if got := b.get(silent(authorizeURL(scopes))).answer().Get("error"); got != "consent_required" {
		t.Errorf("another record of the account: %s", got)
	}
}

func TestConsentSaysHowLongItIsRemembered(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{0: "", time.Minute: "", time.Hour: "1 hour", 47 * time.Hour: "47 hours", 48 * time.Hour: "2 days", month: "30 days"} {
		if got := long(d); got != want {
			t.Errorf("%v: %q", d, got)
		}
	}
}
