package app

import (
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/internal/telemetry"
	"github.com/fieldseal/fieldseal/internal/telemetry/telemetrytest"
)

// tracedKeys are all attributes that may leave, by the name of the span or
// event that they stand on. docs/operations/audit.md says the same.
var tracedKeys = map[string][]string{
	"fhir.read":   {"fieldseal.bytes", "fieldseal.open.classes", "fieldseal.outcome", "fieldseal.resource", "fieldseal.resource.type", "http.route"},
	"fhir.update": {"fieldseal.outcome", "fieldseal.resource.type", "http.route"},
	"decide":      {"fieldseal.outcome"},
	"find":        {"fieldseal.outcome"},
	"open":        {"fieldseal.outcome"},
	"commit":      {"fieldseal.outcome"},
	"audit":       {"fieldseal.outcome"},
	"access": {"fieldseal.access.classes", "fieldseal.access.patients", "fieldseal.access.resources",
		"fieldseal.audit.receipt", "fieldseal.decision.revision"},
}

const canaryPatient = `{"resourceType":"Patient","id":"CANARYID","identifier":[{"system":"urn:CANARYSYSTEM","value":"CANARYVALUE"}],"name":[{"family":"CANARYNAME"}]}`

// The tracer provider is global, so this test runs alone.
//
// A real receiver sees one span per interaction with a child per step, the
// access event of a read with policy revision, receipt and counts, and nothing
// of the patient.
func TestTraceOfAReadAtACollector(t *testing.T) {
	receiver := telemetrytest.New(t)
	tel, err := telemetry.New(t.Context(), telemetry.Options{LogLevel: "error", LogFormat: "json", LogOutput: io.Discard,
		Service: "fieldseal", Version: "test", OTLPEndpoint: receiver.Address, OTLPInsecure: true})
	if err != nil {
		t.Fatal(err)
	}
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	tel.Install()
	a := open(t, t.TempDir())
	s := httptest.NewServer(a.handler)
	defer s.Close()
	send(t, a, s, http.MethodPut, "/fhir/Patient/CANARYID", canaryPatient, http.StatusCreated)
	send(t, a, s, http.MethodGet, "/fhir/Patient/CANARYID?_format=json", "", http.StatusOK)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := receiver.Spans()
	read := checkInteraction(t, spans, "fhir.read", "decide", "find", "open", "audit")
	checkInteraction(t, spans, "fhir.update", "decide", "audit", "commit")
	if read.Attributes["fieldseal.resource.type"] != "Patient" || read.Attributes["http.route"] != "/fhir/:type/:id" || read.Attributes["fieldseal.outcome"] != "ok" {
		t.Errorf("attributes of the read: %v", read.Attributes)
	}
	checkAccess(t, a, read)
	for _, s := range spans {
		checkKeys(t, s.Name, s.Attributes)
		for _, e := range s.Events {
			checkKeys(t, e.Name, e.Attributes)
		}
	}
	for _, canary := range []string{"CANARY", "Q0FOQVJZ"} { // plain and base64
		if receiver.Contains(canary) {
			t.Errorf("%s reached the collector", canary)
		}
	}
}

// checkInteraction returns the one span of that name and checks its children.
func checkInteraction(t *testing.T, spans []telemetrytest.Span, name string, steps ...string) telemetrytest.Span {
	t.Helper()
	i := slices.IndexFunc(spans, func(s telemetrytest.Span) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no span %s", name)
	}
	var found []string
	for _, s := range spans {
		if s.Parent == spans[i].ID && s.Trace == spans[i].Trace {
			found = append(found, s.Name)
		}
	}
	slices.Sort(found)
	slices.Sort(steps)
	if found = slices.Compact(found); !slices.Equal(found, steps) {
		t.Errorf("%s has the steps %v, want %v", name, found, steps)
	}
	return spans[i]
}

func checkAccess(t *testing.T, a *App, read telemetrytest.Span) {
	t.Helper()
	if len(read.Events) != 1 || read.Events[0].Name != "access" {
		t.Fatalf("events of the read: %+v", read.Events)
	}
	got := read.Events[0].Attributes
	if got["fieldseal.access.resources"] != "1" || got["fieldseal.access.patients"] != "1" || got["fieldseal.access.classes"] == "0" {
		t.Errorf("counts: %v", got)
	}
	if r := got["fieldseal.decision.revision"]; r == "" || r == "0" {
		t.Errorf("decision revision %q", r)
	}
	receipt, err := strconv.ParseUint(got["fieldseal.audit.receipt"], 10, 64)
	if err != nil || receipt == 0 || receipt > a.trail.Status().Events {
		t.Errorf("receipt %v: no event of the trail", got)
	}
}

func checkKeys(t *testing.T, name string, attributes map[string]string) {
	t.Helper()
	allowed, known := tracedKeys[name]
	if !known {
		t.Errorf("unexpected span or event %q", name)
	}
	for _, key := range slices.Sorted(maps.Keys(attributes)) {
		if !slices.Contains(allowed, key) || strings.Contains(attributes[key], "withheld") {
			t.Errorf("%s carries %s=%s", name, key, attributes[key])
		}
	}
}
