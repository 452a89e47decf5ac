package suite

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// ehr is a backend service that may launch apps.
type ehr struct {
	s     *server
	token string
	at    string // the launch endpoint
}

func newEHR(t testing.TB, s *server) *ehr {
	t.Helper()
	endpoint := s.origin() + "/oauth/token"
	b := register(t, s, unique("ehr-"), "system/Patient.rs", "--launches")
	_, got := s.serviceToken(t, endpoint, b.assertion(t, endpoint, nil), "system/Patient.rs")
	token, _ := got["access_token"].(string)
	return &ehr{s, token, s.origin() + "/oauth/launch"}
}

// launch asks for a launch and returns the answer.
func (e *ehr) launch(t testing.TB, call object) *answer {
	t.Helper()
	return e.s.beside(t, e.at, "Bearer "+e.token, call)
}

// beside posts JSON to an endpoint beside the FHIR base.
func (s *server) beside(t testing.TB, address, authorization string, body any) *answer {
	t.Helper()
	c := *s
	c.Base = s.origin()
	return c.do(t, nobody, http.MethodPost, strings.TrimPrefix(address, c.Base), body, "Content-Type", "application/json", "Authorization", authorization)
}

// TestEHRLaunchCarriesItsContext (access.md, SMART 4): the EHR starts an app
// for its user; the app gets patient, encounter and what else is in context.
func TestEHRLaunchCarriesItsContext(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	e := newEHR(t, s)
	doctor := s.newDoctor(t)
	encounter := s.create(t, object{"resourceType": "Encounter", "status": "in-progress", "class": object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
		"subject": object{"reference": "Patient/" + s.Patient}})
	study := s.create(t, observation("Patient/"+s.Patient))
	style := "https://ehr.example/style.json"
	call := object{"client_id": a.id, "user": doctor.account, "patient": s.Patient, "encounter": encounter, "need_patient_banner": false, "smart_style_url": style,
		"fhirContext": []any{object{"reference": "Observation/" + study}}}
	launched := e.launch(t, call).want(200).json()
	ask := a.asks("launch openid fhirUser user/Patient.rs")
	ask.query.Set("launch", launched["launch"].(string))
	code := doctor.login(newVisitor(t).open(ask.url())).allow(nil)
	g := a.token(t, ask.redemption(code)).want()
	if g.text("patient") != s.Patient || g.text("encounter") != encounter || g.body["need_patient_banner"] != false || g.text("smart_style_url") != style ||
		!mentions(g.body["fhirContext"], "Observation/"+study) {
		t.Errorf("%v", g.body)
	}
	// The value is used up.
	v := newVisitor(t).open(ask.url())
	if v.page.status < 400 && v.left == nil {
		v = doctor.login(v)
	}
	if v.left == nil || v.left.Query().Get("error") == "" || v.left.Query().Has("code") {
		t.Errorf("a launch works twice: %v %d", v.left, v.page.status)
	}
}

// TestLaunchIsForItsUserAndApp (access.md, SMART 4).
func TestLaunchIsForItsUserAndApp(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a, other := newApp(t, s), newApp(t, s)
	e := newEHR(t, s)
	doctor, colleague := s.newDoctor(t), s.newDoctor(t)
	value := func() string {
		return e.launch(t, object{"client_id": a.id, "user": doctor.account, "patient": s.Patient}).want(200).json()["launch"].(string)
	}
	refused := func(name string, v *visitor) {
		if v.left != nil && v.left.Query().Has("code") {
			t.Errorf("%s got a code", name)
		}
		if v.asked() {
			t.Errorf("%s is asked for consent", name)
		}
	}
	ask := a.asks("launch user/Patient.rs")
	ask.query.Set("launch", value())
	refused("a colleague", colleague.login(newVisitor(t).open(ask.url())))
	ask = other.asks("launch user/Patient.rs")
	ask.query.Set("launch", value())
	refused("another app", newVisitor(t).open(ask.url()))
	ask = a.asks("launch user/Patient.rs")
	refused("no launch", newVisitor(t).open(ask.url()))

	for name, call := range map[string]object{
		"an unknown app":      {"client_id": unique("nobody-"), "user": doctor.account, "patient": s.Patient},
		"an unknown user":     {"client_id": a.id, "user": "user:" + unique("nobody-"), "patient": s.Patient},
		"no user":             {"client_id": a.id, "patient": s.Patient},
		"an unknown patient":  {"client_id": a.id, "user": doctor.account, "patient": unique("none-")},
		"an unknown member":   {"client_id": a.id, "user": doctor.account, "patient": s.Patient, "admin": true},
		"a script as a style": {"client_id": a.id, "user": doctor.account, "patient": s.Patient, "smart_style_url": "javascript:alert(1)"},
	} {
		if got := e.launch(t, call); got.status < 400 || got.status > 499 || strings.Contains(string(got.body), "fsl_") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	for name, authorization := range map[string]string{"nobody": "", "a demo user": "Bearer " + s.Tokens[clinician], "a service that launches nothing": "Bearer " + s.ordinaryService(t)} {
		if got := s.beside(t, e.at, authorization, object{"client_id": a.id, "user": doctor.account, "patient": s.Patient}); got.status != 401 && got.status != 403 {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func (s *server) ordinaryService(t testing.TB) string {
	t.Helper()
	endpoint := s.origin() + "/oauth/token"
	_, got := s.serviceToken(t, endpoint, register(t, s, unique("svc-"), "system/Patient.rs").assertion(t, endpoint, nil), "system/Patient.rs")
	token, _ := got["access_token"].(string)
	return token
}

// TestLaunchIsUsedOnce: of eight browsers with one launch, one gets a code.
func TestLaunchIsUsedOnce(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	doctor := s.newDoctor(t)
	value := newEHR(t, s).launch(t, object{"client_id": a.id, "user": doctor.account, "patient": s.Patient}).want(200).json()["launch"].(string)
	ask := a.asks("launch user/Patient.rs")
	ask.query.Set("launch", value)
	tabs := make([]*visitor, 8)
	for i := range tabs {
		tabs[i] = doctor.login(newVisitor(t).open(ask.url()))
	}
	var wg sync.WaitGroup
	var codes atomic.Int32
	for _, v := range tabs {
		wg.Go(func() {
			if left := v.press(buttonAllow, nil).left; left != nil && left.Query().Has("code") {
				codes.Add(1)
			}
		})
	}
	wg.Wait()
	if codes.Load() != 1 {
		t.Errorf("%d codes for one launch", codes.Load())
	}
}
