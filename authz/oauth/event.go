package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/token"
)

// event is what is recorded of a token request.
type event struct {
	subtype string // token-issue, token-refresh, token-revoke, authorize, authorize-remembered, launch, client-register, failure
	reason  string // of a failure: a code of the server's own
	claims  token.Claims
	client  string
	// entities are what it concerns, if anything but the agent.
	entities []audit.Entity
}

type peerKey struct{}

// withPeer notes who is calling for the events of a request.
func withPeer(r *http.Request, peer string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), peerKey{}, peer))
}

// record makes an event durable; what it covers must not leave before.
func (s *Server) record(ctx context.Context, e event) error {
	peer, _ := ctx.Value(peerKey{}).(string)
	outcome := audit.Success
	if e.reason != "" {
		outcome = audit.MinorFailure
	}
	if e.client == "" {
		e.client = e.claims.Client
	}
	_, err := s.Recorder.Record(ctx, audit.Event{Kind: audit.Login, Subtype: e.subtype, Action: audit.Execute, Outcome: outcome, Reason: e.reason, Entities: e.entities,
		Agent: audit.Agent{Subject: e.claims.Account, Who: e.claims.Who, Client: e.client, Roles: e.claims.Roles, Purpose: e.claims.Purpose, Address: peer}})
	return err
}

// reused records that a code or refresh token came again, and ends its family:
// fosite does that too, but goes on when it fails.
func (s *Server) reused(ctx context.Context, r fosite.Requester, reason string) error {
	err := s.record(ctx, event{subtype: "failure", reason: reason, claims: r.GetSession().(*session).Claims, client: r.GetClient().GetID()})
	return errors.Join(err, s.endGrant(ctx, r.GetID()))
}

// standard are the error codes of RFC 6749 §4.1.2.1 and §5.2, with what is said
// about them: never what the client sent.
var standard = map[string]string{
	"invalid_request":           "a parameter is missing, repeated or not acceptable",
	"invalid_client":            "the client could not be authenticated",
	"invalid_grant":             "the code, refresh token or proof is invalid, expired, used or of another client",
	"unauthorized_client":       "the client may not use this grant",
	"unsupported_grant_type":    "the grant type is not offered",
	"unsupported_response_type": "the response type is code",
	"invalid_scope":             "a scope is unknown, malformed or more than was registered or granted",
	"access_denied":             "the request was declined",
	"login_required":            "the user must log in",
	"consent_required":          "the user must be asked",
	"interaction_required":      "the user must do something before",
	"invalid_token":             "the bearer token is missing, invalid, expired or revoked",
	"server_error":              "the server cannot answer",
	"temporarily_unavailable":   "the server cannot answer at the moment",
	"invalid_redirect_uri":      "a redirect URI is not https or loopback, has a fragment, or there are too many",
	"invalid_client_metadata":   "the metadata of the client is not understood or not acceptable",
}

// codeOf maps an error of fosite or of our own to a standard code.
func codeOf(err error) string {
	var e *fosite.RFC6749Error
	switch {
	case unavailable(err):
		return "temporarily_unavailable"
	// A race that was lost inside of a handler is a reuse like any other.
	case errors.Is(err, fosite.ErrInvalidatedAuthorizeCode), errors.Is(err, fosite.ErrInactiveToken):
		return "invalid_grant"
	case !errors.As(err, &e):
		return "server_error"
	// fosite reads a code twice; its family may end in between.
	case errors.Is(e, fosite.ErrServerError) && errors.Is(err, fosite.ErrNotFound):
		return "invalid_grant"
	}
	if _, ok := standard[e.ErrorField]; ok {
		return e.ErrorField
	}
	if e.CodeField >= http.StatusInternalServerError {
		return "server_error"
	}
	return "invalid_request"
}
