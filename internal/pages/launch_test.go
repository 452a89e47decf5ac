package pages

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

// launched is a fresh launch value for the physician and a patient, from an EHR.
func (h *house) launched(id string) string {
	h.t.Helper()
	_, err := h.clients.Add(h.t.Context(), client.Client{ID: id, Name: "EHR", Auth: client.PrivateKeyJWT, KeysURL: "https://ehr.example/jwks",
		Scopes: []string{"system/Patient.r"}, Roles: []string{"role:integration"}, Launches: true})
	h.must(err)
	bearer, err := h.tokens.Issue(h.t.Context(), token.Claims{Account: "client:" + id, Client: id, Roles: []string{"role:integration"}, Scopes: []string{"system/Patient.r"}})
	h.must(err)
	r := httptest.NewRequest(http.MethodPost, oauth.Path+"/launch", strings.NewReader(`{"client_id":"app","user":"user:dr","patient":"p2","encounter":"e1"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	w := httptest.NewRecorder()
	h.server.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return body["launch"].(string)
}

// From an EHR's call to the app's context, through the pages (access.md, SMART 4
// and 6).
func TestLaunchOfAnEHREndsInItsContext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	b := h.as("user:dr").get(authorizeURL("launch patient/Observation.rs", "launch", h.launched("ehr")))
	if !strings.Contains(b.body, "For the record of <strong>Dr Bolingbroke</strong>") {
		t.Fatal(b.body)
	}
	b.submit("decide", "answer", "allow")
	if claims, body := b.redeemed(); claims.Patient != "p2" || body["patient"] != "p2" || body["encounter"] != "e1" || body["need_patient_banner"] != true {
		t.Errorf("%+v %v", claims, body)
	}
}

// The launch of one person is no other's, whatever the other does with the page.
func TestLaunchOfAnotherPersonIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	at := authorizeURL("launch patient/Observation.rs", "launch", h.launched("ehr"))
	b := h.as("user:ann").get(at)
	if b.status != http.StatusForbidden || !strings.Contains(b.body, "Opened for somebody else") {
		t.Fatalf("%d %s", b.status, b.body)
	}
	if b.submit("deny", "answer", "deny"); b.answer().Get("error") != "access_denied" || b.answer().Has("code") {
		t.Errorf("%d %s", b.status, b.location())
	}
	recorded := false
	for _, e := range h.rec.events {
		recorded = recorded || e.Reason == "launch-of-another-user" && e.Agent.Subject == "user:ann"
	}
	if !recorded {
		t.Error("no event")
	}
	if b := h.as("user:dr").get(at); b.answer().Get("error") != "invalid_request" {
		t.Errorf("the value is good after another tried it: %d %s", b.status, b.location())
	}
}

// Apps get the look of the pages as they are (SMART App Launch 2.2,
// smart_style_url).
func TestStyleDocumentIsThatOfThePages(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("assets/pages.css")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../authz/oauth/style.json")
	if err != nil {
		t.Fatal(err)
	}
	var style map[string]string
	if err := json.Unmarshal(text, &style); err != nil {
		t.Fatal(err)
	}
	for name, variable := range map[string]string{"color_background": "back", "color_error": "error", "color_highlight": "accent", "color_success": "good",
		"color_text": "text", "dim_border_radius": "round"} {
		found := regexp.MustCompile(`--` + variable + `: ([^;]+);`).FindSubmatch(css) // the first is that of the light look
		if found == nil || string(found[1]) != style[name] {
			t.Errorf("%s is %q, the pages have %q", name, style[name], found)
		}
	}
}
