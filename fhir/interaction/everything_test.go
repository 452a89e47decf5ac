package interaction

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
)

func TestEverything(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(20)
	in := Invocation{Code: "everything", Type: "Patient", ID: "p1"}
	body, err := p.operateAs("clinician", in)
	p.must(err)
	all, _ := p.entries(body)
	if len(all) != 25 || all[0] != "Patient/p1" || slices.Contains(all, "Observation/other") || !slices.Contains(all, "Practitioner/dr") || !slices.Contains(all, "Organization/lab") {
		t.Errorf("%d: %v", len(all), all)
	}
	for _, c := range []struct {
		query string
		want  int
	}{
		{"_type=Observation", 20}, {"_type=Practitioner,Encounter", 2}, {"_type=Patient", 1}, {"_since=2999-01-01T00:00:00Z", 0},
		{"start=2020&end=2020", 6}, // patient, encounter, the condition that goes on, one observation, two referred to
		{"start=1999&end=2001", 3}, // patient, condition, practitioner
		{"end=1990", 2},
	} {
		in.Query = c.query
		body, err := p.operateAs("clinician", in)
		p.must(err)
		if got, _ := p.entries(body); len(got) != c.want {
			t.Errorf("%s: %d entries: %v", c.query, len(got), got)
		}
	}
	in.Query = "_count=4"
	var paged []string
	for pages := 0; pages < 10; pages++ {
		body, err := p.operateAs("clinician", in)
		p.must(err)
		ids, next := p.entries(body)
		paged = append(paged, ids...)
		if len(ids) > 4 {
			t.Errorf("a page of %d", len(ids))
		}
		if next == "" {
			break
		}
		_, in.Query, _ = strings.Cut(next, "?")
	}
	if !slices.Equal(paged, all) {
		t.Errorf("pages gave %v, want %v", paged, all)
	}
	for _, bad := range []string{"_count=0", "_type=Nonsense", "_since=2020", "start=x", "end=x", "name=x", "_page=forged", "%"} {
		in.Query = bad
		a, err := p.Operate(t.Context(), p.as("clinician"), in)
		p.refused(a, err, Malformed)
	}
}

func TestEncounterEverything(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(3)
	body, err := p.operateAs("clinician", Invocation{Code: "everything", Type: "Encounter", ID: "e"})
	p.must(err)
	got, _ := p.entries(body)
	slices.Sort(got)
	if want := []string{"Encounter/e", "Observation/o0", "Observation/o1", "Observation/o2", "Organization/lab", "Patient/p1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestEverythingShowsNoMoreThanReads(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(2)
	in := Invocation{Code: "everything", Type: "Patient", ID: "p1"}
	body, err := p.operateAs("clerk", in)
	p.must(err)
	if bytes.Contains(body, []byte("m4711")) || bytes.Contains(body, []byte("Muster")) || !bytes.Contains(body, []byte("REDACTED")) {
		t.Errorf("%s", body)
	}
	for _, role := range []string{"admin", "privacy-officer"} {
		a, err := p.Operate(t.Context(), p.as(role), in)
		p.refused(a, err, Denied)
	}
	in.ID = "p2" // the demo patient is p1
	a, err := p.Operate(t.Context(), p.as("patient"), in)
	p.refused(a, err, NotFound)
	in.ID = ""
	a, err = p.Operate(t.Context(), p.as("patient"), in)
	p.refused(a, err, Denied)
	body, err = p.operateAs("clinician", in)
	p.must(err)
	if got, _ := p.entries(body); !slices.Contains(got, "Observation/other") || len(got) != 9 {
		t.Errorf("all patients: %v", got)
	}
}

// No chunk leaves without a record of what it discloses.
func TestStreamStopsWhenTheTrailFails(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(300)
	in := Invocation{Code: "everything", Type: "Patient", ID: "p1"}
	before := len(p.rec.events)
	body, err := p.operateAs("clinician", in)
	p.must(err)
	recorded := p.rec.events[before:]
	if recorded[0].Outcome != audit.Intent || len(recorded) < 4 {
		t.Fatalf("%d events, the first is %+v", len(recorded), recorded[0])
	}
	disclosed := 0
	for _, e := range recorded[1:] {
		disclosed += len(e.Entities)
	}
	if ids, _ := p.entries(body); disclosed != len(ids) {
		t.Errorf("%d resources recorded, %d sent", disclosed, len(ids))
	}
	a, err := p.Operate(t.Context(), p.as("clinician"), in)
	p.must(err)
	p.rec.fail(always)
	chunks := 0
	var last error
	for chunk, err := range a.Chunks(t.Context()) {
		if last = err; err == nil && len(chunk) > 0 {
			chunks++
		}
	}
	if chunks != 1 || !errors.Is(last, audit.ErrUnavailable) {
		t.Errorf("%d chunks, then %v", chunks, last)
	}
	a, err = p.Operate(t.Context(), p.as("clinician"), in)
	p.refused(a, err, Unavailable)
}

// A stream that a crash cut off leaves an intent; what was sent has events of
// its own.
func TestInterruptedStreamIsConcludedAtTheNextStart(t *testing.T) {
	t.Parallel()
	p := newLives(t)
	p.chart(30)
	p.restart()
	if _, err := p.Recover(t.Context()); err != nil { // of what the chart left
		t.Fatal(err)
	}
	a, err := p.Operate(t.Context(), p.as("clinician"), Invocation{Code: "everything", Type: "Patient", ID: "p1"})
	p.must(err)
	p.restart()
	p.recover("nothing-to-compare Patient")
	a.stop(nil)
}
