package interaction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// maxWithheld bounds the Consents that one event names: a search over a whole
// hospital could meet thousands.
const maxWithheld = 100

// withheld collects the Consents that kept something from the caller of one
// interaction, so that its event names them.
type withheld struct {
	mu       sync.Mutex
	entities []audit.Entity
	optIn    bool  // something was withheld because no Consent permits it
	bounded  bool  // something was withheld because a rule passed a bound
	failed   error // why something that a rule asks could not be found out
}

type withheldKey struct{}

// collecting begins a collection; an entry of a Bundle has its own.
func collecting(ctx context.Context) context.Context {
	return context.WithValue(ctx, withheldKey{}, &withheld{})
}

// note adds the Consents of a patient that withhold a resource.
func note(ctx context.Context, patient field.StorageID, consents []string) {
	w, ok := ctx.Value(withheldKey{}).(*withheld)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.optIn = w.optIn || len(consents) == 0
	for _, id := range consents {
		known := slices.ContainsFunc(w.entities, func(e audit.Entity) bool { return e.ID == id && e.Patients[0] == patient })
		if !known && len(w.entities) < maxWithheld {
			w.entities = append(w.entities, audit.Entity{Type: "Consent", ID: id, Patients: []audit.Owner{patient}})
		}
	}
}

// doubt notes that something that a rule asks could not be found out. The rule
// denies; what was found without it may lack something, so that the interaction
// fails (see doubtful). A bound that was passed is no failure of the server: the
// event tells of it (see named).
func doubt(ctx context.Context, err error) {
	w, ok := ctx.Value(withheldKey{}).(*withheld)
	if !ok || err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(err, errTooMany) {
		w.bounded = true
		return
	}
	if w.failed == nil {
		w.failed = fmt.Errorf("finding out what a rule asks: %w", err)
	}
}

// doubtful is the failure of an interaction that met a doubt, or nil.
func doubtful(ctx context.Context) error {
	w, ok := ctx.Value(withheldKey{}).(*withheld)
	if !ok {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		return nil
	}
	return fail(Unavailable, w.failed, "the server cannot find out at the moment what the access policy asks; nothing was shown or changed")
}

// named adds to an event the Consents that withheld something, and says so when
// that is why nothing was found.
func (s *Service) named(ctx context.Context, ev *audit.Event, err error) {
	w, ok := ctx.Value(withheldKey{}).(*withheld)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bounded && (err == nil || errors.Is(err, repository.ErrNotFound) || errors.Is(err, authz.ErrDenied)) {
		ev.Reason = "decision-bound"
	}
	if len(w.entities) == 0 && !w.optIn {
		return
	}
	for _, e := range w.entities {
		e.PatientIDs = []string{s.patientID(ctx, e.Patients[0])}
		ev.Entities = append(slices.Clip(ev.Entities), e)
	}
	if errors.Is(err, repository.ErrNotFound) {
		ev.Reason = "consent"
	}
}

// patientID is the logical id of a patient; empty when it has no record.
func (s *Service) patientID(ctx context.Context, patient field.StorageID) string {
	st, err := s.Vault.Load(ctx, repository.Key{Type: "Patient", ID: patient})
	if err != nil || !fhir.ValidID(st.Head.ID) {
		return ""
	}
	return st.Head.ID
}
