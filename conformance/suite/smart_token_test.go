package suite

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTokenResponseHoldsWhatWasGranted (access.md, SMART 6 and 9).
func TestTokenResponseHoldsWhatWasGranted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	scope := "openid fhirUser launch/patient offline_access patient/Observation.rs patient/Patient.rs"
	g := s.newReader(t).authorize(t, a, scope, nil)
	seconds, isNumber := g.body["expires_in"].(float64)
	if g.text("token_type") != "Bearer" || !isNumber || seconds <= 0 || seconds > 3600 || !slices.Equal(slices.Sorted(slices.Values(g.scopes())), slices.Sorted(slices.Values(strings.Fields(scope)))) {
		t.Errorf("%v", g.body)
	}
	if g.text("patient") != s.Patient || g.text("refresh_token") == "" || g.text("id_token") == "" || g.text("access_token") == "" {
		t.Errorf("%v", g.body)
	}
	bare := s.newReader(t).authorize(t, a, "launch/patient patient/Patient.rs", nil)
	for _, name := range []string{"refresh_token", "id_token"} {
		if bare.body[name] != nil {
			t.Errorf("%s without its scope", name)
		}
	}
}

// TestWrongTokensOpenNothing: abuse 33.
func TestWrongTokensOpenNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	at := a.asks("openid fhirUser offline_access user/Patient.rs")
	code := s.newDoctor(t).loggedIn(t, a).open(at.url()).allow(nil)
	g := a.token(t, at.redemption(code)).want()
	for name, token := range map[string]string{"id_token": g.text("id_token"), "refresh token": g.text("refresh_token"), "code": code, "verifier": at.verifier} {
		r := s.do(t, nobody, "GET", "/Patient/"+s.Patient, nil, "Authorization", "Bearer "+token).outcome(401)
		if !strings.Contains(r.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s as a bearer: %v", name, r.header)
		}
	}
	for name, form := range map[string]url.Values{
		"an access token to refresh":  a.refresh(g.text("access_token"), ""),
		"an id_token to refresh":      a.refresh(g.text("id_token"), ""),
		"a refresh token to redeem":   at.redemption(g.text("refresh_token")),
		"a refresh token of no one":   a.refresh("fsr_"+strings.Repeat("A", 43), ""),
		"another's token to refresh":  newApp(t, s).refresh(g.text("refresh_token"), ""),
		"an access token to redeem":   at.redemption(g.text("access_token")),
		"the password grant":          a.authenticated(url.Values{"grant_type": {"refresh_token"}}),
		"a code without a verifier's": a.authenticated(url.Values{"grant_type": {"authorization_code"}}),
	} {
		if got := a.token(t, form); got.status != 400 || got.body["access_token"] != nil {
			t.Errorf("%s: %d %v", name, got.status, got.body)
		}
	}
}

// TestRefreshNarrowsAndRotates (access.md, SMART 8; abuse 38).
func TestRefreshNarrowsAndRotates(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	doctor := s.newDoctor(t)
	for _, scope := range []string{"offline_access", "online_access"} {
		first := doctor.authorize(t, a, scope+" user/Patient.rs user/Observation.rs", nil)
		if first.text("refresh_token") == "" {
			t.Fatalf("%s gives no refresh token: %v", scope, first.body)
		}
		for _, wider := range []string{"user/*.cruds", "user/Encounter.rs", "user/Patient.cruds", "system/Patient.rs", "openid"} {
			a.token(t, a.refresh(first.text("refresh_token"), wider)).refused("wider by "+wider, http.StatusBadRequest, "invalid_scope")
		}
		second := a.token(t, a.refresh(first.text("refresh_token"), "user/Patient.r")).want()
		if second.text("scope") != "user/Patient.r" || second.text("refresh_token") == first.text("refresh_token") {
			t.Errorf("%s: %v", scope, second.body)
		}
		for path, want := range map[string]int{"/Patient/" + s.Patient: 200, "/Patient?_id=" + s.Patient: 403, "/Observation?patient=" + s.Patient: 403} {
			if status, _ := s.withToken(t, second.text("access_token"), path); status != want {
				t.Errorf("%s after narrowing: %d, want %d", path, status, want)
			}
		}
		third := a.token(t, a.refresh(second.text("refresh_token"), "")).want()
		if status, _ := s.withToken(t, third.text("access_token"), "/Observation?_count=1&patient="+s.Patient); status != 200 {
			t.Errorf("the family lost a scope: %d", status)
		}
	}
}

// TestReusedRefreshTokenEndsItsFamily: the thief and the owner come from two
// networks (access.md, SMART 8; abuse 39).
func TestReusedRefreshTokenEndsItsFamily(t *testing.T) {
	t.Parallel()
	s := start(t, "--trusted-proxies", "127.0.0.1/32")
	a := newApp(t, s)
	first := s.newDoctor(t).authorize(t, a, "offline_access user/Patient.rs", nil)
	from := func(peer, token string) *granted {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.endpoint("token"), strings.NewReader(a.refresh(token, "").Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Forwarded-For", peer)
		return a.send(t, r)
	}
	second := from("192.0.2.1", first.text("refresh_token")).want()
	from("198.51.100.7", first.text("refresh_token")).refused("the thief", http.StatusBadRequest, "invalid_grant")
	from("192.0.2.1", second.text("refresh_token")).refused("the owner", http.StatusBadRequest, "invalid_grant")
	for _, g := range []*granted{first, second} {
		s.refusesSoon(t, g.text("access_token"))
	}
	found := false
	for _, e := range s.auditEvents(t, privacyOfficer, "_count=100") {
		found = found || mentions(e, "refresh-reuse") && mentions(e, a.id) && mentions(e, "198.51.100.7")
	}
	if !found {
		t.Error("no event names the reuse and where it came from")
	}
}

// TestIntrospectionTellsNoMoreThanIsSo (access.md, SMART 11; RFC 7662).
func TestIntrospectionTellsNoMoreThanIsSo(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s, "--auth", "client_secret_post", "--introspect")
	other := newApp(t, s, "--auth", "client_secret_post")
	public := newApp(t, s)
	doctor := s.newDoctor(t)
	g := doctor.authorize(t, other, "openid fhirUser user/Patient.rs", nil)
	ask := func(by *smartApp, token string) (int, object) {
		status, _, body := s.form(t, by.endpoint("introspection"), by.authenticated(url.Values{"token": {token}}))
		return status, body
	}
	for _, by := range []*smartApp{a, other} {
		status, body := ask(by, g.text("access_token"))
		if status != 200 || body["active"] != true || body["client_id"] != other.id || body["scope"] != g.text("scope") || body["fhirUser"] != s.Base+"/"+doctor.who || body["exp"] == nil || body["iss"] != a.config["issuer"] || body["sub"] == nil {
			t.Errorf("%d %v", status, body)
		}
	}
	inactive := func(name string, by *smartApp, token string) {
		if status, body := ask(by, token); status != 200 || len(body) != 1 || body["active"] != false {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	inactive("unknown", a, "fst_"+strings.Repeat("A", 43))
	inactive("nonsense", a, "nonsense")
	inactive("an id_token", a, g.text("id_token"))
	inactive("another's", newApp(t, s, "--auth", "client_secret_post"), g.text("access_token"))
	if status, body := ask(public, g.text("access_token")); status == 200 || body["active"] != nil {
		t.Errorf("a public client: %d %v", status, body)
	}
	if status, _, _ := s.form(t, other.endpoint("revocation"), other.authenticated(url.Values{"token": {g.text("access_token")}})); status != 200 {
		t.Errorf("revocation: %d", status)
	}
	inactive("revoked", a, g.text("access_token"))
}

// TestRevocationEndsWhatARefreshTokenGave (access.md, SMART 11; RFC 7009).
func TestRevocationEndsWhatARefreshTokenGave(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a, other := newApp(t, s), newApp(t, s)
	doctor := s.newDoctor(t)
	revoke := func(by *smartApp, form url.Values) int {
		status, _, _ := s.form(t, by.endpoint("revocation"), by.authenticated(form))
		return status
	}
	first := doctor.authorize(t, a, "offline_access user/Patient.rs", nil)
	second := a.token(t, a.refresh(first.text("refresh_token"), "")).want()
	for name, form := range map[string]url.Values{"unknown": {"token": {"fst_" + strings.Repeat("A", 43)}}, "nonsense": {"token": {"x"}, "token_type_hint": {"nothing"}}} {
		if status := revoke(a, form); status != 200 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status := revoke(a, url.Values{}); status != 400 {
		t.Errorf("no token: %d", status)
	}
	if status := revoke(other, url.Values{"token": {second.text("refresh_token")}}); status != 200 {
		t.Errorf("another's token: %d", status)
	}
	if status, _ := s.withToken(t, second.text("access_token"), "/Patient/"+s.Patient); status != 200 {
		t.Fatalf("another client revoked it: %d", status)
	}
	if status := revoke(a, url.Values{"token": {second.text("refresh_token")}}); status != 200 {
		t.Errorf("revocation: %d", status)
	}
	for _, g := range []*granted{first, second} {
		s.refusesSoon(t, g.text("access_token"))
	}
	a.token(t, a.refresh(second.text("refresh_token"), "")).refused("a revoked token", http.StatusBadRequest, "invalid_grant")
}

// TestResetAndLogoutEndWhatAppsWereGiven: whoever took a phone has refresh tokens
// of its apps. A disabled account that is enabled again has none either.
func TestResetAndLogoutEndWhatAppsWereGiven(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	for name, operate := range map[string]func(account string) [][]string{
		"reset":  func(account string) [][]string { return [][]string{{"reset", account}} },
		"logout": func(account string) [][]string { return [][]string{{"logout", account}} },
		"disable": func(account string) [][]string {
			return [][]string{{"change", account, "--disable"}, {"change", account, "--enable"}}
		},
	} {
		doctor := s.newDoctor(t)
		got := doctor.authorize(t, a, "offline_access user/Patient.rs", nil)
		for _, args := range operate(doctor.account) {
			if code, _, stderr := command(t, append([]string{"user"}, append(args, "--data", s.dir, "--reason", "phone lost")...)...); code != 0 {
				t.Fatal(stderr)
			}
		}
		s.refusesSoon(t, got.text("access_token"))
		a.token(t, a.refresh(got.text("refresh_token"), "")).refused(name, http.StatusBadRequest, "invalid_grant")
	}
}

// TestIDTokenVerifiesByThePublishedKeys: OpenID Connect Core §3.1.3.7, and the
// user that it names is readable (access.md, SMART 10).
func TestIDTokenVerifiesByThePublishedKeys(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	doctor := s.newDoctor(t)
	at := a.asks("openid fhirUser user/Practitioner.r")
	g := a.token(t, at.redemption(doctor.loggedIn(t, a).open(at.url()).allow(nil))).want()
	header, claims := a.verified(t, g.text("id_token"))
	now := time.Now().Unix()
	number := func(name string) int64 { f, _ := claims[name].(float64); return int64(f) }
	if header["alg"] != "RS256" || header["kid"] == nil || claims["iss"] != a.config["issuer"] || claims["aud"] == nil || claims["nonce"] != at.query.Get("nonce") {
		t.Errorf("%v %v", header, claims)
	}
	if auds, ok := claims["aud"].([]any); ok && (len(auds) != 1 || auds[0] != a.id) || !ok && claims["aud"] != a.id {
		t.Errorf("aud %v", claims["aud"])
	}
	if number("exp") <= now || number("iat") > now+60 || now-number("auth_time") > 3600 || len(list(claims, "amr")) == 0 {
		t.Errorf("%v", claims)
	}
	if sub, _ := claims["sub"].(string); sub == "" || strings.Contains(sub, doctor.account) {
		t.Errorf("sub %q", sub)
	}
	who, _ := claims["fhirUser"].(string)
	if who != s.Base+"/"+doctor.who {
		t.Fatalf("fhirUser %q", who)
	}
	if status, body := s.withToken(t, g.text("access_token"), strings.TrimPrefix(who, s.Base)); status != 200 || !strings.Contains(body, `"Practitioner"`) {
		t.Errorf("fhirUser with the same token: %d", status)
	}
}

// verified checks the signature of an id_token by the published keys.
func (a *smartApp) verified(t testing.TB, token string) (header, claims object) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("an id_token of %d parts", len(parts))
	}
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if json.Unmarshal(decode(parts[0]), &header) != nil || json.Unmarshal(decode(parts[1]), &claims) != nil {
		t.Fatal("an id_token that is no JSON")
	}
	jwks, _ := a.config["jwks_uri"].(string)
	keys, _ := a.s.document(t, jwks)
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, k := range each(keys, "keys") {
		if k["kid"] != header["kid"] {
			continue
		}
		n, _ := k["n"].(string)
		if err := rsa.VerifyPKCS1v15(&rsa.PublicKey{N: new(big.Int).SetBytes(decode(n)), E: 65537}, crypto.SHA256, sum[:], decode(parts[2])); err != nil {
			t.Fatal(err)
		}
		return header, claims
	}
	t.Fatal("no published key signed it")
	return nil, nil
}
