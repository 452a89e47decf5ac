package suite

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// sameAnswer reports a difference between two answers that a caller could
// tell them apart by.
func sameAnswer(t *testing.T, what string, a, b *answer) {
	t.Helper()
	clean := func(a *answer) http.Header {
		h := a.header.Clone()
		h.Del("X-Request-Id")
		h.Del("Date")
		return h
	}
	if a.status != b.status || string(a.body) != string(b.body) || !maps.EqualFunc(clean(a), clean(b), slices.Equal) {
		t.Errorf("%s tells them apart: %d %v %s\n%d %v %s", what, a.status, a.header, a.body, b.status, b.header, b.body)
	}
}

func TestAnotherPatientLooksLikeAnUnknownOne(t *testing.T) { // abuse 41, 42
	t.Parallel()
	s := shared(t)
	other := s.create(t, person(""))
	obs := s.create(t, observation("Patient/"+other))
	gone := s.create(t, person(""))
	s.do(t, integration, "DELETE", "/Patient/"+gone, nil).want(204)
	for _, c := range []struct{ known, unknown string }{
		{"/Patient/" + other, "/Patient/" + unique("none-")}, {"/Observation/" + obs, "/Observation/" + unique("none-")},
		{"/Patient/" + gone, "/Patient/" + unique("none-")},
	} {
		for _, suffix := range []string{"", "/_history/1", "/_history/2", "/_history"} {
			for _, method := range []string{"GET", "HEAD"} {
				a := s.do(t, patient, method, c.known+suffix, nil).want(404)
				sameAnswer(t, method+" "+suffix, a, s.do(t, patient, method, c.unknown+suffix, nil))
			}
		}
		body := person(c.known[strings.LastIndexByte(c.known, '/')+1:])
		if strings.HasPrefix(c.known, "/Patient") {
			s.do(t, patient, "PUT", c.known, body).outcome(403)
		}
		s.do(t, patient, "DELETE", c.known, nil).outcome(403)
	}
	own := s.do(t, patient, "GET", "/Patient?_id="+s.Patient+","+other, nil).want(200)
	if n := len(own.resources()); n != 1 || own.json()["total"] == nil || strings.Contains(string(own.body), `"id":"`+other) {
		t.Errorf("a search by id shows %d patients: %s", n, own.body)
	}
	if rs := s.do(t, patient, "POST", "", bundle("batch", []object{{"request": object{"method": "GET", "url": "Patient/" + other}}})).want(200).responses(); rs[0]["status"] != "404" {
		t.Errorf("a batch reads another patient: %v", rs)
	}
}

func TestResearcherCannotAskByIdentifier(t *testing.T) { // abuse 46, 53
	t.Parallel()
	s := shared(t)
	p := person("")
	s.create(t, p)
	hit := s.do(t, researcher, "GET", "/Patient?identifier="+identifierOf(p), nil).outcome(403)
	miss := s.do(t, researcher, "GET", "/Patient?identifier=urn:suite|"+unique("none-"), nil).outcome(403)
	sameAnswer(t, "identifier", hit, miss)
	for _, value := range []string{identifierOf(p), "urn:suite|" + unique("none-")} {
		s.do(t, researcher, "POST", "/Patient", person(""), "If-None-Exist", "identifier="+value).outcome(403)
		b := bundle("batch", []object{{"request": object{"method": "GET", "url": "Patient?identifier=" + url.QueryEscape(value)}}})
		if rs := s.do(t, researcher, "POST", "", b).want(200).responses(); rs[0]["status"] != "403" {
			t.Errorf("asked through a batch: %v", rs[0])
		}
		s.do(t, researcher, "POST", "", transaction(post(observation("Patient?identifier="+value), ""))).outcome(403)
	}
	if a := s.do(t, researcher, "GET", "/Patient?_id="+s.Patient+"&_elements=name", nil); a.status == 200 && at(a.resources()[0], "name") != nil { // abuse 52
		t.Error("_elements brings a hidden element back")
	}
}

func TestResearcherSeesNoIdentityInOlderVersionsOrBundles(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	p["id"], p["active"] = id, false
	s.do(t, integration, "PUT", "/Patient/"+id, p).want(200)
	family := at(p, "name", 0, "family").(string)
	mrn := at(p, "identifier", 0, "value").(string)
	s.do(t, researcher, "GET", "/Patient/"+id+"/_history/1", nil).outcome(404) // no version has a number for research
	for _, path := range []string{"/Patient/" + id, "/Patient/" + id + "/_history", "/Patient?_id=" + id} {
		a := s.do(t, researcher, "GET", path, nil).want(200)
		if strings.Contains(string(a.body), family) || strings.Contains(string(a.body), mrn) || strings.Contains(string(a.body), "1974-12-25") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	rs := s.do(t, researcher, "POST", "", bundle("batch", []object{{"request": object{"method": "GET", "url": "Patient/" + id}}})).want(200)
	if strings.Contains(string(rs.body), family) {
		t.Errorf("batch: %s", rs.body)
	}
}

func TestReferenceDisplayHidesTheNameFromResearch(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := s.create(t, person(""))
	o := observation("Patient/" + p)
	name := unique("Displayed")
	o["subject"].(object)["display"] = name
	o["note"] = []any{object{"text": "said " + name}}
	id := s.create(t, o)
	a := s.do(t, researcher, "GET", "/Observation/"+id, nil).want(200)
	if strings.Contains(string(a.body), name) || at(a.json(), "status") != "final" {
		t.Errorf("%s", a.body)
	}
}

func TestTokenInTheQueryIsRefused(t *testing.T) { // abuse 34
	t.Parallel()
	s := shared(t)
	token := s.Tokens[clinician]
	for _, path := range []string{"/Patient/" + s.Patient + "?access_token=" + token, "/metadata?access_token=" + token, "/Patient?_id=x&access_token=" + token} {
		for _, role := range []string{nobody, clinician} {
			a := s.do(t, role, "GET", path, nil).outcome(400)
			if strings.Contains(string(a.body), token) {
				t.Error("the token is repeated")
			}
		}
	}
	if strings.Contains(s.stderr.String(), token) {
		t.Error("the token is logged")
	}
}

func TestAWriteCannotMoveAResourceToAnotherPatient(t *testing.T) { // abuse 54
	t.Parallel()
	s := shared(t)
	a, b := s.create(t, person("")), s.create(t, person(""))
	id := s.create(t, observation("Patient/"+a))
	moved := observation("Patient/" + b)
	moved["id"] = id
	s.do(t, clinician, "PUT", "/Observation/"+id, moved).outcome(403)
	s.do(t, integration, "PUT", "/Observation/"+id, moved).want(200)
}

func TestHostileSearchValuesAreRefusedQuickly(t *testing.T) { // abuse 60
	t.Parallel()
	s := shared(t)
	for name, q := range map[string]string{
		"10 kB": "identifier=" + strings.Repeat("a", 10<<10), "500 values": "identifier=" + strings.Repeat("a,", 500) + "a",
		"500 conditions": strings.Repeat("identifier=a&", 500), "20 hops": "general-practitioner" + strings.Repeat(".organization", 20) + ".name=x",
		"bad escape": "identifier=%zz", "operator": "identifier[$ne]=", "id operator": "_id=$ne", "too many bars": "identifier=a|b|c",
	} {
		began := time.Now()
		s.do(t, integration, "GET", "/Patient?"+q, nil).outcome(400)
		if d := time.Since(began); d > tooLong {
			t.Errorf("%s: %s", name, d)
		}
	}
	for _, q := range []string{"identifier=(a%2B)%2B$", "identifier=.*", "identifier=%25", "identifier=%7B%22$gt%22:%22%22%7D"} {
		if n := s.total(t, "/Patient?"+q); n != 0 {
			t.Errorf("%s matches %d", q, n)
		}
	}
}

func TestClinicianRoundTripOfARedactedReadLosesNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.create(t, p)
	redacted := s.do(t, researcher, "GET", "/Patient/"+id, nil).want(200).json()
	s.do(t, researcher, "PUT", "/Patient/"+id, redacted).outcome(403)
	if got := s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200).json(); at(got, "name", 0, "family") != at(p, "name", 0, "family") {
		t.Error("the name was lost")
	}
}
