package bundle_test

import (
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/model"
)

func TestResponse(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := model.NewBundle(nil, model.Envelope{Type: model.TransactionResponse})
	created := bundle.Entry{Method: "POST", Type: "Patient", ID: "1"}
	w.Add(created.Response(base, bundle.Result{Status: 201, VersionID: "1", LastModified: at, Resource: []byte(`{"resourceType":"Patient","x":1.00}`)}))
	deleted := bundle.Entry{Method: "DELETE", Type: "Patient", ID: "2"}
	w.Add(deleted.Response(base, bundle.Result{Status: 204, VersionID: "2"}))
	failed := bundle.Entry{Method: "PUT", Type: "Patient", ID: "3"}
	w.Add(failed.Response(base, bundle.Result{Status: 422, Outcome: fhir.Issues{{Severity: fhir.Error, Code: "value"}}}))
	const want = `{"resourceType":"Bundle","type":"transaction-response","entry":[` +
		`{"fullUrl":"http://me.example/fhir/Patient/1","resource":{"resourceType":"Patient","x":1.00},"response":{"status":"201 Created",` +
		`"location":"http://me.example/fhir/Patient/1/_history/1","etag":"W/\"1\"","lastModified":"2026-01-01T00:00:00.000000Z"}},` +
		`{"response":{"status":"204 No Content","etag":"W/\"2\""}},` +
		`{"response":{"status":"422 Unprocessable Entity","outcome":{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"value"}]}}}]}`
	if got := string(w.Finish()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
