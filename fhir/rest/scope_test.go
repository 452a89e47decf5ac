package rest

import (
	"net/http/httptest"
	"testing"

	"github.com/fieldseal/fieldseal/authz/token"
)

// TestScopeTooNarrowIsChallenged (RFC 6750 §3.1): a token whose scopes do not
// reach is told so in the header; one whose user may not is not, or its app
// would ask for scopes that do not help.
func TestScopeTooNarrowIsChallenged(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	opaque, err := f.Issue(t.Context(), token.Claims{Account: "user:x", Client: "demo", Roles: []string{"role:researcher"},
		Scopes: []string{"user/Patient.r", "user/AuditEvent.rs"}, Purpose: "HRESCH"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/fhir/Patient":      `Bearer realm="fhir", error="insufficient_scope"`,
		"/fhir/Condition/c1": `Bearer realm="fhir", error="insufficient_scope"`,
		"/fhir/AuditEvent":   "",
	} {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "192.0.2.7:4711"
		r.Header.Set("Authorization", "Bearer "+opaque)
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		f.status(w, 403, path)
		if got := w.Header().Get("WWW-Authenticate"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
