package trail

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/repository"
)

// pseudonymPrefix starts the keystore rows that lead from a pseudonym to its
// patient: prefix, pseudonym → owner.
const pseudonymPrefix = "audit/pseudonym/"

// maxKnown bounds the pseudonyms that are known to have a row.
const maxKnown = 1 << 16

// RingKeys serves the trail from a keyring. It keeps the way back from a
// pseudonym to its patient in the keystore's table, never in the trail, so that
// it dies with the keystore entry: after a patient's keys were destroyed, call
// Sweep.
type RingKeys struct {
	ring  *keyring.Ring
	table repository.Table

	mu    sync.RWMutex
	known map[Pseudonym]audit.Owner
}

var _ Keys = (*RingKeys)(nil)

// NewRingKeys returns the keys of a trail. table is the keystore's table.
func NewRingKeys(ring *keyring.Ring, table repository.Table) *RingKeys {
	return &RingKeys{ring: ring, table: table, known: make(map[Pseudonym]audit.Owner)}
}

// PatientKeys implements Keys. A patient without keys gets them: an event may
// come before the first record that is sealed for the patient.
func (r *RingKeys) PatientKeys(ctx context.Context, o audit.Owner) (PatientKeys, error) {
	k, err := r.ring.Owner(ctx, repository.Owner(o))
	if errors.Is(err, keyring.ErrNoKey) {
		k, err = r.ring.EnsureOwner(ctx, repository.Owner(o))
	}
	if errors.Is(err, keyring.ErrErased) {
		return PatientKeys{}, ErrErased
	}
	if err != nil {
		return PatientKeys{}, err
	}
	out := PatientKeys{Key: k.AuditKey().Expose(), Pseudonym: k.AuditPseudonym()}
	return out, r.remember(ctx, out.Pseudonym, o)
}

// remember writes the way back before the first event that needs it.
func (r *RingKeys) remember(ctx context.Context, p Pseudonym, o audit.Owner) error {
	r.mu.RLock()
	_, ok := r.known[p]
	r.mu.RUnlock()
	if ok {
		return nil
	}
	key := append([]byte(pseudonymPrefix), p[:]...)
	if _, err := r.table.Get(ctx, key); errors.Is(err, repository.ErrNotFound) {
		if _, err := r.table.PutIf(ctx, key, o[:], 0); err != nil && !errors.Is(err, repository.ErrConflict) {
			return fmt.Errorf("keeping an audit pseudonym: %w", err)
		}
	} else if err != nil {
		return fmt.Errorf("looking up an audit pseudonym: %w", err)
	}
	r.learn(p, o)
	return nil
}

func (r *RingKeys) learn(p Pseudonym, o audit.Owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxKnown {
		clear(r.known)
	}
	r.known[p] = o
}

// Patient implements Keys.
func (r *RingKeys) Patient(ctx context.Context, p Pseudonym) (audit.Owner, error) {
	r.mu.RLock()
	o, ok := r.known[p]
	r.mu.RUnlock()
	if ok {
		return o, nil
	}
	row, err := r.table.Get(ctx, append([]byte(pseudonymPrefix), p[:]...))
	if errors.Is(err, repository.ErrNotFound) {
		return o, ErrErased
	}
	if err != nil {
		return o, fmt.Errorf("looking up an audit pseudonym: %w", err)
	}
	if copy(o[:], row.Value) != len(o) {
		return o, fmt.Errorf("%w: row of an audit pseudonym", ErrCorrupt)
	}
	r.learn(p, o)
	return o, nil
}

// Sweep removes the way back to every patient whose keys were destroyed and
// returns how many there were. It is idempotent; call it after an erasure and
// when the server starts.
func (r *RingKeys) Sweep(ctx context.Context) (int, error) {
	removed := 0
	for row, err := range r.table.Scan(ctx, []byte(pseudonymPrefix)) {
		if err != nil {
			return removed, fmt.Errorf("scanning audit pseudonyms: %w", err)
		}
		var o repository.Owner
		copy(o[:], row.Value)
		// A patient who was admitted again has another pseudonym, so the
		// keys in force must lead to this very row.
		live, err := r.leadsTo(ctx, o, row.Key[len(pseudonymPrefix):])
		if err != nil {
			return removed, err
		}
		if live {
			continue
		}
		if err := r.table.DeleteIf(ctx, row.Key, row.Revision); err != nil && !errors.Is(err, repository.ErrNotFound) {
			return removed, fmt.Errorf("removing an audit pseudonym: %w", err)
		}
		removed++
	}
	r.Forget()
	return removed, nil
}

// Forget drops from memory which pseudonym is whose; another node may have
// swept.
func (r *RingKeys) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.known)
}

func (r *RingKeys) leadsTo(ctx context.Context, o repository.Owner, p []byte) (bool, error) {
	erased, err := r.ring.Erased(ctx, o)
	if err != nil || erased {
		return false, err
	}
	k, err := r.ring.Owner(ctx, o)
	if errors.Is(err, keyring.ErrErased) || errors.Is(err, keyring.ErrNoKey) {
		return errors.Is(err, keyring.ErrErased), nil // fenced: its keys still exist
	}
	if err != nil {
		return false, err
	}
	have := k.AuditPseudonym()
	return string(have[:]) == string(p), nil
}

// CurrentEpoch implements Keys.
func (r *RingKeys) CurrentEpoch(ctx context.Context) (Epoch, error) {
	e, err := r.ring.CurrentAuditEpoch(ctx)
	if err != nil {
		return Epoch{}, err
	}
	return Epoch{ID: e.ID, Key: e.Key.Expose()}, nil
}

// Epoch implements Keys.
func (r *RingKeys) Epoch(ctx context.Context, id uint32) (Epoch, error) {
	e, err := r.ring.AuditEpoch(ctx, id)
	if err != nil {
		return Epoch{}, err
	}
	return Epoch{ID: e.ID, Key: e.Key.Expose()}, nil
}

// IndexKey implements Keys.
func (r *RingKeys) IndexKey() []byte { return r.ring.AuditIndexKey().Expose() }

// CheckpointKey implements Keys.
func (r *RingKeys) CheckpointKey() ed25519.PrivateKey { return r.ring.CheckpointKey() }
