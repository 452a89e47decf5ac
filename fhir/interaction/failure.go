package interaction

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Kind classes failures.
type Kind uint8

// The kinds of failure.
const (
	Internal      Kind = iota
	Malformed          // not FHIR JSON, bad parameter, wrong id
	Denied             // no rule allows
	NotFound           // unknown or invisible
	Gone               // deleted or erased
	Conflict           // references or concurrent change
	Precondition       // If-Match, ambiguous condition
	TooLarge           // over a limit
	Unprocessable      // valid JSON that breaks a rule
	Unavailable        // KMS, store or trail cannot serve
)

var kindCodes = [...]struct {
	issue, reason string
	status        int
}{
	Internal:      {"exception", "internal", 500},
	Malformed:     {"invalid", "malformed", 400},
	Denied:        {"forbidden", "denied", 403},
	NotFound:      {"not-found", "not-found", 404},
	Gone:          {"deleted", "gone", 410},
	Conflict:      {"conflict", "conflict", 409},
	Precondition:  {"conflict", "precondition", 412},
	TooLarge:      {"too-long", "too-large", 413},
	Unprocessable: {"processing", "unprocessable", 422},
	Unavailable:   {"transient", "unavailable", 503},
}

// Status is the HTTP status of the kind (R4 http.html), which a Bundle's entry
// responses carry too.
func (k Kind) Status() int { return kindCodes[k].status }

// Failure is the error of an interaction: what the client may know, and the
// internal cause for the log. Neither holds an element value.
type Failure struct {
	Kind   Kind
	Issues fhir.Issues
	cause  error
}

// Error is the public text.
func (f *Failure) Error() string { return f.Issues.Error() }

// Unwrap returns the internal cause.
func (f *Failure) Unwrap() error { return f.cause }

func fail(k Kind, cause error, format string, args ...any) *Failure {
	return &Failure{Kind: k, cause: cause, Issues: fhir.Issues{{
		Severity: "error", Code: kindCodes[k].issue, Diagnostics: fmt.Sprintf(format, args...)}}}
}

// BeyondScopes reports whether the token's scopes alone were too narrow.
func (f *Failure) BeyondScopes() bool { return errors.Is(f.cause, authz.ErrScope) }

// AsFailure classes any error of the layers below for a face.
func AsFailure(err error) *Failure { return failure(err) }

// failure classes any error of the layers below. What it does not know is
// internal and says nothing.
func failure(err error) *Failure {
	var f *Failure
	var issues fhir.Issues
	var syntax *fhir.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, audit.ErrUnavailable): // whatever the cause: it says nothing about the request
		return fail(Unavailable, err, "the audit trail cannot record; no patient data can be served")
	case errors.As(err, &issues):
		return &Failure{Kind: Unprocessable, Issues: issues, cause: err}
	case errors.As(err, &syntax):
		return fail(Malformed, err, "%s", syntax.Error())
	case errors.Is(err, fhir.ErrTooLarge), errors.Is(err, repository.ErrTooLarge):
		return fail(TooLarge, err, "the request exceeds the size limit of this server")
	case errors.Is(err, authz.ErrScope):
		return fail(Denied, err, "no scope of the token reaches this interaction")
	case errors.Is(err, authz.ErrDenied):
		return fail(Denied, err, "no rule allows this interaction for the caller")
	case errors.Is(err, sealed.ErrErased), errors.Is(err, keyring.ErrErased), errors.Is(err, trail.ErrErased):
		return fail(Gone, err, "the resource was erased")
	case errors.Is(err, repository.ErrPosition):
		return badLink() // the records were moved to another engine since it was made
	case errors.Is(err, repository.ErrNotFound):
		return fail(NotFound, err, "the resource is not known here")
	case errors.Is(err, repository.ErrConflict):
		return fail(Conflict, err, "the resource was changed by another request at the same time; read it again and retry")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(Unavailable, err, "the request did not finish in time")
	case errors.Is(err, authz.ErrNoPolicy):
		return fail(Unavailable, err, "the access policy cannot be read; nothing can be decided")
	case errors.Is(err, repository.ErrFull):
		return fail(Unavailable, err, "the store is out of space")
	case errors.Is(err, keyring.ErrUnavailable), errors.Is(err, keyring.ErrRevoked), errors.Is(err, keyring.ErrWrongKEK):
		return fail(Unavailable, err, "the key service does not answer; no patient data can be served")
	case errors.Is(err, sealed.ErrKeysLost):
		return fail(Unavailable, err, "keys of a stored record are missing; the keystore must be restored")
	case errors.Is(err, repository.ErrUnavailable):
		return fail(Unavailable, err, "the store is unavailable")
	case errors.Is(err, repository.ErrCorrupt), errors.Is(err, field.ErrCorrupt):
		return fail(Unavailable, err, "the stored record is damaged and was not served; restore it from a backup")
	}
	return fail(Internal, err, "internal error")
}
