package suite

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestStandaloneLaunchOfAPatient: a patient's app gets the patient, reads what
// is the patient's and nothing of others (access.md, SMART 4).
func TestStandaloneLaunchOfAPatient(t *testing.T) {
	t.Parallel()
	s := shared(t)
	other := s.create(t, person(""))
	a := newApp(t, s)
	g := s.newReader(t).authorize(t, a, "launch/patient openid fhirUser patient/*.rs", nil)
	if g.text("patient") != s.Patient {
		t.Fatalf("%v", g.body)
	}
	token := g.text("access_token")
	for path, want := range map[string]int{
		"/Patient/" + s.Patient:               200,
		"/Observation?patient=" + s.Patient:   200,
		"/Patient/" + other:                   404, // an unauthorised patient
		"/Patient/" + other + "/_history/1":   404,
		"/Patient/" + s.Patient + "/_history": 200,
	} {
		if status, body := s.withToken(t, token, path); status != want {
			t.Errorf("%s: %d, want %d: %.200s", path, status, want, body)
		}
	}
	if _, body := s.withToken(t, token, "/Patient?_count=100"); strings.Contains(body, other) || !strings.Contains(body, s.Patient) {
		t.Error("a search shows another patient")
	}
}

// TestPickerShowsWhomTheUserMaySee: a clinician picks a patient; one that is
// not offered cannot be picked (access.md, SMART 4).
func TestPickerShowsWhomTheUserMaySee(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	a := newApp(t, s)
	family := at(each(p, "name")[0], "family").(string)
	ask := a.asks("launch/patient patient/Patient.rs")
	v := s.newDoctor(t).login(newVisitor(t).open(ask.url()))
	v.press("Search", map[string]string{"Name": family})
	if !strings.Contains(v.page.text, family) {
		t.Fatalf("the patient is not found: %.500s", v.page.text)
	}
	v.choose(id)
	g := a.token(t, ask.redemption(v.allow(nil))).want()
	if g.text("patient") != id {
		t.Errorf("%v", g.body)
	}
	if status, _ := s.withToken(t, g.text("access_token"), "/Patient/"+s.Patient); status != 404 {
		t.Errorf("another patient: %d", status)
	}
	// A physician sees patients by relationship only.
	stranger := s.account(t, physician, "Practitioner/"+s.create(t, object{"resourceType": "Practitioner"}))
	v = newVisitor(t)
	stranger.accept(t, v)
	v.enrolTOTP(a) // who may break the glass needs a second factor
	v.open(a.asks("launch/patient patient/Patient.rs").url()).press("Search", map[string]string{"Name": family})
	if strings.Contains(v.page.text, family) || strings.Contains(v.page.body, id) {
		t.Error("the picker shows a patient whom the user may not see")
	}
}

// TestDeclinedScopesAreNotGranted: each scope can be declined, a refresh token
// is named, and declining all gives no code (access.md, SMART 5).
func TestDeclinedScopesAreNotGranted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	reader := s.newReader(t)
	scope := "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs patient/Condition.rs"
	for declined, says := range map[string]string{"offline_access": "Keep access while you are away", "patient/Observation.rs": "Measurements",
		"patient/Condition.rs": "Diagnoses", "fhirUser": "Who you are"} {
		g := reader.authorize(t, a, scope, map[string]string{says: "off"})
		if slices.Contains(g.scopes(), declined) || !slices.Contains(g.scopes(), "patient/Patient.rs") {
			t.Errorf("without %s: %v", declined, g.scopes())
		}
		if declined == "offline_access" && g.body["refresh_token"] != nil {
			t.Error("a refresh token that was declined")
		}
		for path, of := range map[string]string{"/Observation?patient=" + s.Patient: "patient/Observation.rs", "/Condition?patient=" + s.Patient: "patient/Condition.rs"} {
			want := http.StatusOK
			if of == declined {
				want = http.StatusForbidden
			}
			if status, _ := s.withToken(t, g.text("access_token"), path); status != want {
				t.Errorf("without %s: %s %d, want %d", declined, path, status, want)
			}
		}
	}
	g := s.newReader(t).authorize(t, a, "launch/patient patient/Observation.rs", map[string]string{"Read only these kinds:": "on", "Laboratory results": "on"})
	if want := "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"; !slices.Contains(g.scopes(), want) || slices.Contains(g.scopes(), "patient/Observation.rs") {
		t.Errorf("a finer alternative: %v", g.scopes())
	}
	ask := a.asks(scope)
	v := reader.login(newVisitor(t).open(ask.url())).press(buttonDecline, nil)
	if v.left == nil || v.left.Query().Get("error") != "access_denied" || v.left.Query().Get("state") != ask.query.Get("state") || v.left.Query().Has("code") {
		t.Errorf("declined: %v", v.left)
	}
}

// TestScopesLimitWhatIsRead: versions 1 and 2, granular ones, against data
// (access.md, SMART 12).
func TestScopesLimitWhatIsRead(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	reader, doctor := s.newReader(t), s.newDoctor(t)
	obs := s.create(t, observation("Patient/"+s.Patient))
	laboratory := "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
	read, search, encounter := "/Observation/"+obs, "/Observation?patient="+s.Patient, "/Encounter?patient="+s.Patient
	for _, row := range []struct {
		scope string
		by    *user
		want  map[string]int
	}{
		{"launch/patient patient/Observation.read", reader, map[string]int{read: 200, search: 200, encounter: 403}},
		{"launch/patient patient/*.read", reader, map[string]int{read: 200, search: 200, encounter: 200}},
		{"launch/patient patient/Observation.r", reader, map[string]int{read: 200, search: 403, encounter: 403}},
		{"launch/patient patient/Observation.s", reader, map[string]int{read: 403, search: 200, encounter: 403}},
		{"user/Observation.rs", doctor, map[string]int{read: 200, search: 200, encounter: 403}},
		{"user/Encounter.rs", doctor, map[string]int{read: 403, encounter: 200}},
	} {
		g := row.by.authorize(t, a, row.scope, nil)
		for path, want := range row.want {
			if status, _ := s.withToken(t, g.text("access_token"), path); status != want {
				t.Errorf("%s: %s %d, want %d", row.scope, path, status, want)
			}
		}
	}
	g := reader.authorize(t, a, "launch/patient "+laboratory, nil)
	if !slices.Contains(g.scopes(), laboratory) {
		t.Fatalf("%v", g.body)
	}
	_, all := s.withToken(t, g.text("access_token"), "/Observation?_count=1000&patient="+s.Patient)
	if !strings.Contains(all, `"code":"laboratory"`) || strings.Contains(all, `"code":"vital-signs"`) {
		t.Error("a granular scope is not what is shown")
	}
	for _, scope := range []string{"patient/Observation.dus", "patient/Observation.", "patient/*.", "patients/*.rs", "patient/observation.rs"} {
		v := newVisitor(t).open(a.asks("launch/patient " + scope).url())
		if v.left == nil || v.left.Query().Get("error") != "invalid_scope" {
			t.Errorf("%s: %v %d", scope, v.left, v.page.status)
		}
	}
}

// TestWritesNeedTheirScope: what a token may write stands in its scopes, within
// what the user may (access.md, SMART 12).
func TestWritesNeedTheirScope(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	doctor, reader := s.newDoctor(t), s.newReader(t)
	create := func(g *granted) int {
		return s.do(t, nobody, "POST", "/Observation", observation("Patient/"+s.Patient), "Authorization", "Bearer "+g.text("access_token")).status
	}
	for scope, want := range map[string]int{"user/Observation.rs": 403, "user/Observation.c": 201, "user/Observation.write": 201, "user/Patient.cruds": 403} {
		if status := create(doctor.authorize(t, a, scope, nil)); status != want {
			t.Errorf("%s: %d, want %d", scope, status, want)
		}
	}
	if status := create(reader.authorize(t, a, "launch/patient patient/*.cruds", nil)); status != 403 {
		t.Errorf("a scope gave a patient more than the policy: %d", status)
	}
}

// TestUserEndsAnApp: the apps that the user authorised are listed, and one that
// is ended has no token left (access.md, SMART 13).
func TestUserEndsAnApp(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	reader := s.newReader(t)
	ask := a.asks("launch/patient offline_access patient/Patient.rs")
	v := reader.login(newVisitor(t).open(ask.url()))
	g := a.token(t, ask.redemption(v.allow(nil))).want()
	management, _ := a.config["management_endpoint"].(string)
	if v.open(management); !strings.Contains(v.page.text, "Growth chart") {
		t.Fatalf("%d %.500s", v.page.status, v.page.text)
	}
	v.press("End access", nil)
	s.refusesSoon(t, g.text("access_token"))
	a.token(t, a.refresh(g.text("refresh_token"), "")).refused("after the user ended it", http.StatusBadRequest, "invalid_grant")
	if v.open(management); strings.Contains(v.page.text, "Growth chart") {
		t.Error("an app that was ended is listed")
	}
}

// TestLoginTellsNothingToStrangers: a wrong name and a wrong password look the
// same, forms of other sites are refused, and a stranger sees no app.
func TestLoginTellsNothingToStrangers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	doctor := s.newDoctor(t)
	attempt := func(name, password string) string {
		v := newVisitor(t).open(a.asks("user/Patient.rs").url())
		v.press(buttonLogin, map[string]string{"Name": name, "Password": password})
		if v.left != nil {
			t.Errorf("%s got in", name)
		}
		return strings.ReplaceAll(v.page.text, name, "NAME")
	}
	known, unknown := attempt(doctor.name, "wrong-"+doctor.password), attempt(unique("u"), doctor.password)
	if known != unknown {
		t.Errorf("two answers:\n%s\n%s", known, unknown)
	}
	v := newVisitor(t).open(a.asks("user/Patient.rs").url())
	f := v.page.forms[0] // without its hidden fields, as another site would send it
	v.post(v.page.url.ResolveReference(mustParse(t, f.action)).String(), url.Values{"username": {doctor.name}, "name": {doctor.name}, "password": {doctor.password}})
	if v.left != nil {
		t.Error("a form without its secret logged somebody in")
	}
}
