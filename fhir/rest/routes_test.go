package rest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/interaction"
)

type nobody struct{}

func (nobody) Verify(context.Context, string, string) (authz.Subject, error) {
	return authz.Subject{}, errors.New("nobody is known")
}
func (nobody) RecordPreAuth(string, string) {}

func handler(t *testing.T) *Handler {
	t.Helper()
	return New(Options{Service: &interaction.Service{}, Authenticator: nobody{}, Gatekeeper: nobody{}, Metadata: []byte(`{}`), OpenAPI: []byte(`{}`),
		Ready: func(context.Context) error { return nil }, Unauthorized: func(error) bool { return true }, Prefix: "/fhir"})
}

// What the documents are made from is what the router serves, no more and no
// less.
func TestRoutesAreThoseOfTheRouter(t *testing.T) {
	t.Parallel()
	var served, told []string
	h := handler(t)
	for _, r := range h.engine.Routes() {
		if strings.HasPrefix(r.Path, "/fhir") {
			served = append(served, r.Method+" "+strings.TrimSuffix(strings.TrimPrefix(r.Path, "/fhir"), "/"))
		}
	}
	for _, r := range Routes() {
		told = append(told, r.Method+" "+r.Path)
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("served %v\ntold   %v", served, told)
	}
	if len(slices.Compact(slices.Clone(told))) != len(told) || len(told) < 20 {
		t.Errorf("%d routes", len(told))
	}
}

// A route that needs no token is a decision of its own.
func TestOpenRoutesAreTheDocuments(t *testing.T) {
	t.Parallel()
	var open []string
	for _, r := range Routes() {
		if r.Open {
			open = append(open, r.Method+" "+r.Path)
		}
	}
	if want := []string{"GET /metadata", "HEAD /metadata", "GET /openapi.json", "HEAD /openapi.json"}; !slices.Equal(open, want) {
		t.Errorf("open: %v", open)
	}
}

// No method on any path may make the router panic, and each refusal names the
// methods that are served.
func TestEveryMethodOnEveryPathIsAnswered(t *testing.T) {
	t.Parallel()
	h := handler(t)
	paths := []string{"/", "/healthz", "/openapi.json", "/fhir/metadata", "/fhir/none/such/path/at/all", "/fhir/Patient/_search", "/fhir/_search",
		"/fhir/Patient/_history", "/fhir/Patient/1/_history", "/fhir/Patient/1/Observation/_search", "/fhir/_history/_search/_history/_search", "/x"}
	for _, r := range Routes() {
		paths = append(paths, "/fhir"+strings.NewReplacer(":type", "Patient", ":id", "1", ":version", "1", ":member", "Observation").Replace(r.Path))
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "TRACK", "get"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
			switch allow := h.allowed(path); {
			case w.Code == http.StatusMethodNotAllowed || w.Code == http.StatusNoContent:
				if got := w.Header().Get("Allow"); method != "TRACE" && got != strings.Join(allow, ", ") || slices.Contains(allow, method) && method != "OPTIONS" {
					t.Errorf("%s %s: %d, Allow %q", method, path, w.Code, got)
				}
			case w.Code == http.StatusNotFound:
				if len(allow) != 0 {
					t.Errorf("%s %s: 404", method, path)
				}
			case !slices.Contains(allow, method) || w.Code >= 500:
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
}
