package event_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/event"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

var update = flag.Bool("update", false, "write the golden files")

const base = "http://127.0.0.1:8080/fhir"

func entry(subtype string, action audit.Action) audit.Entry {
	return audit.Entry{
		Origin: "n1", Seq: 123, Time: time.Date(2026, 11, 23, 10, 20, 30, 456789000, time.UTC),
		Event: audit.Event{
			Kind: audit.REST, Subtype: subtype, Action: action, Outcome: audit.Success,
			Agent: audit.Agent{Subject: "user:dr-demo", Who: "Practitioner/p1", Client: "demo", Roles: []string{"role:clinician"},
				Purpose: "TREAT", Address: "192.0.2.7"},
			Entities: []audit.Entity{{Type: "Observation", ID: "o1", Version: 3, Classes: 0x46,
				Patients: []audit.Owner{{1}}, PatientIDs: []string{"pat1"}}},
			RequestID: "76d148b6", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", PolicyRevision: "7",
		},
	}
}

func cases() map[string]audit.Entry {
	out := map[string]audit.Entry{
		"patient-read": entry("read", audit.Read), "patient-create": entry("create", audit.Create),
		"patient-update": entry("update", audit.Update), "patient-delete": entry("delete", audit.Delete),
	}
	q := entry("search-type", audit.Execute)
	q.Query = "code=http://loinc.org|1-8&name=<M&ü>"
	out["patient-query"] = q
	q.Entities = append(q.Entities, audit.Entity{Type: "Encounter", ID: "e1", Version: 1, Patients: []audit.Owner{{2}}, PatientIDs: []string{"pat2"}})
	out["query-about-two-patients"] = q
	n := entry("read", audit.Read)
	n.Entities = []audit.Entity{{Type: "Organization", ID: "org1", Version: 1, Classes: 0x80}}
	out["read-without-patient"] = n
	e := entry("read", audit.Read)
	e.Entities = []audit.Entity{{Type: "Observation", Classes: 0x46, Erased: true, Patients: []audit.Owner{{}}, PatientIDs: []string{""}}}
	out["read-of-an-erased-patient"] = e
	d := entry("read", audit.Read)
	d.Outcome, d.Reason = audit.MinorFailure, "denied"
	out["denial"] = d
	i := entry("update", audit.Update)
	i.Outcome = audit.Intent
	out["intent"] = i
	o := entry("update", audit.Update)
	o.Outcome, o.IntentSeq, o.Seq = audit.Unknown, 123, 124
	out["unknown-outcome"] = o
	out["login-failure"] = audit.Entry{Origin: "n1", Seq: 5, Time: e.Time, Event: audit.Event{Kind: audit.Login, Subtype: "failure",
		Action: audit.Execute, Outcome: audit.MinorFailure, Reason: "bad-token x12", Agent: audit.Agent{Address: "192.0.2.9"}}}
	out["start"] = audit.Entry{Origin: "n1", Seq: 1, Time: e.Time, Event: audit.Event{Kind: audit.System, Subtype: "start",
		Action: audit.Execute, Outcome: audit.Success}}
	out["key-rotation"] = audit.Entry{Origin: "n1", Seq: 9, Time: e.Time, Event: audit.Event{Kind: audit.Security, Subtype: "key-rotate",
		Action: audit.Execute, Outcome: audit.MajorFailure, Agent: audit.Agent{Subject: "user:admin"}}}
	return out
}

func TestRenderedEventsAreValidAndStable(t *testing.T) {
	t.Parallel()
	v := validation.New(definition.Default())
	for name, e := range cases() {
		b, err := event.Render(e, base)
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Parse(b, fhir.DefaultLimits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, i := range v.Validate(r) {
			t.Errorf("%s: %s %s at %v: %s", name, i.Severity, i.Code, i.Expression, i.Diagnostics)
		}
		golden(t, name, b)
	}
}

func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.TrimSpace(string(want)), string(b)); d != "" {
		t.Errorf("%s (-golden +rendered):\n%s", name, d)
	}
}

// BALP 1.1.4: the profile that a rendered event names.
func TestProfiles(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"patient-read": "PatientRead", "patient-create": "PatientCreate", "patient-update": "PatientUpdate",
		"patient-delete": "PatientDelete", "patient-query": "PatientQuery", "query-about-two-patients": "Query",
		"read-without-patient": "Read", "read-of-an-erased-patient": "PatientRead",
	}
	for name, e := range cases() {
		b, err := event.Render(e, base)
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Meta struct{ Profile []string } }
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(r.Meta.Profile) > 0 {
			got = r.Meta.Profile[0][strings.LastIndex(r.Meta.Profile[0], ".")+1:]
		}
		if got != want[name] {
			t.Errorf("%s: profile %q, want %q", name, got, want[name])
		}
	}
}

func TestErasedPatientIsNotNamed(t *testing.T) {
	t.Parallel()
	b, err := event.Render(cases()["read-of-an-erased-patient"], base)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"display":"erased"`) || strings.Contains(string(b), `"reference":"Patient`) {
		t.Errorf("%s", b)
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	for _, seq := range []uint64{1, 123, 999_999_999_999, 1_000_000_000_000} {
		id := event.ID("n1", seq)
		origin, got, ok := event.ParseID(id)
		if !ok || origin != "n1" || got != seq || !fhir.ValidID(id) {
			t.Errorf("%s: %s %d %v", id, origin, got, ok)
		}
	}
	for _, id := range []string{"", "n1", "n1-", "n1-0", "n1-000000000000", "n1-123", "n1-0000000000123", "-000000000123",
		"n1-00000000012x", "n1--00000000012", "n1-+00000000012", "n1-99999999999999999999999"} {
		if _, _, ok := event.ParseID(id); ok {
			t.Errorf("%q was accepted", id)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	e := entry("read", audit.Read)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Render(e, base); err != nil {
			b.Fatal(err)
		}
	}
}
