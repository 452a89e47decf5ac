package oauth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

// access.md, SMART 6: what a token response holds.
func TestAppGetsTokensAndContext(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	a := n.granted("app", appScopes)
	if a.text("token_type") != "Bearer" || a.body["expires_in"] != float64(token.DefaultLifetime/time.Second) || a.text("scope") != appScopes ||
		a.text("patient") != "p1" || a.body["encounter"] != nil || a.body["need_patient_banner"] != true || a.text("refresh_token") == "" ||
		a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("%v %v", a.body, a.header)
	}
	c, _, _, err := n.tokens.Inspect(t.Context(), a.text("access_token"))
	if err != nil || c.Account != "user:dr" || c.Client != "app" || c.Patient != "p1" || len(c.AMR) != 2 || c.AuthTime.Unix() != 1_700_000_000 {
		t.Errorf("%+v %v", c, err)
	}
	if !n.rec.has("authorize", "", "user:dr") || !n.rec.has("token-issue", "", "user:dr") {
		t.Error("events are missing")
	}
}

// access.md, SMART 10.
func TestIDTokenSaysWhoLoggedIn(t *testing.T) {
	t.Parallel()
	s := newTables()
	n := open(t, s, nil)
	n.app("app", client.Public)
	text := n.granted("app", appScopes).text("id_token")
	var set jose.JSONWebKeySet
	w := open(t, s, nil).do(httptest.NewRequest(http.MethodGet, oauth.Path+"/jwks", nil)) // another node, the same key
	n.must(json.Unmarshal(w.Body.Bytes(), &set))
	signed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	n.must(err)
	if len(set.Keys) != 1 || !set.Keys[0].IsPublic() || signed.Headers[0].KeyID != set.Keys[0].KeyID || strings.Contains(w.Body.String(), `"d"`) {
		t.Fatalf("keys %s", w.Body)
	}
	var claims struct {
		jwt.Claims
		AuthTime int64  `json:"auth_time"`
		Nonce    string `json:"nonce"`
		FHIRUser string `json:"fhirUser"`
	}
	n.must(signed.Claims(set.Keys[0].Key, &claims))
	if claims.Issuer != issuer || claims.Subject == "" || strings.Contains(claims.Subject, "user:dr") || !claims.Audience.Contains("app") ||
		claims.Nonce != "n-1" || claims.AuthTime != 1_700_000_000 || claims.FHIRUser != base+"/Practitioner/dr" {
		t.Errorf("%+v", claims)
	}
	if again := n.granted("app", "launch/patient patient/Patient.rs"); again.body["id_token"] != nil {
		t.Error("an id_token without openid")
	}
	if _, err := n.tokens.Verify(t.Context(), text, ""); !errors.Is(err, token.ErrInvalid) {
		t.Error("an id_token is taken as a bearer")
	}
}

// access.md, SMART 2: nobody is redirected before the address is known to be
// the client's, and no code leaves for another server's tokens.
func TestBadAuthorizationRequestsGetNoCode(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	n.service("lab", bothKeys()...)
	for _, row := range []struct {
		name   string
		change func(url.Values)
		code   string // empty: an error page
	}{
		{"unknown client", func(q url.Values) { q.Set("client_id", "nobody") }, ""},
		{"backend service", func(q url.Values) { q.Set("client_id", "lab") }, ""},
		{"another host", func(q url.Values) { q.Set("redirect_uri", "https://evil.test/cb") }, ""},
		{"another path", func(q url.Values) { q.Set("redirect_uri", redirect+"/x") }, ""},
		{"a query added", func(q url.Values) { q.Set("redirect_uri", redirect+"?x=1") }, ""},
		{"no redirect", func(q url.Values) { q.Del("redirect_uri") }, ""},
		{"a parameter twice", func(q url.Values) { q.Add("state", "again") }, ""},
		{"implicit", func(q url.Values) { q.Set("response_type", "token") }, "unsupported_response_type"},
		{"hybrid", func(q url.Values) { q.Set("response_type", "code id_token") }, "unsupported_response_type"},
		{"fragment", func(q url.Values) { q.Set("response_mode", "fragment") }, "invalid_request"},
		{"no state", func(q url.Values) { q.Del("state") }, "invalid_request"},
		{"no aud", func(q url.Values) { q.Del("aud") }, "invalid_request"},
		{"aud of another server", func(q url.Values) { q.Set("aud", "https://evil.test/fhir") }, "invalid_request"},
		{"no challenge", func(q url.Values) { q.Del("code_challenge"); q.Del("code_challenge_method") }, "invalid_request"},
		{"plain", func(q url.Values) { q.Set("code_challenge_method", "plain"); q.Set("code_challenge", verifier) }, "invalid_request"},
		{"no method", func(q url.Values) { q.Del("code_challenge_method") }, "invalid_request"},
		{"short challenge", func(q url.Values) { q.Set("code_challenge", "abc") }, "invalid_request"},
		{"more than registered", func(q url.Values) { q.Set("scope", "user/*.cruds") }, "invalid_scope"},
		{"unordered scope", func(q url.Values) { q.Set("scope", "user/*.sr") }, "invalid_scope"},
		{"no scope", func(q url.Values) { q.Del("scope") }, "invalid_request"},
		{"request object", func(q url.Values) { q.Set("request", "e30.e30.") }, "invalid_request"},
		{"request behind a URL", func(q url.Values) { q.Set("request_uri", "https://evil.test/r") }, "invalid_request"},
	} {
		q := authorizeQuery("app", "openid launch/patient patient/Observation.rs")
		row.change(q)
		status, to, location := n.authorize(q)
		switch {
		case to.Get("code") != "":
			t.Errorf("%s: a code", row.name)
		case row.code == "" && (location != "" || status != http.StatusBadRequest):
			t.Errorf("%s: %d, redirected to %s", row.name, status, location)
		case row.code != "" && (to.Get("error") != row.code || !strings.HasPrefix(location, redirect+"?") || to.Get("state") != q.Get("state")):
			t.Errorf("%s: %d %s", row.name, status, location)
		}
	}
	if len(n.person.Asked()) != 0 {
		t.Error("a person was asked")
	}
	if status, to, _ := n.authorize(authorizeQuery("app", "openid")); status != http.StatusSeeOther || to.Get("state") != "state-state" {
		t.Errorf("a good request: %d %v", status, to)
	}
}

func TestAuthorizeByFormPost(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	r := httptest.NewRequest(http.MethodPost, oauth.Path+"/authorize", strings.NewReader(authorizeQuery("app", "user/*.rs").Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := n.do(r); w.Code != http.StatusSeeOther || !strings.Contains(w.Header().Get("Location"), "code=") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	n.person.ShowPage(true)
	if w := n.do(httptest.NewRequest(http.MethodGet, oauth.Path+"/authorize?"+authorizeQuery("app", "user/*.rs").Encode(), nil)); w.Body.String() != "a page" || w.Header().Get("X-Frame-Options") != "DENY" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := n.do(httptest.NewRequest(http.MethodPut, oauth.Path+"/authorize", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Error(w.Code)
	}
}

// access.md, SMART 4 and 5: what people decline is not granted, and a decision
// that is not sound gives no code.
func TestDecisionNeverGivesMoreThanAsked(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	n.person.Grant("patient/Observation.rs?category=laboratory")
	a := n.granted("app", appScopes)
	if a.text("scope") != "patient/Observation.rs?category=laboratory" || a.body["refresh_token"] != nil || a.body["id_token"] != nil {
		t.Errorf("declined scopes were granted: %v", a.body)
	}
	for name, row := range map[string]struct {
		grant []string
		login func(*token.Claims)
		fails error
		code  string
	}{
		"more than asked":          {grant: []string{"user/*.rs"}, code: "server_error"},
		"all of it":                {grant: []string{"patient/*.cruds"}, code: "server_error"},
		"nothing":                  {grant: []string{}, code: "access_denied"},
		"only a refresh token":     {grant: []string{"offline_access"}, code: "access_denied"},
		"patient without patient":  {login: func(c *token.Claims) { c.Patient = "" }, code: "access_denied"},
		"fhirUser without a user":  {grant: []string{"fhirUser", "openid"}, login: func(c *token.Claims) { c.Who = "" }, code: "access_denied"},
		"nobody may be asked":      {fails: oauth.ErrLogin, code: "login_required"},
		"declined":                 {fails: oauth.ErrDeclined, code: "access_denied"},
		"the pages cannot be made": {fails: errors.New("template"), code: "server_error"},
	} {
		m := fresh(t)
		m.app("app", client.Public)
		c := clinician()
		if row.login != nil {
			row.login(&c)
		}
		m.person.Login(c)
		if row.grant != nil {
			m.person.Grant(row.grant...)
		}
		m.person.Fail(row.fails)
		_, to, _ := m.authorize(authorizeQuery("app", "openid fhirUser offline_access patient/Observation.rs"))
		if to.Get("code") != "" || to.Get("error") != row.code {
			t.Errorf("%s: %v", name, to)
		}
		if !m.rec.has("failure", row.code, "") {
			t.Errorf("%s: no event", name)
		}
	}
}

// access.md, SMART 3; abuse 36.
func TestCodeIsBoundToItsRequest(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	n.app("other", client.Public)
	n.app("confidential", client.SecretBasic)
	for name, change := range map[string]func(url.Values){
		"another client":          func(f url.Values) { f.Set("client_id", "other") },
		"another redirect":        func(f url.Values) { f.Set("redirect_uri", "https://app.example/other") },
		"no redirect":             func(f url.Values) { f.Del("redirect_uri") },
		"wrong verifier":          func(f url.Values) { f.Set("code_verifier", strings.ToUpper(verifier)) },
		"no verifier":             func(f url.Values) { f.Del("code_verifier") },
		"the challenge itself":    func(f url.Values) { f.Set("code_verifier", challenge()) },
		"an unknown code":         func(f url.Values) { f.Set("code", token.Draw("fsc_")) },
		"a code cut short":        func(f url.Values) { f.Set("code", f.Get("code")[:40]) },
		"no code":                 func(f url.Values) { f.Del("code") },
		"a refresh token as code": func(f url.Values) { f.Set("code", token.Draw("fsr_")) },
	} {
		form := redemption("app", n.code("app", appScopes))
		change(form)
		n.refused(name, n.post("/token", form), http.StatusBadRequest, "invalid_grant")
	}
	form := redemption("app", n.code("app", appScopes))
	n.clock.Advance(oauth.CodeLifetime)
	n.refused("after 60 s", n.post("/token", form), http.StatusBadRequest, "invalid_grant")
	for r, err := range n.table.Scan(t.Context(), nil) {
		if err != nil || strings.Contains(string(r.Value), "user:dr") || strings.Contains(string(r.Value), "Practitioner") || strings.Contains(string(r.Key), form.Get("code")) {
			t.Errorf("a row names a person or a secret: %v", err)
		}
	}
}

// access.md, SMART 8; abuse 38 and 39.
func TestRefreshRotatesAndNarrows(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	n.app("other", client.Public)
	first := n.granted("app", appScopes)
	n.refused("another client", n.post("/token", refresh("other", first.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	wider := refresh("app", first.text("refresh_token"))
	wider.Set("scope", "patient/*.cruds")
	n.refused("a wider scope", n.post("/token", wider), http.StatusBadRequest, "invalid_scope")
	narrower := refresh("app", first.text("refresh_token"))
	narrower.Set("scope", "patient/Observation.r")
	second := n.post("/token", narrower)
	if second.status != http.StatusOK || second.text("scope") != "patient/Observation.r" || second.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("%d %v", second.status, second.body)
	}
	if c, _, _, err := n.tokens.Inspect(t.Context(), second.text("access_token")); err != nil || len(c.Scopes) != 1 {
		t.Errorf("%+v %v", c, err)
	}
	third := n.post("/token", refresh("app", second.text("refresh_token")))
	if third.status != http.StatusOK || third.text("scope") != appScopes || third.text("patient") != "p1" {
		t.Errorf("the refresh token lost scopes: %d %v", third.status, third.body)
	}
	if _, err := n.tokens.Verify(t.Context(), third.text("refresh_token"), ""); !errors.Is(err, token.ErrInvalid) {
		t.Error("a refresh token is taken as a bearer")
	}
	n.clock.Advance(oauth.DefaultRefreshLifetime - time.Second)
	fourth := n.post("/token", refresh("app", third.text("refresh_token")))
	if fourth.status != http.StatusOK {
		t.Errorf("before three months are over: %d %v", fourth.status, fourth.body)
	}
	n.clock.Advance(oauth.DefaultRefreshLifetime)
	n.refused("after three months", n.post("/token", refresh("app", fourth.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
}

// TestPublicAppRefreshesWithoutItsName: SMART names no client_id there. Who has
// to authenticate does, and the reuse of a token is noticed all the same.
func TestPublicAppRefreshesWithoutItsName(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	nameless := func(token string) url.Values {
		form := refresh("app", token)
		form.Del("client_id")
		return form
	}
	first := n.granted("app", appScopes)
	second := n.post("/token", nameless(first.text("refresh_token")))
	if second.status != http.StatusOK || second.text("patient") != "p1" {
		t.Fatalf("%d %v", second.status, second.body)
	}
	n.refused("unknown", n.post("/token", nameless(token.Draw("fsr_"))), http.StatusBadRequest, "invalid_grant")
	n.refused("none", n.post("/token", nameless("")), http.StatusBadRequest, "invalid_grant")
	empty := refresh("app", second.text("refresh_token"))
	empty.Set("client_id", "")
	n.refused("an empty name", n.post("/token", empty), http.StatusUnauthorized, "invalid_client")
	secret := n.app("confidential", client.SecretPost)
	form := redemption("confidential", n.code("confidential", appScopes))
	form.Set("client_secret", secret)
	n.refused("an app with a secret", n.post("/token", nameless(n.post("/token", form).text("refresh_token"))), http.StatusUnauthorized, "invalid_client")
	n.refused("reuse", n.post("/token", nameless(first.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	n.refused("its family", n.post("/token", nameless(second.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
}

func TestReusedRefreshTokenEndsTheFamily(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	n.app("app", client.Public)
	first := n.granted("app", appScopes)
	second := n.post("/token", refresh("app", first.text("refresh_token")))
	n.refused("the thief", other.post("/token", refresh("app", first.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	n.refused("the owner", n.post("/token", refresh("app", second.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	n.clock.Advance(token.CacheTTL)
	for _, a := range []answer{first, second} {
		if n.valid(a.text("access_token")) {
			t.Error("an access token of the family is in force")
		}
	}
	if !n.rec.has("failure", "refresh-reuse", "user:dr") {
		t.Error("no event")
	}
}

// TestRefreshFollowsTheAccount: a role that was lost is lost at the next
// refresh, an account that is gone ends the family.
func TestRefreshFollowsTheAccount(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	n.app("app", client.Public)
	first := n.granted("app", appScopes)
	less := clinician()
	less.Roles = []string{"role:nurse"}
	n.person.Login(less)
	second := n.post("/token", refresh("app", first.text("refresh_token")))
	if c, _, _, err := n.tokens.Inspect(t.Context(), second.text("access_token")); err != nil || c.Roles[0] != "role:nurse" {
		t.Errorf("%+v %v", c, err)
	}
	n.person.Login(token.Claims{Account: "user:another"})
	n.refused("the account is gone", n.post("/token", refresh("app", second.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	n.person.Login(less)
	n.refused("and comes back", n.post("/token", refresh("app", second.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	if n.valid(second.text("access_token")) {
		t.Error("its access token is in force")
	}
}

// access.md, SMART 7: each client by its own method and by one only.
func TestClientsAuthenticateByTheirMethodOnly(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	basic, post := n.app("basic", client.SecretBasic), n.app("post", client.SecretPost)
	n.app("public", client.Public)
	n.app("jwt", client.PrivateKeyJWT)
	with := func(id, secret string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(id, secret) }
	}
	form := func(id string, add ...string) url.Values {
		f := redemption(id, n.code(id, appScopes))
		for i := 0; i < len(add); i += 2 {
			f.Set(add[i], add[i+1])
		}
		return f
	}
	for name, a := range map[string]answer{
		"basic": n.post("/token", form("basic"), with("basic", basic)),
		"post":  n.post("/token", form("post", "client_secret", post)),
		"jwt":   n.post("/token", form("jwt", "client_assertion_type", jwtBearer, "client_assertion", n.goodAssertion("jwt").sign(t))),
	} {
		if a.status != http.StatusOK {
			t.Errorf("%s: %d %v", name, a.status, a.body)
		}
	}
	for name, a := range map[string]answer{
		"wrong secret":                n.post("/token", form("basic"), with("basic", post)),
		"empty secret":                n.post("/token", form("basic"), with("basic", "")),
		"no secret":                   n.post("/token", form("basic")),
		"basic in the body":           n.post("/token", form("basic", "client_secret", basic)),
		"post in the header":          n.post("/token", form("post"), with("post", post)),
		"both":                        n.post("/token", form("basic", "client_secret", basic), with("basic", basic)),
		"a secret for a public one":   n.post("/token", form("public", "client_secret", "x")),
		"header of another client":    n.post("/token", form("public"), with("basic", basic)),
		"a service without assertion": n.post("/token", form("jwt")),
		"bearer":                      n.post("/token", form("basic"), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+basic) }),
	} {
		n.refused(name, a, http.StatusUnauthorized, "invalid_client")
		if a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no challenge", name)
		}
	}
	n.refused("two Authorization headers", n.post("/token", form("basic"), with("basic", basic), func(r *http.Request) { r.Header.Add("Authorization", "Basic x") }), http.StatusBadRequest, "invalid_request")
}

// access.md, SMART 8 and 9: lifetimes are settings of the server and of each
// client, and end with the account.
func TestLifetimesAreSettings(t *testing.T) {
	t.Parallel()
	n := open(t, newTables(), func(o *oauth.Options) { o.AccessLifetime, o.RefreshLifetime = 30*time.Minute, 200*24*time.Hour })
	n.app("usual", client.Public)
	_, err := n.clients.Add(t.Context(), client.Client{ID: "own", Name: "own", Auth: client.Public, Redirects: []string{redirect}, Scopes: strings.Fields(appScopes),
		AccessSeconds: 120, RefreshSeconds: 3600})
	n.must(err)
	usual, own := n.granted("usual", appScopes), n.granted("own", appScopes)
	if usual.body["expires_in"] != 1800.0 || own.body["expires_in"] != 120.0 {
		t.Errorf("%v %v", usual.body, own.body)
	}
	ending := clinician()
	ending.Lifetime = 90 * time.Second
	n.person.Login(ending)
	code := n.code("usual", appScopes)
	late := n.code("usual", appScopes)
	n.clock.Advance(30 * time.Second)
	if a := n.post("/token", redemption("usual", code)); a.body["expires_in"] != 60.0 {
		t.Errorf("an account that ends: %v", a.body)
	}
	ending.Lifetime = time.Millisecond
	n.person.Login(ending)
	n.refused("an account that has ended", n.post("/token", redemption("usual", n.code("usual", appScopes))), http.StatusBadRequest, "invalid_grant")
	n.person.Login(clinician())
	if a := n.post("/token", redemption("usual", late)); a.body["expires_in"] != 60.0 {
		t.Errorf("%v", a.body)
	}
	n.clock.Advance(time.Hour)
	n.refused("the client's own life", n.post("/token", refresh("own", own.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
	n.clock.Advance(199 * 24 * time.Hour)
	if a := n.post("/token", refresh("usual", usual.text("refresh_token"))); a.status != http.StatusOK || a.body["expires_in"] != 1800.0 {
		t.Errorf("after 199 days: %d %v", a.status, a.body)
	}
}

// SMART App Launch 2.2, online_access: the user is no longer there.
func TestOnlineAccessEndsTheSameDay(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	_, err := n.clients.Add(t.Context(), client.Client{ID: "app", Name: "app", Auth: client.Public, Redirects: []string{redirect}, Scopes: []string{"online_access", "user/*.rs"}})
	n.must(err)
	first := n.granted("app", "online_access user/*.rs")
	n.clock.Advance(oauth.OnlineLifetime - time.Second)
	second := n.post("/token", refresh("app", first.text("refresh_token")))
	if second.status != http.StatusOK {
		t.Fatalf("%d %v", second.status, second.body)
	}
	n.clock.Advance(time.Second)
	n.refused("after twelve hours, however often it was used", n.post("/token", refresh("app", second.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
}

// access.md, SMART 12.
func TestBothVersionsOfScopesAreGranted(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	_, err := n.clients.Add(t.Context(), client.Client{ID: "app", Name: "app", Auth: client.Public, Redirects: []string{redirect}, Scopes: []string{"patient/*.read", "user/*.cruds"}})
	n.must(err)
	for _, scope := range []string{"patient/Observation.read", "patient/Observation.rs", "user/Patient.write", "user/Patient.cud", "user/Observation.rs?category=laboratory"} {
		a := n.granted("app", scope)
		if c, _, _, err := n.tokens.Inspect(t.Context(), a.text("access_token")); err != nil || a.text("scope") != scope || c.Scopes[0] != scope {
			t.Errorf("%s: %v %v", scope, a.body, err)
		}
	}
}
