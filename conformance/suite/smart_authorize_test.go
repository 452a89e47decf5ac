package suite

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestBadAuthorizationRequestsLeadNowhere (access.md, SMART 2 and 3; abuse 37):
// as long as the address is not known to be the app's, a page and no redirect;
// then an error by redirect; a code never.
func TestBadAuthorizationRequestsLeadNowhere(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	doctor := s.newDoctor(t)
	v := doctor.loggedIn(t, a)
	for _, row := range []struct {
		name   string
		change func(url.Values)
		code   string // empty: a page
	}{
		{"another host", func(q url.Values) { q.Set("redirect_uri", "https://evil.example/callback") }, ""},
		{"another path", func(q url.Values) { q.Set("redirect_uri", appRedirect+"/x") }, ""},
		{"another case", func(q url.Values) { q.Set("redirect_uri", strings.ToUpper(appRedirect)) }, ""},
		{"a query added", func(q url.Values) { q.Set("redirect_uri", appRedirect+"?x=1") }, ""},
		{"a fragment added", func(q url.Values) { q.Set("redirect_uri", appRedirect+"#x") }, ""},
		{"user info added", func(q url.Values) { q.Set("redirect_uri", "https://app.example@evil.example/callback") }, ""},
		{"dot segments", func(q url.Values) { q.Set("redirect_uri", appOrigin+"/x/../callback") }, ""},
		{"no redirect", func(q url.Values) { q.Del("redirect_uri") }, ""},
		{"two redirects", func(q url.Values) { q.Add("redirect_uri", "https://evil.example/") }, ""},
		{"an unknown client", func(q url.Values) { q.Set("client_id", unique("nobody-")) }, ""},
		{"no client", func(q url.Values) { q.Del("client_id") }, ""},
		{"no aud", func(q url.Values) { q.Del("aud") }, "invalid_request"},
		{"aud of another server", func(q url.Values) { q.Set("aud", "https://evil.example/fhir") }, "invalid_request"},
		{"no state", func(q url.Values) { q.Del("state") }, "invalid_request"},
		{"no challenge", func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") }, "invalid_request"},
		{"plain", func(q url.Values) { q.Set("code_challenge_method", "plain") }, "invalid_request"},
		{"no method", func(q url.Values) { q.Del("code_challenge_method") }, "invalid_request"},
		{"implicit", func(q url.Values) { q.Set("response_type", "token") }, "unsupported_response_type"},
		{"hybrid", func(q url.Values) { q.Set("response_type", "code id_token") }, "unsupported_response_type"},
		{"a scope beyond the registration", func(q url.Values) { q.Set("scope", "system/*.rs") }, "invalid_scope"},
		{"a scope in a wrong order", func(q url.Values) { q.Set("scope", "user/Patient.dus") }, "invalid_scope"},
		{"an unknown launch", func(q url.Values) { q.Set("scope", "launch user/Patient.rs"); q.Set("launch", unique("l-")) }, "invalid_request"},
	} {
		at := a.asks("user/Patient.rs")
		row.change(at.query)
		v.open(at.url())
		switch {
		case row.code == "" && (v.left != nil || v.page.status < 400 || v.page.status > 499 || !strings.HasPrefix(v.page.header.Get("Content-Type"), "text/html")):
			t.Errorf("%s: %d, left for %v", row.name, v.page.status, v.left)
		case row.code == "" && strings.Contains(v.page.body, "evil.example"):
			t.Errorf("%s: the page repeats the request", row.name)
		case row.code != "" && (v.left == nil || v.left.Query().Get("error") != row.code || v.left.Query().Get("state") != at.query.Get("state") || !strings.HasPrefix(v.left.String(), appRedirect+"?")):
			t.Errorf("%s: %d, left for %v: %.300s", row.name, v.page.status, v.left, v.page.text)
		}
		if v.left != nil && v.left.Query().Has("code") {
			t.Errorf("%s: a code", row.name)
		}
	}
}

// TestAuthorizationByFormPost: authorize-post, and a page that no other site
// frames (access.md, SMART 2).
func TestAuthorizationByFormPost(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	v := s.newDoctor(t).loggedIn(t, a)
	at := a.asks("openid user/Patient.rs")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint("authorization"), strings.NewReader(at.query.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", appOrigin) // the app's own page sends it
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	v.follow(r)
	if h := v.page.header; h.Get("X-Frame-Options") != "DENY" || !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers of a page: %v", h)
	}
	code := v.allow(nil)
	if v.left.Query().Get("state") != at.query.Get("state") {
		t.Errorf("state: %v", v.left)
	}
	a.token(t, at.redemption(code)).want()
}

// TestCodeOpensNothingElsewhere: a code is bound to its client, redirect and
// verifier, and is redeemed once, of however many that try at the same time; a
// replay ends what it gave (access.md, SMART 3; abuse 36).
func TestCodeOpensNothingElsewhere(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a, other := newApp(t, s), newApp(t, s)
	v := s.newDoctor(t).loggedIn(t, a)
	for name, change := range map[string]func(url.Values){
		"another client":       func(f url.Values) { f.Set("client_id", other.id) },
		"another redirect":     func(f url.Values) { f.Set("redirect_uri", appRedirect+"/x") },
		"no redirect":          func(f url.Values) { f.Del("redirect_uri") },
		"a wrong verifier":     func(f url.Values) { f.Set("code_verifier", strings.Repeat("v", 43)) },
		"no verifier":          func(f url.Values) { f.Del("code_verifier") },
		"a code cut short":     func(f url.Values) { f.Set("code", f.Get("code")[:20]) },
		"the state as a code":  func(f url.Values) { f.Set("code", "state") },
		"a code of no request": func(f url.Values) { f.Del("code") },
	} {
		at := a.asks("user/Patient.rs")
		form := at.redemption(v.open(at.url()).allow(nil))
		change(form)
		a.token(t, form).refused(name, http.StatusBadRequest, "invalid_grant")
	}
	at := a.asks("offline_access user/Patient.rs")
	form := at.redemption(v.open(at.url()).allow(nil))
	began := time.Now()
	won := granted{body: together(t, http.StatusBadRequest, "invalid_grant", func() (int, object) {
		g := a.token(t, form)
		return g.status, g.body
	})}
	a.token(t, form).refused("a replay", http.StatusBadRequest, "invalid_grant")
	s.refusesSoon(t, won.text("access_token"))
	a.token(t, a.refresh(won.text("refresh_token"), "")).refused("its refresh token", http.StatusBadRequest, "invalid_grant")
	events := s.auditEvents(t, privacyOfficer, since(began)+"&_count=200")
	found := false
	for _, e := range events {
		found = found || mentions(e, "code-reuse") && mentions(e, a.id)
	}
	if !found {
		t.Error("the replay is no event of the trail")
	}
}

// refusesSoon waits until a token is refused.
func (s *server) refusesSoon(t testing.TB, token string) {
	t.Helper()
	s.promptly(t, "refusing the token", func() bool { status, _ := s.withToken(t, token, "/Patient/none"); return status == 401 })
}

// TestConfidentialAppsAuthenticate: each by its registered method, and by no
// other (access.md, SMART 7).
func TestConfidentialAppsAuthenticate(t *testing.T) {
	t.Parallel()
	s := shared(t)
	doctor := s.newDoctor(t)
	for _, method := range []string{"client_secret_basic", "client_secret_post", "private_key_jwt"} {
		var a *smartApp
		if method == "private_key_jwt" {
			a = signingApp(t, s)
		} else {
			a = newApp(t, s, "--auth", method)
		}
		v := doctor.loggedIn(t, a)
		code := func() (*attempt, string) {
			at := a.asks("user/Patient.rs")
			return at, v.open(at.url()).allow(nil)
		}
		for _, by := range []string{"nothing", "client_secret_basic", "client_secret_post", "private_key_jwt", "wrong"} {
			at, c := code()
			g := a.redeemBy(t, by, at, c)
			if by == method {
				g.want()
			} else {
				g.refused(method+" by "+by, http.StatusUnauthorized, "invalid_client")
			}
		}
	}
}

// redeemBy redeems a code with the given method of authentication.
func (a *smartApp) redeemBy(t testing.TB, method string, at *attempt, code string) *granted {
	t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {appRedirect}, "code_verifier": {at.verifier}}
	secret := a.secret
	if secret == "" {
		secret = "fss_" + strings.Repeat("A", 43)
	}
	switch method {
	case "client_secret_basic":
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint("token"), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(url.QueryEscape(a.id), url.QueryEscape(secret))
		return a.send(t, r)
	case "client_secret_post":
		form.Set("client_id", a.id)
		form.Set("client_secret", secret)
	case "private_key_jwt":
		keys := a.keys
		if keys == nil {
			keys = newBackend(t, a.id)
		}
		withAssertion(form, keys.assertion(t, a.endpoint("token"), nil))
	case "wrong":
		form.Set("client_id", a.id)
		form.Set("client_secret", "fss_"+strings.Repeat("B", 43))
	default:
		form.Set("client_id", a.id)
	}
	return a.token(t, form)
}
