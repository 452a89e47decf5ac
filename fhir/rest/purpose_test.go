package rest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fieldseal/fieldseal/authz/token"
)

// TestPurposeHeaderOnlyNarrows: a request may name one of the purposes that its
// token allows; it can claim no other, two, or an emergency.
func TestPurposeHeaderOnlyNarrows(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	opaque, err := f.Issue(t.Context(), token.Claims{Account: "user:x", Client: "demo", Roles: []string{"role:clinician"}, Scopes: []string{"user/*.rs"},
		Purpose: "TREAT", Purposes: []string{"HPAYMT"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		values []string
		want   int
	}{
		{"none", nil, 200}, {"the token's", []string{"TREAT"}, 200}, {"another that it allows", []string{"HPAYMT"}, 200},
		{"research", []string{"HRESCH"}, 403}, {"an emergency", []string{"BTG"}, 403}, {"any", []string{"*"}, 403}, {"lower case", []string{"treat"}, 403},
		{"two", []string{"TREAT", "HPAYMT"}, 400}, {"a list", []string{"TREAT, HPAYMT"}, 403}, {"empty", []string{""}, 400},
	} {
		r := httptest.NewRequest("GET", "/fhir/Patient", nil)
		r.RemoteAddr = "192.0.2.7:4711"
		r.Header.Set("Authorization", "Bearer "+opaque)
		r.Header["X-Purpose-Of-Use"] = c.values
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if f.status(w, c.want, c.name); c.want == http.StatusForbidden && w.Body.Len() > 400 {
			t.Errorf("%s: %s", c.name, w.Body)
		}
	}
}

func TestNoTokenCarriesAnEmergency(t *testing.T) {
	t.Parallel()
	f := newFace(t, nil)
	for _, c := range []token.Claims{{Purpose: "BTG"}, {Purpose: "TREAT", Purposes: []string{"BTG"}}} {
		c.Account, c.Client, c.Roles, c.Scopes = "user:x", "demo", []string{"role:clinician"}, []string{"user/*.rs"}
		if _, err := f.Issue(t.Context(), c); err == nil {
			t.Errorf("issued %+v", c)
		}
	}
}
