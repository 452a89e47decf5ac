package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// Charts tells what an account may see; the policy in force and the accounts
// answer it.
type Charts interface {
	// Sees returns nil when the account is in force, may act for the patient,
	// may see the encounter, which lies in the patient's compartment, and all
	// references (TYPE/ID). Patient and encounter may be empty. authz.ErrDenied
	// is the same answer to what is unknown, invisible and another patient's;
	// any other error means that nobody can tell.
	Sees(ctx context.Context, account, patient, encounter string, references []string) error
	// Entity is a patient as an event names it: the patient finds the event,
	// and is forgotten in it when erased.
	Entity(patient string) audit.Entity
}

// launchCall is what an EHR posts: the app that is to be started, and with what.
type launchCall struct {
	App string `json:"client_id"`
	Launch
}

// errors of the launch endpoint beside those of the other endpoints.
var (
	errBearer  = errors.New("the bearer token is invalid")
	errNoRight = errors.New("the client may not launch apps")
)

// launch is the call by which an EHR starts an app with context (SMART App
// Launch 2.2 leaves it to the server). The EHR shows an access token of its own:
// of a backend service, or of the user in front of it, who then is the launch's.
func (s *Server) launch(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	subject, err := s.ehr(r)
	if err != nil {
		s.failLaunch(w, r, subject, err)
		return
	}
	call, err := readLaunch(w, r)
	if err == nil {
		err = s.acceptableLaunch(ctx, subject, &call)
	}
	if err != nil {
		s.failLaunch(w, r, subject, err)
		return
	}
	value, err := s.store.createLaunch(ctx, call.App, call.Launch)
	if err == nil {
		err = s.recordLaunch(ctx, subject, &call, "")
	}
	if err != nil {
		s.failLaunch(w, r, subject, err)
		return
	}
	s.write(w, http.StatusOK, map[string]any{"launch": value, "iss": s.Base, "expires_in": int(LaunchLifetime / time.Second)})
}

// ehr is who calls: a client that is registered for it, by an access token.
func (s *Server) ehr(r *http.Request) (authz.Subject, error) {
	given := r.Header.Values("Authorization")
	if len(given) != 1 || r.URL.RawQuery != "" {
		return authz.Subject{}, errBearer
	}
	scheme, bearer, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return authz.Subject{}, errBearer
	}
	subject, err := s.Tokens.Verify(r.Context(), bearer, s.Peer(r))
	if errors.Is(err, token.ErrInvalid) || errors.Is(err, token.ErrExpired) || errors.Is(err, token.ErrRevoked) {
		return authz.Subject{}, errBearer
	}
	if err != nil {
		return authz.Subject{}, err
	}
	c, err := s.Clients.Get(r.Context(), subject.Client())
	if errors.Is(err, client.ErrUnknown) || err == nil && (!c.Launches || foreign(r, registered{c})) {
		return subject, errNoRight
	}
	if err == nil {
		err = s.admit(c)
	}
	return subject, err
}

var errLaunchCall = errors.New("not the JSON of a launch")

// readLaunch reads the body strictly: what is not understood might narrow.
func readLaunch(w http.ResponseWriter, r *http.Request) (call launchCall, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return call, errLaunchCall
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxFormBytes))
	d.DisallowUnknownFields()
	if d.Decode(&call) != nil || d.More() {
		return call, errLaunchCall
	}
	return call, nil
}

// acceptableLaunch checks a launch as a whole: its form, that the app can be
// launched, and that the user may see what is in context. A user's own token
// launches for that user.
func (s *Server) acceptableLaunch(ctx context.Context, by authz.Subject, call *launchCall) error {
	if !by.System() {
		if call.Account != "" && call.Account != by.ID() {
			return authz.ErrDenied
		}
		call.Account = by.ID()
	}
	if err := call.check(); err != nil {
		return errors.Join(errLaunchCall, err)
	}
	c, err := s.Clients.Get(ctx, call.App)
	if errors.Is(err, client.ErrUnknown) || err == nil && (c.Service() || !slices.Contains(c.Scopes, smart.Launch)) {
		return errors.Join(errLaunchCall, errors.New("client_id is no app with the scope launch"))
	}
	if err != nil {
		return err
	}
	var references []string
	for _, also := range call.Also {
		if also.Reference != "" {
			references = append(references, also.Reference)
		}
	}
	return s.Charts.Sees(ctx, call.Account, call.Patient, call.Encounter, references)
}

// recordLaunch makes the event of a call durable. It names the app, whom it is
// for and the patient.
func (s *Server) recordLaunch(ctx context.Context, by authz.Subject, call *launchCall, reason string) error {
	e := event{subtype: "launch", reason: reason, claims: token.Claims{Account: by.ID(), Who: by.Who(), Client: by.Client(), Roles: by.Roles(), Purpose: by.Purpose()}}
	if call != nil {
		e.entities = []audit.Entity{{Type: "Client", ID: call.App}, {Type: "Account", ID: call.Account}}
		if call.Patient != "" {
			e.entities = append(e.entities, s.Charts.Entity(call.Patient))
		}
	}
	return s.record(ctx, e)
}

// failLaunch answers an error of the launch endpoint; of a caller that is known
// there is an event first.
func (s *Server) failLaunch(w http.ResponseWriter, r *http.Request, by authz.Subject, err error) {
	code, status := "invalid_request", http.StatusBadRequest
	switch {
	case errors.Is(err, errBearer):
		w.Header().Set("WWW-Authenticate", `Bearer realm="fieldseal", error="invalid_token"`)
		s.refuse(w, r, "invalid_token", http.StatusUnauthorized)
		return
	case errors.Is(err, errNoRight):
		code, status = "unauthorized_client", http.StatusForbidden
	case errors.Is(err, authz.ErrDenied):
		code, status = "access_denied", http.StatusForbidden
	case !errors.Is(err, errLaunchCall):
		s.fail(w, r, nil, err)
		return
	}
	if err := s.recordLaunch(r.Context(), by, nil, code); err != nil {
		s.fail(w, r, nil, err)
		return
	}
	s.write(w, status, map[string]any{"error": code, "error_description": standard[code]})
}
