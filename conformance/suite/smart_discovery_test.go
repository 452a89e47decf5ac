package suite

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// document reads an open JSON document with request headers as name, value
// pairs.
func (s *server) document(t testing.TB, address string, headers ...string) (object, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var o object
	if err := json.NewDecoder(resp.Body).Decode(&o); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %d %v", address, resp.StatusCode, err)
	}
	return o, resp.Header
}

func list(o object, name string) (words []string) {
	items, _ := o[name].([]any)
	for _, i := range items {
		word, _ := i.(string)
		words = append(words, word)
	}
	return words
}

// testedCapabilities are those that a test of this package covers (access.md,
// SMART 1); a new one needs its test first.
var testedCapabilities = map[string]string{
	"launch-standalone":              "TestStandaloneLaunchOfAPatient",
	"launch-ehr":                     "TestEHRLaunchCarriesItsContext",
	"authorize-post":                 "TestAuthorizationByFormPost",
	"client-public":                  "TestStandaloneLaunchOfAPatient",
	"client-confidential-symmetric":  "TestConfidentialAppsAuthenticate",
	"client-confidential-asymmetric": "TestConfidentialAppsAuthenticate",
	"sso-openid-connect":             "TestIDTokenVerifiesByThePublishedKeys",
	"context-standalone-patient":     "TestStandaloneLaunchOfAPatient",
	"context-ehr-patient":            "TestEHRLaunchCarriesItsContext",
	"context-ehr-encounter":          "TestEHRLaunchCarriesItsContext",
	"context-banner":                 "TestEHRLaunchCarriesItsContext",
	"context-style":                  "TestEHRLaunchCarriesItsContext",
	"permission-offline":             "TestRefreshNarrowsAndRotates",
	"permission-online":              "TestRefreshNarrowsAndRotates",
	"permission-patient":             "TestScopesLimitWhatIsRead",
	"permission-user":                "TestScopesLimitWhatIsRead",
	"permission-v1":                  "TestScopesLimitWhatIsRead",
	"permission-v2":                  "TestScopesLimitWhatIsRead",
}

// TestSMARTConfigurationSaysWhatIsServed: SMART App Launch 2.2, conformance;
// access.md, SMART 1.
func TestSMARTConfigurationSaysWhatIsServed(t *testing.T) {
	t.Parallel()
	s := shared(t)
	at := s.Base + "/.well-known/smart-configuration"
	for _, accept := range []string{"", "application/fhir+json", "application/fhir+xml", "text/html", "image/png"} {
		_, header := s.document(t, at, "Accept", accept, "Origin", "https://anybody.example")
		if header.Get("Content-Type") != "application/json" || header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("Accept %q: %v", accept, header)
		}
	}
	c, _ := s.document(t, at)
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "management_endpoint", "issuer", "jwks_uri"} {
		text, _ := c[name].(string)
		if u, err := url.Parse(text); err != nil || !u.IsAbs() || !strings.HasPrefix(text, s.origin()+"/") || u.Fragment != "" {
			t.Errorf("%s is %q", name, text)
		}
	}
	for name, want := range map[string][]string{
		"code_challenge_methods_supported":                 {"S256"},
		"response_types_supported":                         {"code"},
		"grant_types_supported":                            {"authorization_code", "client_credentials", "refresh_token"},
		"token_endpoint_auth_methods_supported":            {"client_secret_basic", "client_secret_post", "none", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": {"ES384", "RS384"},
	} {
		if got := list(c, name); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range list(c, "capabilities") {
		if testedCapabilities[name] == "" {
			t.Errorf("the capability %s has no test", name)
		}
	}
	for name := range testedCapabilities {
		if !slices.Contains(list(c, "capabilities"), name) {
			t.Errorf("the capability %s is not claimed", name)
		}
	}
	if scopes := list(c, "scopes_supported"); !slices.Contains(scopes, "openid") || !slices.Contains(scopes, "launch/patient") || !slices.Contains(scopes, "offline_access") {
		t.Errorf("scopes %v", scopes)
	}
}

// TestOpenIDDiscoveryAgrees: OpenID Connect Discovery §3 and §4.3.
func TestOpenIDDiscoveryAgrees(t *testing.T) {
	t.Parallel()
	s := shared(t)
	smart := s.smartConfiguration(t)
	issuer, _ := smart["issuer"].(string)
	c, header := s.document(t, issuer+"/.well-known/openid-configuration", "Origin", "https://anybody.example")
	if header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("not open: %v", header)
	}
	for _, name := range []string{"issuer", "jwks_uri", "authorization_endpoint", "token_endpoint"} {
		if c[name] == nil || c[name] != smart[name] {
			t.Errorf("%s: %v and %v", name, c[name], smart[name])
		}
	}
	if !slices.Contains(list(c, "id_token_signing_alg_values_supported"), "RS256") || slices.Contains(list(c, "id_token_signing_alg_values_supported"), "none") || len(list(c, "subject_types_supported")) == 0 {
		t.Errorf("%v", c)
	}
	jwks, _ := c["jwks_uri"].(string)
	keys, _ := s.document(t, jwks)
	for _, k := range each(keys, "keys") {
		if k["kty"] != "RSA" || k["kid"] == nil || k["use"] != "sig" || k["d"] != nil || k["p"] != nil || k["q"] != nil {
			t.Error("a published key has a wrong form")
		}
	}
	if len(each(keys, "keys")) == 0 {
		t.Error("no key")
	}
}

// TestCORSOfTheAuthorizationServer: documents are open to scripts of any
// origin, tokens to registered ones (access.md, SMART 1).
func TestCORSOfTheAuthorizationServer(t *testing.T) {
	t.Parallel()
	s := start(t) // origins are read again after five seconds
	a := newApp(t, s)
	ask := func(method, address, origin string) http.Header {
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		resp, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header
	}
	for _, name := range []string{"token", "revocation", "introspection"} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			for origin, want := range map[string]string{appOrigin: appOrigin, "https://evil.example": "", "null": "", appOrigin + ".evil.example": ""} {
				h := ask(method, a.endpoint(name), origin)
				if got := h.Get("Access-Control-Allow-Origin"); got != want || h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s %s from %s: %v", method, name, origin, h)
				}
			}
		}
	}
	for _, method := range []string{http.MethodOptions, http.MethodGet} {
		if got := ask(method, a.endpoint("authorization"), appOrigin).Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("scripts of %s may read the pages", got)
		}
	}
}
