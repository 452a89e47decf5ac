package trail

import (
	"context"
	"crypto/ed25519"
	"errors"

	"github.com/fieldseal/fieldseal/audit"
)

// ErrErased is what Keys returns for a patient whose keys were destroyed.
var ErrErased = errors.New("audit keys of this patient were destroyed")

// Pseudonym names a patient in the trail. It is derived from a secret that is
// destroyed with the patient's keys.
type Pseudonym = [16]byte

// PatientKeys are what the trail needs of one patient.
type PatientKeys struct {
	Key       []byte // 32 bytes, seals the patient's entries
	Pseudonym Pseudonym
}

// Epoch is a key that seals event bodies for a period.
type Epoch struct {
	ID  uint32
	Key []byte // 32 bytes
}

// Keys is what the trail needs of the keystore. Slices stay the property of
// the keystore and are not kept. Any error but ErrErased makes the event fail.
type Keys interface {
	// PatientKeys returns the live keys of a patient, or ErrErased.
	PatientKeys(ctx context.Context, o audit.Owner) (PatientKeys, error)
	// Patient finds who has a pseudonym, or ErrErased when nobody has.
	Patient(ctx context.Context, p Pseudonym) (audit.Owner, error)
	CurrentEpoch(ctx context.Context) (Epoch, error)
	Epoch(ctx context.Context, id uint32) (Epoch, error)
	// IndexKey is the 32-byte key of the terms for agent and type.
	IndexKey() []byte
	// CheckpointKey signs checkpoints; it is no data key.
	CheckpointKey() ed25519.PrivateKey
}
