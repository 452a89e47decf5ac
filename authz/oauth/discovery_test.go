package oauth_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/authz/oauth"
)

// covered are the capabilities that are ever claimed, each with a test of it.
var covered = map[string]func(*testing.T){
	"authorize-post":                 TestAuthorizeByFormPost,
	"client-confidential-asymmetric": TestBackendServiceGetsAToken,
	"client-confidential-symmetric":  TestClientsAuthenticateByTheirMethodOnly,
	"client-public":                  TestAppGetsTokensAndContext,
	"context-banner":                 TestLaunchGivesItsContext,
	"context-ehr-encounter":          TestLaunchGivesItsContext,
	"context-ehr-patient":            TestLaunchGivesItsContext,
	"context-standalone-patient":     TestAppGetsTokensAndContext,
	"context-style":                  TestLaunchWithoutContextGrantsNoneOfIt,
	"launch-ehr":                     TestLaunchIsBoundToUserClientAndTime,
	"launch-standalone":              TestAppGetsTokensAndContext,
	"permission-offline":             TestRefreshRotatesAndNarrows,
	"permission-online":              TestOnlineAccessEndsTheSameDay,
	"permission-patient":             TestDecisionNeverGivesMoreThanAsked,
	"permission-user":                TestAuthorizeByFormPost,
	"permission-v1":                  TestBothVersionsOfScopesAreGranted,
	"permission-v2":                  TestBothVersionsOfScopesAreGranted,
	"sso-openid-connect":             TestIDTokenSaysWhoLoggedIn,
}

// configuration is smart-configuration of a server with options.
func configuration(t *testing.T, change func(*oauth.Options)) (m map[string]any, capabilities []string) {
	t.Helper()
	n := open(t, newTables(), change)
	w := n.do(httptest.NewRequest(http.MethodGet, "/fhir/.well-known/smart-configuration", nil))
	n.must(json.Unmarshal(w.Body.Bytes(), &m))
	for _, c := range m["capabilities"].([]any) {
		capabilities = append(capabilities, c.(string))
	}
	return m, capabilities
}

// access.md, SMART 1: only capabilities that a test covers, and none whose part
// is not wired.
func TestCapabilitiesAreWhatIsWired(t *testing.T) {
	t.Parallel()
	all := slices.Sorted(maps.Keys(covered))
	ehr := []string{"context-ehr-encounter", "context-ehr-patient", "launch-ehr"}
	services := []string{"client-confidential-asymmetric", "permission-v1", "permission-v2"}
	for name, row := range map[string]struct {
		change  func(*oauth.Options)
		without []string
	}{
		"everything":   {func(o *oauth.Options) { o.Picker, o.Manage = true, "apps" }, nil},
		"registration": {func(o *oauth.Options) { o.Picker, o.Registers = true, true }, nil},
		"no picker":    {func(o *oauth.Options) {}, []string{"context-standalone-patient"}},
		"no charts":    {func(o *oauth.Options) { o.Picker, o.Charts = true, nil }, ehr},
		"no pages": {func(o *oauth.Options) { o.Picker, o.Manage, o.Interaction = true, "apps", nil },
			slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(services, c) })},
	} {
		m, got := configuration(t, row.change)
		want := slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(row.without, c) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v", name, got)
		}
		if (m["management_endpoint"] == issuer+"/apps") != (name == "everything") {
			t.Errorf("%s: management_endpoint %v", name, m["management_endpoint"])
		}
		if (m["registration_endpoint"] == issuer+"/register") != (name == "registration") || name != "registration" && m["registration_endpoint"] != nil {
			t.Errorf("%s: registration_endpoint %v", name, m["registration_endpoint"])
		}
	}
}

// What is named as an endpoint answers, and what does not is not named.
func TestEndpointsAreThoseThatAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*oauth.Options)
		want   []string
	}{
		"pages":        {nil, []string{"authorize", "introspect", "launch", "revoke", "token"}},
		"no charts":    {func(o *oauth.Options) { o.Charts = nil }, []string{"authorize", "introspect", "revoke", "token"}},
		"registration": {func(o *oauth.Options) { o.Interaction, o.Registers = nil, true }, []string{"introspect", "register", "revoke", "token"}},
		"services":     {func(o *oauth.Options) { o.Interaction = nil }, []string{"introspect", "revoke", "token"}},
	} {
		n := open(t, newTables(), row.change)
		at := n.Endpoints()
		if got := slices.Sorted(maps.Keys(at)); !slices.Equal(got, row.want) {
			t.Errorf("%s: %v", name, got)
		}
		for _, endpoint := range []string{"authorize", "introspect", "launch", "revoke", "token", "register"} {
			if _, named := at[endpoint]; named != n.Serves(oauth.Path+"/"+endpoint) {
				t.Errorf("%s: %s is named: %v", name, endpoint, named)
			}
		}
	}
}
