package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/internal/config"
)

// settings are those of a development server on a data folder.
func settings(t testing.TB, dir string) config.Options {
	t.Helper()
	cfg, err := config.New().Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Data, cfg.StoreMinFree, cfg.AuditMinFree = dir, 1, 1
	return cfg
}

// open opens an app on a data folder until the test ends.
func open(t *testing.T, dir string) *App {
	t.Helper()
	a, err := Open(t.Context(), settings(t, dir), base, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// bearer issues a token of a demo role.
func (a *App) bearer(t testing.TB, role string) string {
	t.Helper()
	claims, err := token.DemoClaims(role, "dr", "p1")
	if err != nil {
		t.Fatal(err)
	}
	opaque, err := a.tokens.Issue(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	return opaque
}

// send sends one request as the integration client and checks its status.
func send(t testing.TB, a *App, s *httptest.Server, method, target, body string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.bearer(t, "integration"))
	req.Header.Set("Content-Type", "application/fhir+json")
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %d %v\n%s", method, target, resp.StatusCode, err, answer)
	}
	return string(answer)
}
