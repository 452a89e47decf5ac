// Package adminapi is the local face for operators: JSON over a unix socket in
// the data folder that only the server's own user can open.
//
// Start with Backend. The server serves it with Listen and NewHandler; commands
// reach it with Client, or use the same Backend in their own process when no
// server runs. Long work streams its progress, one JSON object a line.
//
// Security notes: whoever may connect is the operating-system user that could
// read every file of the server anyway. The file's mode (0600) and the kernel's
// word on who connects are the checks. Every call that changes something,
// issues a token or searches leaves an audit event; key status and sizes, which
// name nobody, do not.
package adminapi

import (
	"context"
	"encoding/json"
	"time"

	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// SocketName is the file of the socket inside the data folder.
const SocketName = "admin.sock"

// TokenRequest asks for a development token.
type TokenRequest struct {
	Role         string        `json:"role,omitempty"`
	Account      string        `json:"account,omitempty"`      // instead of a role: user:NAME or client:NAME
	Purpose      string        `json:"purpose,omitempty"`      // of an account; empty: TREAT
	Scopes       []string      `json:"scopes,omitempty"`       // of an account; empty: all that its kind can have
	Patient      string        `json:"patient,omitempty"`      // logical id, for role patient and for accounts
	Practitioner string        `json:"practitioner,omitempty"` // logical id
	Lifetime     time.Duration `json:"lifetime,omitempty"`     // 0: the default
	MFA          bool          `json:"mfa,omitempty"`          // as after a login with a second factor
}

// TokenReply is a token that is shown once.
type TokenReply struct {
	Token string `json:"token"`
	Base  string `json:"base"` // FHIR base; empty when no server runs
}

// EraseRequest names a patient to erase.
type EraseRequest struct {
	Patient string `json:"patient"`
	Reason  string `json:"reason"`
}

// HoldRequest puts a patient under legal hold, or ends it.
type HoldRequest struct {
	Patient string `json:"patient"`
	Reason  string `json:"reason,omitempty"`
	Release bool   `json:"release,omitempty"`
}

// ExplainRequest asks how a search is answered, as the holder of a token.
type ExplainRequest struct {
	Token string `json:"token"`
	Query string `json:"query"` // Observation?code=…
}

// Emergency is an emergency access with the state of its review.
type Emergency struct {
	glass.Record
	Due     time.Time `json:"due"`
	Overdue bool      `json:"overdue"`
}

// ReviewRequest closes the review of an emergency access.
type ReviewRequest struct {
	ID       string         `json:"id"`
	By       string         `json:"by"` // account of who decides
	Decision glass.Decision `json:"decision"`
	Comment  string         `json:"comment,omitempty"`
}

// Stats are the sizes of everything that is stored, in bytes and counts.
type Stats struct {
	Store    any `json:"store"`
	Keystore any `json:"keystore"`
	Trail    any `json:"trail"`
}

// Progress is one step of long work; Total is 0 when unknown.
type Progress struct {
	Step  string `json:"step"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// BackupRequest names a new folder for each copy, absolute; an empty one is not
// made.
type BackupRequest struct {
	Data     string `json:"data,omitempty"`
	Keystore string `json:"keystore,omitempty"`
}

// OfficeCall is an operation of the security officer's desk (authz/office).
type OfficeCall struct {
	// System is the operating-system user who calls. The server takes it from
	// the kernel, whatever a client says.
	System    string          `json:"-"`
	Account   string          `json:"account,omitempty"` // of the person who sits there
	Operation string          `json:"operation"`
	Body      json.RawMessage `json:"body"`
}

// Backend is what operators can ask. Errors hold no patient data.
type Backend interface {
	Token(ctx context.Context, r TokenRequest) (TokenReply, error)
	RevokeToken(ctx context.Context, token string) error
	KeysStatus(ctx context.Context) (keyring.Status, error)
	RotateKEK(ctx context.Context, progress func(Progress)) error
	// RotateIndex replaces the key of the search index and every token with it.
	RotateIndex(ctx context.Context, progress func(Progress)) error
	// Reindex makes the search index again.
	Reindex(ctx context.Context, progress func(Progress)) error
	Erase(ctx context.Context, r EraseRequest, progress func(Progress)) (interaction.EraseReport, error)
	// Hold postpones every erasure of a patient until it is released.
	Hold(ctx context.Context, r HoldRequest) error
	// Readmit lets an erased patient's id be used again, with new keys.
	Readmit(ctx context.Context, r EraseRequest) error
	// Backup copies data and keystore while others read and write, the data
	// first: keys without data are harmless, data without keys is lost.
	Backup(ctx context.Context, r BackupRequest) error
	// BreakGlassList returns every emergency access, the oldest first.
	BreakGlassList(ctx context.Context) ([]Emergency, error)
	// BreakGlassReview closes the review of one, once and for all.
	BreakGlassReview(ctx context.Context, r ReviewRequest) (glass.Record, error)
	Stats(ctx context.Context) (Stats, error)
	// Office runs an operation on policy or accounts and returns its JSON.
	Office(ctx context.Context, c OfficeCall) (json.RawMessage, error)
	// Explain says how a search is answered, without any value.
	Explain(ctx context.Context, r ExplainRequest) (interaction.Explanation, error)
}
