package model_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/model"
)

func TestOperationOutcome(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		issues fhir.Issues
		want   string
	}{
		{"none", nil, `{"resourceType":"OperationOutcome","issue":[{"severity":"information","code":"informational","diagnostics":"all ok"}]}`},
		{"not HTML-escaped", fhir.Issues{{Severity: "error", Code: "not-found", Diagnostics: `a <b> & "c" \u003c é`, Expression: []string{"Patient.name[0]"}}},
			`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found","diagnostics":"a <b> & \"c\" \\u003c é","expression":["Patient.name[0]"]}]}`},
		{"unknown codes never become the first of their value set", fhir.Issues{{Severity: "x", Code: "y"}},
			`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"processing"}]}`},
		{"warning", fhir.Issues{{Severity: fhir.Warning, Code: "business-rule"}}, `{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"business-rule"}]}`},
	} {
		if got := string(model.OperationOutcome(c.issues)); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", c.name, got, c.want)
		}
	}
}

func TestOperationOutcomeAnswersEvenForNUL(t *testing.T) {
	t.Parallel()
	b := model.OperationOutcome(fhir.Issues{{Severity: "error", Code: "value", Diagnostics: "a\x00b"}})
	if !json.Valid(b) || !strings.Contains(string(b), `"issue":[{"severity":"error"`) {
		t.Errorf("%s", b)
	}
}

func TestBundleKeepsEntryBytes(t *testing.T) {
	t.Parallel()
	total := 2
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	const resource = `{"resourceType":"X","a":1.00,"b":"<div>\u003c"}`
	w := model.NewBundle(nil, model.Envelope{Type: model.Searchset, ID: "b", LastUpdated: at, Total: &total,
		Links: []model.Link{{Relation: "self", URL: "http://x/?a=1&b=<"}, {Relation: "next", URL: "http://x/2"}}})
	w.Add(model.Entry{FullURL: "http://x/X/1", Resource: []byte(resource), Search: "match"})
	w.Add(model.Entry{Request: &model.Request{Method: "DELETE", URL: "X/1"},
		Response: &model.Response{Status: "204", Location: "X/1/_history/2", ETag: `W/"2"`, LastModified: at, Outcome: []byte(`{"resourceType":"OperationOutcome"}`)}})
	w.Add(model.Entry{})
	got := string(w.Finish())
	const want = `{"resourceType":"Bundle","id":"b","meta":{"lastUpdated":"2026-01-02T03:04:05.000006Z"},"type":"searchset","total":2,` +
		`"link":[{"relation":"self","url":"http://x/?a=1&b=<"},{"relation":"next","url":"http://x/2"}],` +
		`"entry":[{"fullUrl":"http://x/X/1","resource":` + resource + `,"search":{"mode":"match"}},` +
		`{"request":{"method":"DELETE","url":"X/1"},"response":{"status":"204","location":"X/1/_history/2","etag":"W/\"2\"",` +
		`"lastModified":"2026-01-02T03:04:05.000006Z","outcome":{"resourceType":"OperationOutcome"}}},{}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	empty := string(model.NewBundle([]byte("x"), model.Envelope{Type: model.History}).Finish())
	if empty != `x{"resourceType":"Bundle","type":"history"}` {
		t.Error(empty)
	}
}

func TestCodeRefusesUnknownWords(t *testing.T) {
	t.Parallel()
	if c, err := model.Code[model.SearchParamType]("token"); err != nil || c.Code() != "token" {
		t.Errorf("%v %v", c, err)
	}
	if _, err := model.Code[model.SearchParamType]("tokens"); err == nil {
		t.Error("accepted")
	}
	if c, err := model.Code[model.FHIRVersion]("4.0.1"); err != nil || c.Code() != "4.0.1" {
		t.Errorf("%v %v", c, err)
	}
}

func TestMarshalAuthoredResources(t *testing.T) {
	t.Parallel()
	name := "a<b"
	b, err := model.Marshal(model.AuditEvent{Recorded: "2026-01-01T00:00:00Z", Agent: []model.AuditEventAgent{{Name: &name}}})
	if err != nil || !strings.HasPrefix(string(b), `{"resourceType":"AuditEvent",`) || !strings.Contains(string(b), name) {
		t.Errorf("%s %v", b, err)
	}
	b, err = model.Marshal(model.CapabilityStatement{Date: "2026", Format: []string{"json"}})
	if err != nil || !strings.HasPrefix(string(b), `{"resourceType":"CapabilityStatement",`) {
		t.Errorf("%s %v", b, err)
	}
}
