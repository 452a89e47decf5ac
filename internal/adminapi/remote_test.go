package adminapi

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/office"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

// officeDesk is a Desk that says what it was asked.
type officeDesk struct {
	admit, do error
	asked     []string
	pre       []string
}

func (d *officeDesk) Admit(context.Context, authz.Subject) (office.Actor, error) {
	return office.Actor{}, d.admit
}
func (d *officeDesk) Do(_ context.Context, _ office.Actor, operation string, body []byte) (any, error) {
	d.asked = append(d.asked, operation+" "+string(body))
	return map[string]string{"done": operation}, d.do
}
func (d *officeDesk) RecordPreAuth(_, reason string) { d.pre = append(d.pre, reason) }

func newRemoteTest(t *testing.T) (d *officeDesk, h *Remote, bearer string) {
	t.Helper()
	issuer, err := token.New(token.Options{Table: keyringtest.NewTable(), StorageID: keyringtest.NewRing(t).StorageID})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err = issuer.Issue(t.Context(), token.Claims{Account: "user:ann", Client: "app"})
	if err != nil {
		t.Fatal(err)
	}
	d = &officeDesk{}
	h = NewRemote(RemoteOptions{Desk: d, Authenticator: issuer, Gatekeeper: d, Peer: func(*http.Request) string { return "192.0.2.1" },
		Unauthorized: func(err error) bool { return errors.Is(err, token.ErrInvalid) }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	return d, h, bearer
}

func remoteRequest(t *testing.T, method, target, body string, headers ...string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestAdminAPIAnswersByClass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		admit, do error
		request   func(t *testing.T, auth string) *http.Request
		want      int
		asked     bool
		challenge string
	}{
		{"done", nil, nil, nil, 200, true, ""},
		{"no token", nil, nil, func(t *testing.T, _ string) *http.Request {
			return remoteRequest(t, "POST", "/admin/policy/show", "{}")
		}, 401, false, `Bearer realm="admin"`},
		{"bad token", nil, nil, func(t *testing.T, _ string) *http.Request {
			return remoteRequest(t, "POST", "/admin/policy/show", "{}", "Authorization", "Bearer fst_"+strings.Repeat("A", 43))
		}, 401, false, `error="invalid_token"`},
		{"two tokens", nil, nil, func(t *testing.T, auth string) *http.Request {
			return remoteRequest(t, "POST", "/admin/policy/show", "{}", "Authorization", auth, "Authorization", auth)
		}, 400, false, ""},
		{"token in the URL", nil, nil, func(t *testing.T, auth string) *http.Request {
			return remoteRequest(t, "POST", "/admin/policy/show?access_token=x", "{}", "Authorization", auth)
		}, 400, false, ""},
		{"GET", nil, nil, func(t *testing.T, auth string) *http.Request {
			return remoteRequest(t, "GET", "/admin/policy/show", "", "Authorization", auth)
		}, 405, false, ""},
		{"form of a web page", nil, nil, func(t *testing.T, auth string) *http.Request {
			r := remoteRequest(t, "POST", "/admin/policy/show", "{}", "Authorization", auth)
			r.Header.Set("Content-Type", "text/plain")
			return r
		}, 415, false, ""},
		{"too large", nil, nil, func(t *testing.T, auth string) *http.Request {
			r := remoteRequest(t, "POST", "/admin/policy/show", "", "Authorization", auth)
			r.Body = io.NopCloser(io.LimitReader(zeros{}, maxOfficeBytes+1))
			return r
		}, 413, false, ""},
		{"denied", authz.ErrDenied, nil, nil, 403, false, ""},
		{"step-up", office.ErrStepUp, nil, nil, 401, false, `error="insufficient_user_authentication", max_age="900"`},
		{"no policy", authz.ErrNoPolicy, nil, nil, 503, false, ""},
		{"unknown operation", nil, office.ErrNoOperation, nil, 404, true, ""},
		{"refused", nil, &office.Refusal{Text: "line 3: no"}, nil, 422, true, ""},
		{"overtaken", nil, &office.Refusal{Text: "stale", Conflict: true}, nil, 409, true, ""},
		{"fault of the server", nil, errors.New("secret detail"), nil, 503, true, ""},
	} {
		d, h, bearer := newRemoteTest(t)
		d.admit, d.do = c.admit, c.do
		r := remoteRequest(t, "POST", "/admin/policy/show", `{"version":1}`, "Authorization", "Bearer "+bearer)
		if c.request != nil {
			r = c.request(t, "Bearer "+bearer)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want || (len(d.asked) > 0) != c.asked || !strings.Contains(w.Header().Get("WWW-Authenticate"), c.challenge) {
			t.Errorf("%s: %d %v, asked %v", c.name, w.Code, w.Header(), d.asked)
		}
		if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Access-Control-Allow-Origin") != "" ||
			strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), bearer) {
			t.Errorf("%s: %v %s", c.name, w.Header(), w.Body)
		}
		if w.Code >= 400 && !strings.Contains(w.Body.String(), `"resourceType":"OperationOutcome"`) {
			t.Errorf("%s: %s", c.name, w.Body)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAdminAPILimitsAnAccount(t *testing.T) {
	t.Parallel()
	d, h, bearer := newRemoteTest(t)
	for i := range remotePerMinute + 5 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, remoteRequest(t, "POST", "/admin/policy/show", "{}", "Authorization", "Bearer "+bearer))
		if want := i < remotePerMinute; (w.Code == 200) != want || !want && (w.Code != 429 || w.Header().Get("Retry-After") == "") {
			t.Fatalf("call %d: %d", i, w.Code)
		}
	}
	if len(d.asked) != remotePerMinute || len(d.pre) != 5 {
		t.Errorf("%d asked, %v", len(d.asked), d.pre)
	}
}
