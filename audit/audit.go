// Package audit says what an access event is and what a recorder promises:
// no disclosure without a durable record.
//
// Start with Event and Recorder. A Receipt can only be made by a Recorder that
// has put the event on stable storage; the REST layer cannot build an answer
// without one. This package knows no storage, no keys and no FHIR rendering:
// audit/trail keeps events, audit/event renders them as FHIR AuditEvent.
//
// Events name patients and users. They are sealed before they reach a disk and
// never go into logs, spans or metrics.
package audit

import (
	"context"
	"errors"
	"time"
)

// ErrUnavailable means that the trail cannot make events durable (full,
// failing, closed). No patient data may leave: 503.
var ErrUnavailable = errors.New("audit trail is unavailable")

// Action is the FHIR AuditEvent.action code: C, R, U, D or E.
type Action byte

// The AuditEvent actions.
const (
	Create  Action = 'C'
	Read    Action = 'R'
	Update  Action = 'U'
	Delete  Action = 'D'
	Execute Action = 'E'
)

// Outcome is the FHIR AuditEvent.outcome code.
type Outcome byte

// The AuditEvent outcomes. Intent marks a write that is about to commit; its
// outcome follows in an event of its own that names it.
const (
	Success        Outcome = '0'
	MinorFailure   Outcome = '4' // denied, invalid, not found
	SeriousFailure Outcome = '8'
	MajorFailure   Outcome = 'M'
	Intent         Outcome = 'I'
	Unknown        Outcome = 'U' // written by recovery when the store cannot tell
)

// Kind groups events as AuditEvent.type does.
type Kind string

// The kinds of events.
const (
	REST     Kind = "rest"     // a FHIR interaction; Subtype is its code
	Login    Kind = "login"    // authentication; Subtype login, failure, token-issue, token-revoke
	Security Kind = "security" // keys, policy, configuration, erasure, audit reads
	System   Kind = "system"   // start, stop, clock step
)

// Event is one access or security event. The recorder sets Time and sequence.
type Event struct {
	Kind    Kind
	Subtype string // for REST the interaction code: read, vread, update, …
	Action  Action
	Outcome Outcome
	// Reason is a short code of a failure or denial (never an element value).
	Reason string
	// IntentSeq names the intent that this outcome concludes.
	IntentSeq uint64

	Agent    Agent
	Entities []Entity
	// Query is the raw query string of a search; patient data, sealed.
	Query string

	RequestID      string
	TraceID        string
	PolicyRevision string
}

// Agent is who acted.
type Agent struct {
	Subject string   // local account, for example user:dr-demo
	Who     string   // FHIR reference of the person, for example Practitioner/p1
	Client  string   // OAuth client id
	Roles   []string // roles in force
	Purpose string   // purpose of use code
	Address string   // network address of the peer
}

// Owner is the clear pseudonym of an owner (the bytes of repository.Owner).
type Owner = [16]byte

// Entity is one resource that the event concerns.
type Entity struct {
	Type    string
	ID      string
	Version uint64
	// Patients are the owners of the patient compartments in which the
	// resource lies; each is indexed under that patient's own audit key.
	Patients []Owner
	// PatientIDs are the logical ids of Patients, in the same order. When read
	// back, a zero owner with an empty id is a patient whose keys were
	// destroyed.
	PatientIDs []string
	// Erased is set when read back: every patient of the resource was erased,
	// so that only its Type and Classes are left.
	Erased bool
	// Classes are the element classes returned (bits of field.ClassSet).
	Classes uint16
	// Key, ContentHash and Expect let recovery resolve a write's intent.
	Key         [16]byte
	ContentHash [32]byte
	Expect      uint64
}

// Receipt proves that an event is durable. The zero Receipt proves nothing.
type Receipt struct{ seq uint64 }

// Seq is the event's position in this origin's trail, from 1.
func (r Receipt) Seq() uint64 { return r.seq }

// Valid reports whether the receipt came from a recorder.
func (r Receipt) Valid() bool { return r.seq != 0 }

// NewReceipt is for implementations of Recorder only (a test over the import
// table enforces it): calling it asserts that the event is on stable storage.
func NewReceipt(seq uint64) Receipt { return Receipt{seq: seq} }

// Recorder records events.
type Recorder interface {
	// Record returns when the event is on stable storage. After an error the
	// caller must not disclose or commit anything that the event covers. When
	// ctx ends while an intent waits, the recorder itself concludes the intent
	// as a failure.
	Record(ctx context.Context, e Event) (Receipt, error)
	// Queue hands over an event that must not be lost while the process
	// lives but that no answer waits for: the outcome of a recorded intent.
	Queue(e Event)
}

// Entry is a stored event as it is read back.
type Entry struct {
	Origin string // name of the chain that holds the event
	Seq    uint64
	Time   time.Time
	Event
}
