package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/office"
	"github.com/fieldseal/fieldseal/authz/token"
)

// RemotePath begins the paths of the admin API over HTTP: POST
// /admin/policy/apply and so on, one for each operation of the office.
const RemotePath = "/admin/"

// Limits of the admin API: an officer's tools ask now and then.
const (
	remotePerMinute = 60
	remoteTimeout   = 2 * time.Minute // a dry-run reads a long trail
	maxCounted      = 4096            // accounts whose calls are counted at once
)

// Desk is the office, as faces call it.
type Desk interface {
	Admit(ctx context.Context, s authz.Subject) (office.Actor, error)
	Do(ctx context.Context, a office.Actor, operation string, body []byte) (any, error)
}

// RemoteOptions are what the admin API needs.
type RemoteOptions struct {
	Desk          Desk
	Authenticator interface {
		Verify(ctx context.Context, bearer, address string) (authz.Subject, error)
	}
	// Gatekeeper counts what fails before authentication.
	Gatekeeper interface{ RecordPreAuth(peer, reason string) }
	// Peer is the address of a caller.
	Peer func(*http.Request) string
	// Unauthorized reports whether an error of Verify means a bad token.
	Unauthorized func(error) bool
	Log          *slog.Logger
	Now          func() time.Time
}

// Remote serves the operations of the office to accounts that may administer
// the policy. Nothing of it can be called by a browser of another origin: it
// takes JSON only and sends no CORS header.
type Remote struct {
	RemoteOptions
	mu     sync.Mutex
	minute time.Time
	counts map[string]int
}

// NewRemote returns the handler of RemotePath.
func NewRemote(o RemoteOptions) *Remote {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Remote{RemoteOptions: o, counts: map[string]int{}}
}

// ServeHTTP implements http.Handler.
func (h *Remote) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if len(r.TransferEncoding) > 0 { // RFC 9112 §6.3: what follows is not trusted
		w.Header().Set("Connection", "close")
	}
	ctx, cancel := context.WithTimeout(r.Context(), remoteTimeout)
	defer cancel()
	if r.URL.RawQuery != "" {
		h.answer(w, http.StatusBadRequest, "invalid", "operations take no parameters in the URL")
		return
	}
	subject, ok := h.authenticate(ctx, w, r)
	if !ok {
		return
	}
	if !h.admitted(subject.ID()) {
		h.Gatekeeper.RecordPreAuth(h.Peer(r), "throttled")
		w.Header().Set("Retry-After", "60")
		h.answer(w, http.StatusTooManyRequests, "throttled", "this account asks more often than it may")
		return
	}
	actor, err := h.Desk.Admit(ctx, subject)
	if err != nil {
		h.failed(w, err)
		return
	}
	h.run(ctx, w, r, actor)
}

func (h *Remote) run(ctx context.Context, w http.ResponseWriter, r *http.Request, actor office.Actor) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.answer(w, http.StatusMethodNotAllowed, "not-supported", "operations are called by POST")
		return
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		h.answer(w, http.StatusUnsupportedMediaType, "not-supported", "operations take application/json")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOfficeBytes))
	if err != nil {
		h.answer(w, http.StatusRequestEntityTooLarge, "too-long", "the request is larger than operations take, or was cut short")
		return
	}
	out, err := h.Desk.Do(ctx, actor, strings.TrimPrefix(r.URL.Path, RemotePath), body)
	if err != nil {
		h.failed(w, err)
		return
	}
	b, err := json.Marshal(out)
	if err != nil {
		h.failed(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // a client that went away learns nothing more
}

// authenticate wants exactly one bearer token.
func (h *Remote) authenticate(ctx context.Context, w http.ResponseWriter, r *http.Request) (authz.Subject, bool) {
	peer, headers := h.Peer(r), r.Header.Values("Authorization")
	if len(headers) > 1 {
		h.answer(w, http.StatusBadRequest, "invalid", "there is more than one Authorization header")
		return authz.Subject{}, false
	}
	scheme, bearer, _ := strings.Cut(strings.Join(headers, ""), " ")
	if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		h.Gatekeeper.RecordPreAuth(peer, "no-token")
		w.Header().Set("WWW-Authenticate", `Bearer realm="admin"`)
		h.answer(w, http.StatusUnauthorized, "login", "a bearer token is needed")
		return authz.Subject{}, false
	}
	s, err := h.Authenticator.Verify(ctx, bearer, peer)
	switch {
	case err != nil && !h.Unauthorized(err):
		h.failed(w, err)
	case err != nil || !s.Valid():
		h.Gatekeeper.RecordPreAuth(peer, token.Reason(err))
		w.Header().Set("WWW-Authenticate", `Bearer realm="admin", error="invalid_token"`)
		h.answer(w, http.StatusUnauthorized, "login", "the token is unknown, expired or revoked")
	default:
		return s, true
	}
	return authz.Subject{}, false
}

// admitted counts the calls of an account in this minute.
func (h *Remote) admitted(account string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.Now().Truncate(time.Minute); now != h.minute || len(h.counts) > maxCounted {
		h.minute = now
		clear(h.counts)
	}
	h.counts[account]++
	return h.counts[account] <= remotePerMinute
}

// failed answers errors by their class; what is not a refusal says nothing.
func (h *Remote) failed(w http.ResponseWriter, err error) {
	var refusal *office.Refusal
	switch {
	case errors.Is(err, office.ErrStepUp): // RFC 9470 §3
		w.Header().Set("WWW-Authenticate", `Bearer realm="admin", error="insufficient_user_authentication", max_age="900"`)
		h.answer(w, http.StatusUnauthorized, "login", "authenticate anew with a second factor; it counts for 15 minutes")
	case errors.Is(err, authz.ErrDenied):
		h.answer(w, http.StatusForbidden, "forbidden", "no rule lets this account administer the policy")
	case errors.Is(err, office.ErrNoOperation):
		h.answer(w, http.StatusNotFound, "not-found", "there is no such operation")
	case errors.As(err, &refusal) && refusal.Conflict:
		h.answer(w, http.StatusConflict, "conflict", refusal.Text)
	case errors.As(err, &refusal):
		h.answer(w, http.StatusUnprocessableEntity, "processing", refusal.Text)
	default:
		h.Log.Error("an admin operation failed", "error", err.Error())
		w.Header().Set("Retry-After", "5")
		h.answer(w, http.StatusServiceUnavailable, "transient", "policy, store or audit trail cannot serve")
	}
}

// answer sends an OperationOutcome, as the FHIR base does.
func (h *Remote) answer(w http.ResponseWriter, status int, code, text string) {
	type issue struct {
		Severity    string `json:"severity"`
		Code        string `json:"code"`
		Diagnostics string `json:"diagnostics"`
	}
	b, _ := json.Marshal(struct { // strings cannot fail
		ResourceType string  `json:"resourceType"`
		Issue        []issue `json:"issue"`
	}{"OperationOutcome", []issue{{"error", code, text}}})
	w.Header().Set("Content-Type", "application/fhir+json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
