package suite

import (
	"encoding/json"
	"strings"
	"testing"
)

func decode(t testing.TB, b []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func TestValidationListsEveryFaultWithItsExpression(t *testing.T) {
	t.Parallel()
	s := shared(t)
	marker := unique("value-")
	body := `{"resourceType":"Patient","gender":"` + marker + `","birthDate":"1974-99-99","active":"` + marker + `","deceasedBoolean":true,"deceasedDateTime":"2020",` +
		`"name":{"family":"x"},"contact":[{"gender":"female","surprise":1}],"link":[{"other":{"reference":"Observation/1"}}]}`
	a := s.do(t, integration, "POST", "/Patient", body).outcome(422)
	for _, want := range []string{"Patient.gender", "Patient.birthDate", "Patient.active", "Patient.deceased", "Patient.name",
		"Patient.contact[0].surprise", "Patient.link[0].other", "Patient.link[0].type"} {
		found := false
		for _, i := range each(a.json(), "issue") {
			list, _ := i["expression"].([]any)
			for _, e := range list {
				text, _ := e.(string)
				found = found || strings.HasPrefix(text, want)
			}
			if i["severity"] == nil || i["code"] == nil {
				t.Errorf("issue without severity or code: %v", i)
			}
		}
		if !found {
			t.Errorf("no issue for %s: %s", want, a.body)
		}
	}
	if strings.Contains(string(a.body), marker) {
		t.Error("a value is repeated in the outcome")
	}
}

func TestUnknownTypeIDAndMismatchAreToldApart(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.do(t, clinician, "GET", "/Nonsense/1", nil).outcome(404)
	s.do(t, clinician, "POST", "/Nonsense", `{"resourceType":"Nonsense"}`).outcome(404)
	s.do(t, clinician, "POST", "/Patient", `{"resourceType":"Observation"}`).outcome(400)
	s.do(t, clinician, "POST", "/Patient", `{"resourceType":"Patient"`).outcome(400)
	s.do(t, clinician, "POST", "/Patient", `[]`).outcome(400)
	s.do(t, clinician, "POST", "/Patient", ``).outcome(400)
	s.do(t, clinician, "POST", "/Patient", `{}`).outcome(400)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient+"/_history/x", nil).outcome(404)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient+"/_history/01", nil).outcome(404)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient+"/_history/99999999999999999999999", nil).outcome(404)
}
