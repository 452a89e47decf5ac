// Package interaction is what the server does: one file per FHIR interaction.
//
// Start with Service and read.go. Every interaction has the same spine: decide
// (authz), look (repository/sealed), shape (redact, validate), record (audit),
// and only then release. A face such as fhir/rest gets an *Answer or a *Failure
// and can serialise nothing else.
//
// Security notes: an interaction that is denied or fails after authentication
// leaves an audit event too, and its failure leaves only when that event is
// durable. Unknown and invisible resources are told apart nowhere. The package
// knows no engine, no KMS, no policy engine and no HTTP.
//
// All methods of Service may be called concurrently.
package interaction

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/fhir/summary"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Validator checks a resource's structure; no issues means valid.
type Validator interface {
	Validate(r *fhir.Resource) fhir.Issues
}

// Options are the parts of a Service; all but Replays, Glasses and Now are
// required.
type Options struct {
	Definitions *definition.Registry
	Vault       *sealed.Vault
	Store       repository.Store
	Decider     authz.Decider
	Recorder    audit.Recorder
	Trail       Trail
	Tracer      *trace.Tracer
	Validator   Validator
	Redactor    *redact.Redactor
	Classes     *field.Table
	Catalog     *search.Catalog
	Terminology Terminology
	// Replays remembers idempotency keys, for ReplayLife; nil refuses them.
	Replays    repository.Table
	ReplayLife time.Duration
	// ReplayWait is how long a repeated Bundle waits for the answer of the first
	// one when other processes may be at it; those of this process always wait.
	ReplayWait time.Duration
	// Glasses keeps emergency accesses; nil refuses them.
	Glasses Glasses
	// Now is time.Now when nil.
	Now         func() time.Time
	Limits      fhir.Limits
	Base        string // FHIR base URL without a slash at the end
	MaxEntries  int    // of a Bundle
	BundleBytes int    // of a batch or transaction
	// DeleteMultiple: a conditional delete with several matches deletes them all
	// in one commit, MaxEntries at most; else it is refused.
	DeleteMultiple bool
	// Integrity says which references are guarded.
	Integrity Integrity
	// ConsentBase decides for patients without a Consent.
	ConsentBase consent.Base
	// Unlabelled is the confidentiality of resources that carry none.
	Unlabelled label.Level
	// Labels are put on what is written; nil has none.
	Labels *label.Rules
	// CareWindow is how long an encounter or appointment is a relationship; zero
	// means DefaultCareWindow.
	CareWindow time.Duration
}

// Service serves interactions.
type Service struct {
	Options
	types     bundle.Types
	spans     *trace.Registered // resource types that a span may name
	shaper    *summary.Shaper
	meter     *searchMeter
	own       []*definition.Operation
	now       func() time.Time
	projects  sync.Map // name → *pseudonym.Project
	flights   flights
	underway  underway
	selectors selectors

	circles  *recent[string, *circle]
	consents *recent[field.StorageID, []*consent.Consent]
	adults   *recent[field.StorageID, bool]
}

// New returns a service; it panics on a missing part, which is a wiring error.
func New(o Options) *Service {
	if o.Definitions == nil || o.Vault == nil || o.Store == nil || o.Decider == nil || o.Recorder == nil ||
		o.Trail == nil || o.Tracer == nil || o.Validator == nil || o.Redactor == nil || o.Classes == nil || o.Catalog == nil || o.Terminology == nil {
		panic("interaction: a required part is missing")
	}
	if o.CareWindow == 0 {
		o.CareWindow = DefaultCareWindow
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	s := &Service{Options: o, own: OwnOperations(o.Base), now: now, types: bundle.DefinedTypes(o.Definitions), spans: trace.NewTypes(o.Definitions.ResourceTypes()), shaper: summary.New(o.Definitions), meter: newSearchMeter()}
	s.circles = newRecent(rememberedCircles, s.loadCircle)
	s.consents = newRecent(rememberedPeople, s.loadConsents)
	s.adults = newRecent(rememberedPeople, s.loadAdult)
	return s
}

// Return is what a write answers with (R4 http.html#ops).
type Return uint8

// The values of Prefer: return.
const (
	Representation Return = iota
	Minimal
	Outcome
)

// Call is the context of one interaction: who asks, and the conditional
// headers as sent.
type Call struct {
	Subject   authz.Subject
	RequestID string
	TraceID   string
	Route     trace.Attribute // for the span; none when it is zero
	Return    Return
	// Lenient: unknown search parameters are ignored with a warning (Prefer:
	// handling=lenient, R4 search.html#errors).
	Lenient bool

	IfMatch         string
	IfNoneMatch     string
	IfModifiedSince time.Time
	IfNoneExist     string
	// IdempotencyKey makes a create, batch or transaction repeatable.
	IdempotencyKey string

	// Turn is the place among those that read large records; nil needs none.
	Turn Turn

	traits   *authz.Traits // of the subject's roles; nil conceals
	seed     string        // of the ids that belong to an idempotency key
	together *together     // what the same commit writes; nil outside of a transaction

	span trace.Span // of the interaction under way
	room *allowance // of the answer
	// taken are the stamps of its writes.
	taken *taken
}

// Turn is the place of one request among those that read large records. It may be
// used concurrently; Take waits once, Done gives the place back early.
type Turn interface {
	Take(ctx context.Context) error
	Done()
}

// maxAttempts bounds how often a write without precondition is tried again
// when another request changed the same record between look and commit.
const maxAttempts = 16

// retry runs a write until it does not lose a race, at most maxAttempts times.
func retry(ctx context.Context, attempt func() (*Answer, error)) (*Answer, error) {
	for i := 1; ; i++ {
		a, err := attempt()
		if !errors.Is(err, repository.ErrConflict) || i == maxAttempts || ctx.Err() != nil {
			return a, err
		}
	}
}

// known refuses what is no resource type or no id before anything else looks
// at it.
func (s *Service) known(resourceType, id string) *Failure {
	if !s.Definitions.IsResource(resourceType) {
		return fail(NotFound, nil, "unknown resource type")
	}
	if !fhir.ValidID(id) {
		return fail(Malformed, nil, "a logical id is 1 to 64 letters, digits, '-' and '.'")
	}
	return nil
}

func instant(stamp int64) time.Time { return time.UnixMicro(stamp).UTC() }
