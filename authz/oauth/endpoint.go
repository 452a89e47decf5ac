package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// open serves a document that everybody may read, scripts of any origin too
// (SMART App Launch 2.2, conformance: CORS).
func (s *Server) open(document func(context.Context) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Content-Type-Options", "nosniff")
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			text, err := document(r.Context())
			if err != nil {
				s.fail(w, r, nil, err)
				return
			}
			h.Set("Content-Type", "application/json") // whatever Accept says
			_, _ = w.Write(text)
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "Accept, Content-Type")
			w.WriteHeader(http.StatusNoContent)
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	}
}

// fixed is a document that does not change.
func fixed(text []byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return text, nil }
}

// private is around the endpoints that clients post to: nothing is kept by
// caches, errors included, and scripts read answers only from origins that a
// client registered.
func (s *Server) private(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Pragma", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		s.cors(w, r)
		r = withPeer(r, s.Peer(r))
		if wait, ok := s.byNetwork.Admit(limit.Network(s.Peer(r)), s.Now()); !ok && r.Method != http.MethodOptions {
			s.fail(w, r, nil, throttled{wait})
			return
		}
		switch {
		case r.Method == http.MethodOptions:
			h.Set("Allow", "OPTIONS, POST")
			w.WriteHeader(http.StatusNoContent)
			return
		case r.Method != http.MethodPost:
			h.Set("Allow", "OPTIONS, POST")
			s.refuse(w, r, "invalid_request", http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	}
}

// formed is around the endpoints that take a form.
func (s *Server) formed(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.form(w, r) {
			next(w, r)
		}
	}
}

// form reads the form of a request: in the body, since a query stands in logs,
// and no parameter twice (RFC 6749 §3.2).
func (s *Server) form(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if isForm(r) && r.URL.RawQuery == "" && len(r.Header.Values("Authorization")) < 2 {
		err := r.ParseForm()
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			s.refuse(w, r, "invalid_request", http.StatusRequestEntityTooLarge)
			return false
		}
		if err == nil && !repeated(r.PostForm) {
			return true
		}
	}
	s.refuse(w, r, "invalid_request", http.StatusBadRequest)
	return false
}

// isForm reports whether a body is what RFC 6749 has forms be, and nothing that a
// layer below would read in another way.
func isForm(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

func repeated(form map[string][]string) bool {
	for _, values := range form {
		if len(values) > 1 {
			return true
		}
	}
	return false
}

// refuse answers what fails before a client is known; it is counted per peer.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, code string, status int) {
	s.Gatekeeper.RecordPreAuth(s.Peer(r), code)
	s.write(w, status, map[string]any{"error": code, "error_description": standard[code]})
}

func (s *Server) write(w http.ResponseWriter, status int, body map[string]any) {
	code, _ := body["error"].(string)
	note(w, code)
	text, err := json.Marshal(body)
	if err != nil { // strings, numbers and what was read from JSON
		status, text = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// fail answers an error of an endpoint. A client that is known by then is named
// in an event of its own, which is durable before the answer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, c fosite.Client, err error) {
	code, status := codeOf(err), http.StatusBadRequest
	switch code {
	case "invalid_client":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="fieldseal"`)
	case "server_error":
		status = http.StatusInternalServerError
		s.Log.Error("authorization server failed", "code", code)
	case "temporarily_unavailable":
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
	}
	var slow throttled
	if errors.As(err, &slow) {
		code, status = "temporarily_unavailable", http.StatusTooManyRequests
		w.Header().Set("Retry-After", limit.Seconds(slow.wait))
		s.Gatekeeper.RecordPreAuth(s.Peer(r), "throttled")
		s.write(w, status, map[string]any{"error": code, "error_description": "the caller asks more often than it may"})
		return
	}
	if known, ok := c.(registered); ok && status != http.StatusUnauthorized {
		if aerr := s.record(r.Context(), event{subtype: "failure", reason: code, client: known.ID}); aerr != nil {
			status, code = http.StatusServiceUnavailable, "temporarily_unavailable"
		}
		s.write(w, status, map[string]any{"error": code, "error_description": standard[code]})
		return
	}
	s.refuse(w, r, code, status)
}

// origins are those of all clients in force, read again when they are older
// than client.CacheTTL.
type origins struct {
	mu     sync.Mutex
	all    []string
	loaded time.Time
}

// Allows reports whether a client in force registered the web origin. A store
// that cannot tell allows nobody.
func (s *Server) Allows(r *http.Request, origin string) bool {
	o := &s.origins
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := s.Now(); o.loaded.IsZero() || now.Sub(o.loaded) >= client.CacheTTL || now.Before(o.loaded) {
		o.all, o.loaded = nil, now
		clients, err := s.Clients.List(r.Context())
		if err != nil {
			return false
		}
		for _, c := range clients {
			if c.Disabled.IsZero() {
				o.all = append(o.all, c.Origins...)
			}
		}
	}
	return slices.Contains(o.all, origin)
}

// cors lets scripts of registered origins read answers; a browser's own
// credentials are never allowed.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	given := r.Header.Values("Origin")
	if len(given) != 1 || given[0] == "null" || !s.Allows(r, given[0]) {
		return
	}
	h.Set("Access-Control-Allow-Origin", given[0])
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "OPTIONS, POST")
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type")
		h.Set("Access-Control-Max-Age", "600")
	}
}

// foreign reports whether a script of another origin than the client's own
// uses it.
func foreign(r *http.Request, c registered) bool {
	origin := r.Header.Get("Origin")
	return origin != "" && len(c.Origins) > 0 && !slices.Contains(c.Origins, origin)
}
