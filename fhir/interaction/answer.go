package interaction

import (
	"errors"
	"net/http"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/pseudonym"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/bundle"
)

// Answer is a released answer: the only thing that a face may serialise. Its
// fields are unexported and it is built from a grant that allows and a receipt
// of a durable audit event, so that no bytes leave without both.
type Answer struct {
	status   int
	body     []byte
	etag     string
	modified time.Time
	location string
	media    string // of a body that is not FHIR JSON
	replay   bool
	labels   []field.Label // of what the body shows, for the Bundle around it
	troubles []*Failure    // the server's own, met by entries of a Bundle
	receipt  audit.Receipt

	// Of a streamed answer, whose body is the first chunk: the rest on demand,
	// and what is called once at its end.
	more  func() ([]byte, error, bool)
	names *pseudonym.Rewriter  // of the ids in the chunks; nil: as they are
	shown func() []field.Label // by what was sent so far
	stop  func(error)
	ended func(error)
}

// errUnreleased means that code tried to answer without a decision or a
// receipt. It is a programming error that fails closed.
var errUnreleased = errors.New("answer has no grant or no receipt")

// release is the one way out: with a decision and a receipt, and with the ids
// that this caller is shown.
func (s *Service) release(c Call, g authz.Grant, r audit.Receipt, a Answer) (*Answer, error) {
	if !g.Allowed() || !r.Valid() || c.traits == nil {
		return nil, errUnreleased
	}
	if err := s.pseudonymise(c, &a); err != nil {
		return nil, err
	}
	a.receipt = r
	return &a, nil
}

// entryResult is what became of one entry of a Bundle: a released answer, or an error.
type entryResult struct {
	entry  *bundle.Entry // nil for a write of a transaction
	answer *Answer
	err    error
}

// assemble is the answer of a Bundle, under the receipt of its own event or of its
// entries. The body is made here, of released answers and outcomes: there is no
// way for other bytes to come into it.
func (s *Service) assemble(kind string, own audit.Receipt, results []entryResult) (*Answer, error) {
	a := Answer{status: http.StatusOK, receipt: own}
	for _, r := range results {
		switch {
		case r.err != nil:
			if f := failure(r.err); f.Kind.Status() >= http.StatusInternalServerError {
				a.troubles = append(a.troubles, f)
			}
		case r.answer == nil || !r.answer.receipt.Valid():
			return nil, errUnreleased
		default:
			a.receipt = r.answer.receipt
		}
	}
	if !a.receipt.Valid() {
		return nil, errUnreleased
	}
	a.body = s.bundleOf(kind, results)
	return &a, nil
}

// repeat is an answer of assemble that was kept, sealed, for a repeated request.
func repeat(r audit.Receipt, kept result) (*Answer, error) {
	if !r.Valid() {
		return nil, errUnreleased
	}
	return &Answer{status: http.StatusOK, body: kept.Body, replay: true, receipt: r}, nil
}

// Status is the HTTP status that R4 gives this outcome.
func (a *Answer) Status() int { return a.status }

// Body is the FHIR JSON, nil when there is none. It must not be modified.
func (a *Answer) Body() []byte { return a.body }

// Media is the Content-Type of a body that is not FHIR JSON, else empty.
func (a *Answer) Media() string { return a.media }

// ETag is the entity tag with its W/ and quotes, or empty.
func (a *Answer) ETag() string { return a.etag }

// LastModified is the version's time, or zero.
func (a *Answer) LastModified() time.Time { return a.modified }

// Location is the versioned path below the base, Type/id/_history/n, or empty.
func (a *Answer) Location() string { return a.location }

// Replay reports whether the request had been carried out before, under the
// same idempotency key.
func (a *Answer) Replay() bool { return a.replay }

// Troubles are the failures of entries of a Bundle that are the server's own
// (5xx): the Bundle is answered with 200, and whoever runs the server must learn
// of them all the same.
func (a *Answer) Troubles() []*Failure { return a.troubles }

// Receipt is the sequence of the audit event that covers the answer.
func (a *Answer) Receipt() uint64 { return a.receipt.Seq() }
