package interaction

import (
	"context"
	"fmt"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// TestTrailFailureIsAnOutageWhateverItsCause: a reader is never told of a
// conflict, or that nothing is there, because the trail could not record
// (decision 33).
func TestTrailFailureIsAnOutageWhateverItsCause(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{repository.ErrConflict, repository.ErrNotFound, repository.ErrTooLarge, repository.ErrCorrupt,
		repository.ErrPosition, fhir.ErrTooLarge, fhir.Issues{{Code: "invalid"}}, authz.ErrDenied, keyring.ErrErased,
		trail.ErrErased, trail.ErrLocked, context.Canceled} {
		f := failure(fmt.Errorf("recording: %w", fmt.Errorf("%w: %w", audit.ErrUnavailable, cause)))
		if f.Kind != Unavailable || f.Kind.Status() != 503 {
			t.Errorf("%v: status %d", cause, f.Kind.Status())
		}
	}
}
