package suite

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// auditEvents reads every page of an AuditEvent search.
func (s *server) auditEvents(t *testing.T, role, query string) (events []object) {
	t.Helper()
	seen := map[any]bool{}
	for path := "/AuditEvent?" + query; path != ""; {
		a := s.do(t, role, "GET", path, nil).want(200)
		for _, e := range a.resources() {
			if seen[e["id"]] {
				t.Fatal("paging goes round in circles")
			}
			seen[e["id"]] = true
			events = append(events, e)
		}
		path = ""
		for _, l := range each(a.json(), "link") {
			if l["relation"] == "next" {
				path = strings.TrimPrefix(l["url"].(string), s.Base)
			}
		}
	}
	return events
}

// since asks for events of a time and later.
func since(at time.Time) string { return "date=ge" + at.UTC().Format(time.RFC3339) }

// roleReads counts the successful reads of a role among events.
func roleReads(events []object, role string) (n int) {
	for _, e := range events {
		for _, agent := range each(e, "agent") {
			text, _ := at(agent, "requestor").(bool)
			if text && e["action"] == "R" && e["outcome"] == "0" && mentions(agent, role) {
				n++
			}
		}
	}
	return n
}

// mentions reports whether any text below a value contains the word.
func mentions(v any, word string) bool {
	switch v := v.(type) {
	case string:
		return strings.Contains(v, word)
	case object:
		for _, m := range v {
			if mentions(m, word) {
				return true
			}
		}
	case []any:
		for _, m := range v {
			if mentions(m, word) {
				return true
			}
		}
	}
	return false
}

func TestPrivacyOfficerSeesWhoReadAPatient(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
	s.do(t, researcher, "GET", "/Patient/"+id, nil).want(200)
	s.do(t, researcher, "GET", "/Patient/"+id, nil).want(200)
	events := s.auditEvents(t, privacyOfficer, "patient=Patient/"+id)
	if c, r := roleReads(events, clinician), roleReads(events, researcher); c != 1 || r != 2 {
		t.Errorf("%d reads by the clinician, %d by the researcher, want 1 and 2; %d events", c, r, len(events))
	}
	for _, e := range events {
		if e["resourceType"] != "AuditEvent" || e["recorded"] == nil || e["type"] == nil || e["source"] == nil {
			t.Errorf("no valid AuditEvent: %v", e)
		}
		one := s.do(t, privacyOfficer, "GET", "/AuditEvent/"+e["id"].(string), nil).want(200).json()
		if one["recorded"] != e["recorded"] {
			t.Errorf("read by id differs: %v", one)
		}
	}
}

func TestPatientSeesWhoLookedAtTheOwnRecord(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.do(t, researcher, "GET", "/Patient/"+s.Patient, nil).want(200)
	if n := roleReads(s.auditEvents(t, patient, "patient="+s.Patient+"&_count=500"), researcher); n < 1 {
		t.Errorf("the researcher's read is not shown to the patient")
	}
	other := s.create(t, person(""))
	s.do(t, clinician, "GET", "/Patient/"+other, nil).want(200)
	s.do(t, patient, "GET", "/AuditEvent?patient="+other, nil).outcome(403)
	foreign := s.auditEvents(t, privacyOfficer, "patient="+other)
	foreign = slices.DeleteFunc(foreign, func(e object) bool { return mentions(e, s.Patient) }) // what another test read of both
	if len(foreign) == 0 {
		t.Fatal("no event of the other patient alone")
	}
	for _, e := range foreign {
		s.do(t, patient, "GET", "/AuditEvent/"+e["id"].(string), nil).outcome(404)
	}
	for _, e := range s.auditEvents(t, patient, "_count=500") {
		if mentions(e, other) {
			t.Fatalf("an event shows another patient: %v", e)
		}
	}
}

func TestAuditEventsCannotBeWritten(t *testing.T) { // abuse 55
	t.Parallel()
	s := start(t) // one role's token lives for 15 minutes
	body := object{"resourceType": "AuditEvent", "type": object{"code": "rest"}, "recorded": "2026-01-01T00:00:00Z",
		"agent": []any{object{"requestor": true}}, "source": object{"observer": object{"display": "x"}}}
	for role := range s.Tokens {
		s.do(t, role, "POST", "/AuditEvent", body).outcome(403)
		body["id"] = "a1"
		s.do(t, role, "PUT", "/AuditEvent/a1", body).outcome(403)
		s.do(t, role, "DELETE", "/AuditEvent/a1", nil).outcome(403)
		delete(body, "id")
	}
	tx := transaction(post(person(""), ""), object{"resource": body, "request": object{"method": "POST", "url": "AuditEvent"}})
	s.do(t, integration, "POST", "", tx).outcome(403)
}

func TestClinicianCannotReadTheAuditTrail(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, role := range []string{clinician, nurse, researcher, integration, admin} {
		s.do(t, role, "GET", "/AuditEvent?patient="+s.Patient, nil).outcome(403)
	}
}

func TestDenialsAreAudited(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	began := time.Now()
	s.do(t, nurse, "PUT", "/Patient/"+id, person(id)).outcome(403)
	denied := 0
	for _, e := range s.auditEvents(t, privacyOfficer, since(began)+"&_count=500") {
		if e["outcome"] != "0" && mentions(e["agent"], nurse) && mentions(e["entity"], id) {
			denied++
		}
	}
	if denied != 1 {
		t.Errorf("%d events of the denial, want 1", denied)
	}
}

func TestReadingTheTrailIsAudited(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	s.do(t, privacyOfficer, "GET", "/AuditEvent?patient="+id, nil).want(200)
	seen := false
	for _, e := range s.auditEvents(t, privacyOfficer, "patient="+id) {
		seen = seen || mentions(e["agent"], privacyOfficer)
	}
	if !seen {
		t.Error("the privacy officer's search left no event")
	}
}

func TestMalformedAuditSearchIsRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, q := range []string{"patient=%24ne", "date=soon", "date=xx2024", "_count=0", "_count=-1", "_page=forged", "entity=x",
		"patient:missing=true", "date=2024-13-01", "_sort=date", "%zz=1"} {
		s.do(t, privacyOfficer, http.MethodGet, "/AuditEvent?"+q, nil).outcome(400)
	}
	for _, q := range []string{"date=ge2020-01-01&date=le2100", "type=rest", "agent=nobody", "_count=1"} {
		s.do(t, privacyOfficer, http.MethodGet, "/AuditEvent?"+q, nil).want(200)
	}
}
