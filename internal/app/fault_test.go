package app

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestBrokenHandlerIsLoggedWithoutItsValue: the stack names the place; what the
// panic holds may be a client's.
func TestBrokenHandlerIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil))}
	broken := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("canary-value") })
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the connection is not cut")
		}
		if !strings.Contains(log.String(), "fault_test.go") || strings.Contains(log.String(), "canary-value") {
			t.Error(log.String())
		}
	}()
	a.beside(broken, broken).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/admin/policy/show", nil))
}
