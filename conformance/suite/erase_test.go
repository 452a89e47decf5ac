package suite

import (
	"strings"
	"testing"
)

// eraseScene is a patient with an observation, another patient, and a List
// that names the first.
type eraseScene struct{ patient, observation, other, list string }

func newEraseScene(t *testing.T, s *server) (e eraseScene) {
	e.patient, e.other = s.create(t, person("")), s.create(t, person(""))
	e.observation = s.create(t, observation("Patient/"+e.patient))
	e.list = s.create(t, object{"resourceType": "List", "status": "current", "mode": "working",
		"entry": []any{object{"item": object{"reference": "Patient/" + e.patient}}, object{"item": object{"reference": "Patient/" + e.other}}}})
	return e
}

// check wants everything of the patient unreadable for everyone and everything
// else readable.
func (e eraseScene) check(t *testing.T, s *server) {
	t.Helper()
	for _, role := range []string{clinician, integration, researcher} {
		for _, path := range []string{"/Patient/" + e.patient, "/Patient/" + e.patient + "/_history/1", "/Patient/" + e.patient + "/_history",
			"/Observation/" + e.observation, "/Observation/" + e.observation + "/_history/1"} {
			if a := s.do(t, role, "GET", path, nil); a.status != 410 && a.status != 404 {
				t.Errorf("%s reads %s: %d %.300s", role, path, a.status, a.body)
			}
		}
	}
	s.do(t, clinician, "GET", "/Patient/"+e.other, nil).want(200)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
}

func erase(t *testing.T, dir, id string) object {
	t.Helper()
	code, stdout, stderr := command(t, "erase", "--data", dir, "--reason", "gdpr-art-17", "--yes", "--json", id)
	if code != 0 {
		t.Fatalf("erase: exit code %d: %s%s", code, stdout, stderr)
	}
	var report object
	decode(t, []byte(stdout), &report)
	return report
}

func TestErasedPatientStaysUnreadableAfterAnOlderBackup(t *testing.T) {
	t.Parallel()
	s := start(t)
	e := newEraseScene(t, s)
	s.stop(t)
	restore := backUpStore(t, s.dir)
	running := startOn(t, s.dir)
	running.do(t, clinician, "GET", "/Patient/"+e.patient, nil).want(200) // its key is cached
	report := erase(t, s.dir, e.patient)
	if !mentions(report, "20") { // the date on which backups fall silent
		t.Errorf("report %v", report)
	}
	e.check(t, running)
	running.do(t, integration, "PUT", "/Patient/"+e.patient, person(e.patient)).outcome(410)
	running.do(t, integration, "POST", "/Observation", observation("Patient/"+e.patient)).outcome(410)
	if l := running.do(t, clinician, "GET", "/List/"+e.list, nil).want(200); strings.Contains(string(l.body), e.patient) || !strings.Contains(string(l.body), e.other) {
		t.Errorf("the list still names the patient: %s", l.body)
	}
	verify(t, s.dir)
	running.stop(t)
	restore()
	restored := startOn(t, s.dir)
	e.check(t, restored)
	verify(t, s.dir)
}

func TestErasureWorksOfflineAndLeavesNoTraceInFiles(t *testing.T) {
	t.Parallel()
	s := start(t)
	e := newEraseScene(t, s)
	s.stop(t)
	keys := keysStatus(t, s.dir)
	erase(t, s.dir, e.patient)
	if after := keysStatus(t, s.dir); after["erased"] == keys["erased"] {
		t.Errorf("keys status counts no erased owner: %v", after)
	}
	n := needles{}
	n.add("id", e.patient)
	n.scanServer(t, s)
	verify(t, s.dir)
	again := startOn(t, s.dir)
	e.check(t, again)
	erase(t, s.dir, e.patient) // again: it resumes, and has nothing left to do
}

func TestErasureNeedsConfirmation(t *testing.T) {
	t.Parallel()
	s := shared(t)
	id := s.create(t, person(""))
	for _, args := range [][]string{{id}, {"--yes", id}, {"--reason", "x", id}, {"--yes", "--reason", "x"}} {
		if code, _, _ := command(t, append([]string{"erase", "--data", s.dir}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
	s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
}
