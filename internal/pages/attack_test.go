package pages

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/oauth"
)

// Every form without the value of its session is refused, and does nothing.
func TestFormOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.as("user:ann").get(authorizeURL("openid")).submit("decide", "answer", "allow").redeemed() // an app to end
	other := h.as("user:dr").get(logoutPath)
	_, foreign := other.form("csrf")
	b := h.as("user:ann")
	_, own := b.get(logoutPath).form("csrf")
	cookie := b.cookie
	for path := range h.paths {
		if h.paths[path].post == nil {
			continue
		}
		for name, value := range map[string]string{"no value": "", "another session's": foreign.Get("csrf"), "twice": own.Get("csrf")} {
			form := url.Values{"csrf": {value}, "do": {"end-all"}, "password": {phrase}, "username": {"ann"}}
			if name == "twice" {
				form.Add("csrf", value)
			}
			if b.postForm(path, form); b.status != http.StatusForbidden || b.cookie != cookie {
				t.Errorf("%s, %s: %d", path, name, b.status)
			}
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(own.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if b.do(r); b.status != http.StatusForbidden {
			t.Errorf("%s, another site: %d", path, b.status)
		}
	}
	if b.postForm(authorizeURL("openid"), url.Values{"step": {"decide"}, "answer": {"allow"}, "s0": {"on"}}); b.status != http.StatusForbidden || b.location() != "" {
		t.Errorf("consent: %d %s", b.status, b.location())
	}
	if b.postForm(authorizeURL("openid"), url.Values{"answer": {"deny"}}); b.status != http.StatusForbidden {
		t.Errorf("denial: %d", b.status)
	}
	if b.get(accountPath); b.status != http.StatusOK {
		t.Errorf("the session was ended: %d", b.status)
	}
	if !slices.Contains(h.rec.preAuth, "foreign-form") {
		t.Error("nothing was recorded")
	}
}

// No page is shown inside of another one, kept, or told to others.
func TestPagesAreNotFramedKeptOrGuessed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:ann")
	paths := []string{authorizeURL("openid"), authorizeURL("launch/patient"), authorizePath + "?client_id=nobody", accountPath + "/nothing", styleAsset.path, enrolPath + "?link=x"}
	for path := range h.paths {
		paths = append(paths, path)
	}
	for _, path := range paths {
		b.get(path)
		csp := b.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: %q lacks %s", path, csp, part)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") && path != passkeyPath || b.header.Get("X-Frame-Options") != "DENY" ||
			b.header.Get("X-Content-Type-Options") != "nosniff" || b.header.Get("Referrer-Policy") != "no-referrer" ||
			path != styleAsset.path && b.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, b.header)
		}
		for _, inline := range []string{"<style", " style=", "<script>", " onclick", "javascript:"} {
			if strings.Contains(b.body, inline) {
				t.Errorf("%s has %q", path, inline)
			}
		}
	}
}

// Chromium holds form-action against the redirect that follows the decision: the
// app's address is named, and no other.
func TestFormActionNamesTheAppAlone(t *testing.T) {
	t.Parallel()
	b := newHouse(t).as("user:ann").get(authorizeURL("openid"))
	if csp := b.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example; ") {
		t.Error(csp)
	}
	b = b.browse().get(loginPath + "?next=" + url.QueryEscape(authorizePath+"?client_id=app&redirect_uri=https://evil.test/"))
	if strings.Contains(b.header.Get("Content-Security-Policy"), "evil.test") {
		t.Error("an address that is not the app's is named")
	}
	for in, want := range map[string]string{"https://app.example:8443/cb?x=1": "https://app.example:8443", "http://127.0.0.1:9/cb": "http://127.0.0.1:9",
		"com.example.app:/cb": "com.example.app:", "http://[::1]:80/": "http:", "https://a;b/": "https:", "https://a'b/": "https:", ":": "", "/x": ""} {
		if got := source(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// A login leads to our own pages only.
func TestLoginIsNoOpenRedirect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enrolled("user:ann")
	for i, next := range []string{"https://evil.test/", "//evil.test/oauth/account", `/\evil.test`, `\\evil.test`, "/oauth/account@evil.test", "https:/oauth/account", "/oauth/account/../../x",
		"/oauth/%61ccount", "javascript:alert(1)", "/oauth/account\r\nX: y", "/oauth/account?a=\nb", "/fhir/Patient", "/oauth/logout", " /oauth/account ", "/oauth/apps?x=" + strings.Repeat("a", maxNext)} {
		if got := continued(next); got != accountPath {
			t.Errorf("%q leads to %q", next, got)
		}
		b := h.browse().get(loginPath + "?next=" + url.QueryEscape(next))
		if strings.Contains(b.body, "evil.test") {
			t.Errorf("%q is on the page", next)
		}
		if i > 2 {
			continue // a password costs its time
		}
		if b.submit("password", "username", "ann", "password", phrase, "next", next); b.location() != accountPath {
			t.Errorf("%q leads to %q", next, b.location())
		}
	}
	deep := authorizeURL("openid")
	b := h.browse().get(loginPath+"?next="+url.QueryEscape(deep)).submit("password", "username", "ann", "password", phrase)
	if b.location() != deep {
		t.Errorf("%q, not where it was going", b.location())
	}
}

// A secret that somebody knew before the login is worth nothing after it.
func TestSessionIsNotFixed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enrolled("user:ann")
	b := h.browse().get(loginPath)
	before := b.cookie
	b.submit("password", "username", "ann", "password", phrase)
	after := b.set
	if after == nil || after.Value == before || !after.HttpOnly || !after.Secure || after.SameSite != http.SameSiteLaxMode || after.Name != "__Host-fieldseal" || after.Path != "/" || after.Domain != "" {
		t.Fatalf("%+v", after)
	}
	attacker := &browser{house: h, cookie: before}
	if attacker.get(accountPath); attacker.status != http.StatusSeeOther {
		t.Errorf("the old secret opens the account: %d", attacker.status)
	}
	chosen := &browser{house: h, cookie: "fss_" + strings.Repeat("a", 43)}
	if chosen.get(loginPath); chosen.cookie == "fss_"+strings.Repeat("a", 43) {
		t.Error("a secret that the browser brought is kept")
	}
}

// Unknown, wrong and locked are one answer.
func TestRefusedLoginsAreAlike(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enrolled("user:ann")
	answer := func(name, password string) string {
		b := h.browse().get(loginPath).submit("password", "username", name, "password", password)
		_, form := b.form("password")
		return strings.ReplaceAll(strings.ReplaceAll(b.body, form.Get("csrf"), ""), `value="`+name+`"`, "") + http.StatusText(b.status)
	}
	unknown, wrong := answer("nobody", phrase), answer("ann", "wrong")
	for range 30 {
		answer("ann", "wrong again")
	}
	locked := answer("ann", phrase)
	if unknown != wrong || wrong != locked || !strings.Contains(wrong, "That did not work") {
		t.Errorf("\n%s\n%s\n%s", unknown, wrong, locked)
	}
}

// What apps and records hold is text, wherever it is shown.
func TestMarkupInNamesIsText(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const evil = `"><script>alert(1)</script>`
	b := h.as("user:dr").get(authorizeURL(appScopes)).submit(`role="search"`, "who", "")
	pages := []string{b.body}
	pages = append(pages, b.submit(`class="list people"`, "patient", "p1").body)
	pages = append(pages, b.submit("decide", "answer", "allow").get(appsPath).body)
	pages = append(pages, h.as("user:ann").get(authorizeURL("openid", "state", evil)).body)
	pages = append(pages, h.browse().get(authorizeURL("openid", "login_hint", evil)).follow().body)
	pages = append(pages, h.browse().get(loginPath).submit("password", "username", evil, "password", "x").body)
	pages = append(pages, b.get(authorizeURL(appScopes)).submit(`role="search"`, "who", evil).body)
	for i, page := range pages {
		if strings.Contains(page, "<script>") || strings.Contains(page, "<b>chart") || !strings.Contains(page, "</main>") {
			t.Errorf("page %d: %s", i, page)
		}
	}
	if !strings.Contains(pages[0], html.EscapeString(`Ada <script>`)) || !strings.Contains(pages[4], "&lt;script&gt;") {
		t.Error("the names are not shown at all")
	}
}

// A consent form cannot name what the page did not offer.
func TestScopeInjectedIntoConsentIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, add := range map[string][2]string{
		"a scope":               {"scope", "user/*.cruds"},
		"a seventh scope":       {"s6", "on"},
		"a scope as value":      {"s1", "user/*.cruds"},
		"a kind of another":     {"k1", "laboratory"},
		"an unknown kind":       {"k0", "laboratory user/*.cruds"},
		"a finer one of none":   {"x2", "read"},
		"an unknown extent":     {"x0", "user/*.cruds"},
		"another field":         {"patient", "p2"},
		"a context of a launch": {"encounter", "e1"},
	} {
		b := h.as("user:ann").get(authorizeURL(appScopes))
		action, form := b.form("decide")
		form.Set("answer", "allow")
		form.Set(add[0], add[1])
		if b.postForm(action, form); b.answer().Get("code") != "" || b.status < 400 {
			t.Errorf("%s: %d %s", name, b.status, b.location())
		}
	}
	if !slices.Contains(h.rec.preAuth, "forged-consent") {
		t.Error("nothing was recorded")
	}
}

// The picker gives nobody whom the user may not see.
func TestPatientInjectedIntoPickerIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for subject, ids := range map[string][]string{"user:dr": {"p9", "unknown", "p1,p2", "../p1", "", "p1&name=x"}, "user:ann": {"p2", "p9"}, "user:mum": {"p9"}} {
		for _, id := range ids {
			b := h.as(subject).get(authorizeURL(appScopes))
			_, form := b.form("csrf")
			b.postForm(authorizeURL(appScopes), url.Values{"csrf": form["csrf"], "step": {"pick"}, "patient": {id}})
			if b.status != http.StatusForbidden || strings.Contains(b.body, `value="decide"`) || strings.Contains(b.body, "Hidden") {
				t.Errorf("%s, %q: %d", subject, id, b.status)
			}
		}
	}
	b := h.as("user:ann").get(authorizeURL(appScopes)) // only those who search may search
	_, form := b.form("csrf")
	before := len(h.ward.queries)
	b.postForm(authorizeURL(appScopes), url.Values{"csrf": form["csrf"], "step": {"find"}, "who": {"Bolingbroke"}})
	for i, q := range h.ward.queries[before:] {
		if strings.Contains(q, "name=") || h.ward.asked[before+i].Patient != "p1" {
			t.Errorf("a patient searched for others: %s", q)
		}
	}
}

// A consent form works once, for its session, request and patient, for 15
// minutes.
func TestConsentFormIsNotReplayed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fresh := func() (*browser, string, url.Values) {
		b := h.as("user:ann").get(authorizeURL(appScopes))
		action, form := b.form("decide")
		form.Set("answer", "allow")
		return b, action, form
	}
	b, action, form := fresh()
	if b.postForm(action, form); b.answer().Get("code") == "" {
		t.Fatal(b.body)
	}
	if b.postForm(action, form); b.status != http.StatusConflict || b.location() != "" {
		t.Errorf("again: %d", b.status)
	}
	b, _, form = fresh()
	if b.postForm(authorizeURL(appScopes+" user/Patient.rs"), form); b.status != http.StatusConflict {
		t.Errorf("for another request: %d", b.status)
	}
	_, action, form = fresh()
	b = h.as("user:dr").get(logoutPath)
	_, mine := b.form("csrf")
	form["csrf"] = mine["csrf"]
	if b.postForm(action, form); b.status != http.StatusConflict {
		t.Errorf("by another person: %d", b.status)
	}
	b, action, form = fresh()
	form.Set("form", strings.Replace(form.Get("form"), "~p1~", "~p2~", 1))
	if b.postForm(action, form); b.status != http.StatusConflict {
		t.Errorf("for another patient: %d", b.status)
	}
	b, action, form = fresh()
	h.clock.Advance(formLife + time.Second)
	if b.postForm(action, form); b.status != http.StatusConflict {
		t.Errorf("too late: %d", b.status)
	}
	b, action, form = fresh()
	var codes int
	for range 4 { // a second node holds the same table
		if b.postForm(action, form); b.answer().Get("code") != "" {
			codes++
		}
	}
	if codes != 1 {
		t.Errorf("%d codes of one form", codes)
	}
}

// TestConsentIsForWhatWasOffered: boxes are numbered, so that a delegation which
// changes while somebody reads must not change what they stand for.
func TestConsentIsForWhatWasOffered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:mum").get(authorizeURL("patient/*.rs")).submit(`class="list people"`, "patient", "p2")
	action, form := b.form("decide")
	form.Set("answer", "allow")
	_, err := h.accounts.Change(t.Context(), "user:mum", func(a *account.Account) error {
		a.Delegations[0].Scopes = []string{"patient/Condition.rs", "patient/Patient.rs"}
		return nil
	})
	h.must(err)
	if b.postForm(action, form); b.status != http.StatusConflict || b.location() != "" {
		t.Errorf("%d %s", b.status, b.location())
	}
}

// Nobody writes himself that the login which an app demands has happened.
func TestMarkOfALoginIsNotForged(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, asked := range []string{"0", "0.", "0.00000000000000000000000000000000", "1." + h.proof("pages-asked", "1", "")} {
		b := h.as("user:ann").get(authorizeURL("openid", "prompt", "login", askedParameter, asked))
		if !strings.HasPrefix(b.location(), loginPath) {
			t.Errorf("%s: %d %s", asked, b.status, b.location())
		}
	}
}

// A request that does not fit, and methods and paths that are none, end in
// pages.
func TestWhatIsNoPageIsSaidSo(t *testing.T) {
	t.Parallel()
	b := newHouse(t).browse()
	if b.get(authorizeURL("openid", "login_hint", strings.Repeat("x", maxNext))); b.status != http.StatusRequestURITooLong {
		t.Errorf("%d", b.status)
	}
	if b.get(authorizePath + "?client_id=nobody&redirect_uri=https://evil.test"); b.status != http.StatusBadRequest || b.location() != "" || !strings.Contains(b.body, "This link does not work") || strings.Contains(b.body, "evil.test") {
		t.Errorf("%d %s", b.status, b.body)
	}
	for _, row := range []struct {
		method, path string
		status       int
	}{{http.MethodGet, accountPath + "/x", 404}, {http.MethodGet, "/oauth/assets/x.css", 404}, {http.MethodPut, loginPath, 405}, {http.MethodPost, securePath, 405}, {http.MethodHead, loginPath, 200},
		{http.MethodPost, styleAsset.path, 404}, {http.MethodPut, authorizePath, 405}} {
		if b.do(httptest.NewRequest(row.method, row.path, nil)); b.status != row.status || row.method != http.MethodHead && !strings.Contains(b.body, "</main>") {
			t.Errorf("%s %s: %d", row.method, row.path, b.status)
		}
	}
	if !b.Serves(loginPath) || !b.Serves(oauth.Path+"/login/x") || b.Serves(oauth.Path+"/loginx") || b.Serves("/fhir/Patient") || b.Serves(oauth.Path) {
		t.Error("serves other paths")
	}
}
