package app

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
)

// The demo's app: a public client on a loopback port, where a developer's own
// app may listen.
const (
	DemoApp         = "demo-app"
	DemoAppRedirect = "http://localhost:8765/callback"
	// DemoAppVerifier is the PKCE verifier of the address that DemoLaunch makes.
	DemoAppVerifier = "demo-demo-demo-demo-demo-demo-demo-demo-demo"
)

// demoScopes show what the consent page can do.
const demoScopes = "openid fhirUser offline_access launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.rs patient/MedicationRequest.cruds"

// demoApp registers the demo's app once.
func (a *App) demoApp(ctx context.Context) error {
	_, err := a.clients.Show(ctx, DemoApp)
	if !errors.Is(err, client.ErrUnknown) {
		return err
	}
	_, err = a.clients.Add(ctx, client.Client{ID: DemoApp, Name: "Demo app", Auth: client.Public,
		Redirects: []string{DemoAppRedirect, "http://127.0.0.1:8765/callback"}, Origins: []string{"http://localhost:8765", "http://127.0.0.1:8765"},
		Scopes: []string{"openid", "fhirUser", "offline_access", "online_access", "launch", "launch/patient", "launch/encounter", "patient/*.cruds", "user/*.cruds"}})
	return err
}

// DemoLaunch is an address at which the demo's app asks for access.
func DemoLaunch(base string) string {
	sum := sha256.Sum256([]byte(DemoAppVerifier))
	q := url.Values{"response_type": {"code"}, "client_id": {DemoApp}, "redirect_uri": {DemoAppRedirect}, "scope": {demoScopes}, "state": {"demo-state"}, "aud": {base},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	return strings.TrimSuffix(base, "/fhir") + oauth.Path + "/authorize?" + q.Encode()
}
