package federation

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
)

// OpenID Connect RP-Initiated Logout §2: people are shown where to end their
// session at the provider, if it says so and the address is https.
func TestProviderTellsWhereASessionEnds(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"":                                  "",
		"https://idp.example/bye?x=1":       "https://idp.example/bye?client_id=fieldseal&x=1",
		"http://idp.example/bye":            "",
		"javascript:alert(1)":               "",
		"https://idp.example/bye?client_id": "https://idp.example/bye?client_id=fieldseal",
	} {
		w := newWorld(t)
		w.provider.Misbehave(issuertest.Faults{Discovery: func(d issuertest.Object) { d["end_session_endpoint"] = endpoint }})
		if got := w.Leave(t.Context(), "hospital"); got != want {
			t.Errorf("%q: %q", endpoint, got)
		}
	}
	w := newWorld(t)
	if got := w.Leave(t.Context(), "nobody"); got != "" {
		t.Errorf("unknown: %q", got)
	}
	w.provider.Misbehave(issuertest.Faults{Down: true})
	if got := w.Leave(t.Context(), "hospital"); got != "" {
		t.Errorf("away: %q", got)
	}
}
