package suite

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// curlLine matches a printed line: its headers, the body if there is one, the
// address.
var (
	curlLine   = regexp.MustCompile(`(?m)^curl -s((?: -H '[^']+')+)(?: -d '([^']*)')? '([^']+)'$`)
	curlHeader = regexp.MustCompile(`-H '([^:']+): ([^']+)'`)
)

// The curl lines that --demo prints work when pasted.
func TestEveryPrintedCurlLineWorks(t *testing.T) {
	t.Parallel()
	s := start(t) // one of them works for 15 minutes
	lines := curlLine.FindAllStringSubmatch(s.stdout.String(), -1)
	if len(lines) != len(s.Tokens) || len(lines) != 11 {
		t.Fatalf("%d curl lines for %d roles:\n%s", len(lines), len(s.Tokens), s.stdout)
	}
	for _, l := range lines {
		method := http.MethodGet
		if l[2] != "" {
			method = http.MethodPost
		}
		r, err := http.NewRequestWithContext(t.Context(), method, l[3], strings.NewReader(l[2]))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range curlHeader.FindAllStringSubmatch(l[1], -1) {
			r.Header.Set(h[1], h[2])
		}
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", l[3], res.StatusCode)
		}
	}
}

func TestClinicianReadsAndUpdatesAPatient(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	read := s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
	if read.header.Get("ETag") != `W/"1"` || read.header.Get("Last-Modified") == "" {
		t.Errorf("ETag %q, Last-Modified %q", read.header.Get("ETag"), read.header.Get("Last-Modified"))
	}
	p["id"], p["birthDate"] = id, "1974-12-26"
	up := s.do(t, clinician, "PUT", "/Patient/"+id, p, "If-Match", `W/"1"`).want(200)
	if up.header.Get("ETag") != `W/"2"` || up.json()["birthDate"] != "1974-12-26" {
		t.Errorf("ETag %q, body %s", up.header.Get("ETag"), up.body)
	}
	s.do(t, clinician, "PUT", "/Patient/"+id, p, "If-Match", `W/"1"`).outcome(412)
	if got := s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200).header.Get("ETag"); got != `W/"2"` {
		t.Errorf("a refused update left ETag %s", got)
	}
}

// hiddenFromResearch are the elements of Patient that the researcher's classes
// exclude.
var hiddenFromResearch = []string{"identifier", "name", "telecom", "contact", "text", "photo",
	"_name", "_identifier", "_telecom", "_address"}

func TestResearcherSeesTheSamePatientRedacted(t *testing.T) {
	t.Parallel()
	s := shared(t)
	whole := s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200).json()
	a := s.do(t, researcher, "GET", "/Patient/"+s.Patient, nil).want(200)
	redacted := a.json()
	for _, name := range hiddenFromResearch {
		if redacted[name] != nil {
			t.Errorf("%s is visible", name)
		}
	}
	for _, address := range each(redacted, "address") { // state and country are derived, limited elements
		for name := range address {
			if name != "state" && name != "country" {
				t.Errorf("address.%s is visible", name)
			}
		}
	}
	for _, name := range []string{"identifier", "name", "address", "birthDate", "gender"} {
		if whole[name] == nil {
			t.Errorf("the clinician does not see %s", name)
		}
	}
	if redacted["gender"] != whole["gender"] {
		t.Errorf("gender %v, want %v", redacted["gender"], whole["gender"])
	}
	if year := whole["birthDate"].(string)[:4]; redacted["birthDate"] != year {
		t.Errorf("birthDate %v, want %s", redacted["birthDate"], year)
	}
	family, _ := at(whole, "name", 0, "family").(string)
	if family == "" || bytes.Contains(a.body, []byte(family)) {
		t.Error("the family name leaves somewhere else")
	}
	if !hasCode(redacted, "security", "REDACTED") || !hasCode(redacted, "tag", "SUBSETTED") {
		t.Errorf("meta does not say REDACTED and SUBSETTED: %v", redacted["meta"])
	}
}

func hasCode(r object, list, code string) bool {
	meta, _ := r["meta"].(object)
	for _, c := range each(meta, list) {
		if c["code"] == code {
			return true
		}
	}
	return false
}

func TestRedactedETagServesIfNoneMatchAndHidesHiddenChanges(t *testing.T) { // abuse 56
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	before := s.do(t, researcher, "GET", "/Patient/"+id, nil).want(200)
	s.do(t, researcher, "GET", "/Patient/"+id, nil, "If-None-Match", before.header.Get("ETag")).want(304)
	if strings.Contains(before.header.Get("ETag"), `"1"`) {
		t.Error("the tag of a redacted view is the version")
	}
}

func TestPatientReadsTheOwnRecordOnly(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.do(t, patient, "GET", "/Patient/"+s.Patient, nil).want(200)
	other := s.create(t, person(""))
	s.do(t, patient, "GET", "/Patient/"+other, nil).outcome(404)
	own := person(s.Patient)
	s.do(t, patient, "PUT", "/Patient/"+s.Patient, own).outcome(403)
	s.do(t, patient, "DELETE", "/Patient/"+s.Patient, nil).outcome(403)
}

func TestAdminSeesNoPatientData(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{"/Patient/" + s.Patient, "/Patient/" + s.Patient + "/_history", "/Patient?_id=" + s.Patient,
		"/AuditEvent?patient=" + s.Patient, "/Patient/unknown"} {
		s.do(t, admin, "GET", path, nil).outcome(403)
	}
	s.do(t, admin, "POST", "/Patient", person("")).outcome(403)
}

func TestPrivacyOfficerSeesNoClinicalData(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.do(t, privacyOfficer, "GET", "/Patient/"+s.Patient, nil).outcome(403)
	s.do(t, privacyOfficer, "GET", "/Observation?_id=x", nil).outcome(403)
}

func TestNurseReadsButDoesNotWrite(t *testing.T) {
	t.Parallel()
	s := shared(t)
	if s.do(t, nurse, "GET", "/Patient/"+s.Patient, nil).want(200).json()["name"] == nil {
		t.Error("the nurse does not see the name")
	}
	s.do(t, nurse, "PUT", "/Patient/"+s.Patient, person(s.Patient)).outcome(403)
	s.do(t, nurse, "POST", "/Patient", person("")).outcome(403)
}

func TestWithoutAValidTokenNothingIsServed(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct{ name, authorization, challenge string }{
		{"none", "", `Bearer realm="fhir"`},
		{"basic", "Basic dXNlcjpwYXNz", `Bearer realm="fhir"`},
		{"unknown", "Bearer not-a-token", `error="invalid_token"`},
		{"alg none (25)", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", `error="invalid_token"`},
		{"10 kB (27)", "Bearer " + strings.Repeat("A", 10<<10), `error="invalid_token"`},
		{"SQL", "Bearer ' OR 1=1 --", `error="invalid_token"`},
		{"altered", "Bearer " + flipLast(s.Tokens[clinician]), `error="invalid_token"`},
	} {
		for _, path := range []string{"/Patient/" + s.Patient, "/Patient/unknown", "/AuditEvent", "/Nonsense/1"} {
			var headers []string
			if c.authorization != "" {
				headers = []string{"Authorization", c.authorization}
			}
			a := s.do(t, nobody, "GET", path, nil, headers...).outcome(401)
			got := a.header.Get("WWW-Authenticate")
			if !strings.HasPrefix(got, "Bearer") || !strings.Contains(got, c.challenge) {
				t.Errorf("%s: WWW-Authenticate %q, want %q", c.name, got, c.challenge)
			}
			if c.challenge == `Bearer realm="fhir"` && strings.Contains(got, "error=") {
				t.Errorf("%s: an error without a token", c.name)
			}
		}
	}
}

func flipLast(s string) string {
	last := byte('A')
	if s[len(s)-1] == last {
		last = 'B'
	}
	return s[:len(s)-1] + string(last)
}
