package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/fieldseal/fieldseal/internal/config"
)

// The CapabilityStatement names the endpoints of the authorization server, and
// they are there; that of dynamic registration when it is on.
func TestStatementNamesEndpointsThatAnswer(t *testing.T) {
	t.Parallel()
	for _, registration := range []string{config.RegistrationOff, config.RegistrationApproval} {
		t.Run(registration, func(t *testing.T) {
			t.Parallel()
			cfg := settings(t, t.TempDir())
			cfg.DynamicRegistration = registration
			a, err := Open(t.Context(), cfg, base, quiet)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = a.Close() })
			namesEndpointsThatAnswer(t, a, registration == config.RegistrationApproval)
		})
	}
}

func namesEndpointsThatAnswer(t *testing.T, a *App, registers bool) {
	if a.oauth.ConsentLifetime != config.DefaultConsentLifetime {
		t.Errorf("consents are remembered for %v", a.oauth.ConsentLifetime)
	}
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.root.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w
	}
	type extension struct {
		URL       string
		Value     string `json:"valueUri"`
		Extension []extension
	}
	var statement struct {
		Rest []struct {
			Security struct {
				Extension []extension
				Service   []struct{ Coding []struct{ Code string } }
			}
		}
	}
	if err := json.Unmarshal(ask(http.MethodGet, "/fhir/metadata").Body.Bytes(), &statement); err != nil {
		t.Fatal(err)
	}
	security := statement.Rest[0].Security
	if len(security.Service) != 2 || security.Service[0].Coding[0].Code != "SMART-on-FHIR" || security.Service[1].Coding[0].Code != "OAuth" ||
		len(security.Extension) != 1 || security.Extension[0].URL != "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris" {
		t.Fatalf("%+v", security)
	}
	named := map[string]bool{}
	for _, e := range security.Extension[0].Extension {
		named[e.URL] = true
		u, err := url.Parse(e.Value)
		if err != nil || !u.IsAbs() {
			t.Fatalf("%s: %q", e.URL, e.Value)
		}
		if w := ask(http.MethodPost, u.Path); w.Code == http.StatusNotFound {
			t.Errorf("%s is not there", e.URL)
		}
	}
	if w := ask(http.MethodPost, "/oauth/register"); (w.Code == http.StatusNotFound) == registers {
		t.Errorf("registration: %d", w.Code)
	}
	if !named["token"] || !named["introspect"] || !named["revoke"] || named["register"] != registers {
		t.Errorf("%v", named)
	}
}
