// Package glass keeps the emergency accesses (break-glass): who broke the glass
// for which patient, why, how long, and what the review decided.
//
// Start with Record and Book. Whether somebody may break the glass and what is
// seen through it is decided by authz/policy; fhir/interaction asks both.
//
// Security notes: rows are sealed, since they name patients and users and hold
// what a person wrote under stress. An access is in force for the account and
// the client that asked for it, until its end, and on every node from the
// moment it is stored; nothing is cached. Unknown, foreign and ended ones are
// one error.
//
// Kept compatible: the row format (docs/format/break-glass.md).
package glass

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldseal/fieldseal/fhir"
)

// Bounds of an emergency access (access.md).
const (
	MaxLife      = 60 * time.Minute
	ReviewWithin = 72 * time.Hour
	// AuthAge is how old the authentication with a second factor may be.
	AuthAge = 15 * time.Minute

	minText = 10
	maxText = 1000
)

// Reasons are the codes of HL7 v3 ActReason that an access can be asked for
// with, and what they mean.
func Reasons() map[string]string {
	return map[string]string{"ETREAT": "emergency treatment", "PATSFTY": "patient safety", "THREAT": "threat", "DISASTER": "disaster"}
}

// Errors of a Book.
var (
	// ErrNotInForce: the access is unknown, somebody else's or over.
	ErrNotInForce = errors.New("no such emergency access is in force for the caller")
	// ErrUnknown: there is no access of this id to review.
	ErrUnknown = errors.New("there is no such emergency access")
	// ErrReviewed: a decision stands and is not replaced.
	ErrReviewed = errors.New("the emergency access was reviewed before")
	// ErrInvalid wraps what is wrong with a request.
	ErrInvalid = errors.New("the request for emergency access is not valid")
)

// Record is one emergency access.
type Record struct {
	ID      string    `json:"id"`
	Subject string    `json:"subject"` // account
	Client  string    `json:"client"`
	Who     string    `json:"who,omitempty"`     // FHIR reference of the user
	Patient string    `json:"patient,omitempty"` // logical id; empty after an erasure
	Reason  string    `json:"reason"`            // one of Reasons
	Text    string    `json:"text,omitempty"`
	Started time.Time `json:"started"`
	Ends    time.Time `json:"ends"`
	Stopped time.Time `json:"stopped,omitzero"` // by the user, before its end
	Review  *Review   `json:"review,omitempty"`
}

// Review closes an access.
type Review struct {
	By       string    `json:"by"`
	Decision Decision  `json:"decision"`
	Comment  string    `json:"comment,omitempty"`
	At       time.Time `json:"at"`
}

// Decision is what a review found.
type Decision string

// The decisions.
const (
	Justified   Decision = "justified"
	Unjustified Decision = "unjustified"
)

// Check reports every problem of a new access at once.
func (r *Record) Check() error {
	var errs []error
	if r.Subject == "" || r.Client == "" || !fhir.ValidID(r.Patient) {
		errs = append(errs, errors.New("account, client and patient are required"))
	}
	if _, known := Reasons()[r.Reason]; !known {
		var codes []string
		for c := range Reasons() {
			codes = append(codes, c)
		}
		slices.Sort(codes)
		errs = append(errs, fmt.Errorf("reason must be one of %s", strings.Join(codes, ", ")))
	}
	if n := utf8.RuneCountInString(strings.TrimSpace(r.Text)); n < minText || n > maxText {
		errs = append(errs, fmt.Errorf("text must say in %d to %d characters why", minText, maxText))
	}
	if life := r.Ends.Sub(r.Started); life <= 0 || life > MaxLife {
		errs = append(errs, fmt.Errorf("an emergency access lasts 1 to %d minutes", int(MaxLife.Minutes())))
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(errs...))
	}
	return nil
}

// Over is when the access ended or is going to end.
func (r *Record) Over() time.Time {
	if !r.Stopped.IsZero() && r.Stopped.Before(r.Ends) {
		return r.Stopped
	}
	return r.Ends
}

// Due is when the review has to be closed.
func (r *Record) Due() time.Time { return r.Started.Add(ReviewWithin) }

// Overdue reports whether nobody has reviewed the access in time.
func (r *Record) Overdue(now time.Time) bool { return r.Review == nil && now.After(r.Due()) }
