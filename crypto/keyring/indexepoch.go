package keyring

import (
	"context"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

// IndexEpoch returns the newest index epoch: its key makes the tokens of the
// population index.
func (r *Ring) IndexEpoch() Epoch {
	r.indexMu.RLock()
	defer r.indexMu.RUnlock()
	return r.index[len(r.index)-1]
}

// IndexEpochs returns every index epoch whose tokens may still be stored,
// oldest first.
func (r *Ring) IndexEpochs() []Epoch {
	r.indexMu.RLock()
	defer r.indexMu.RUnlock()
	return slices.Clone(r.index)
}

// NewIndexEpoch makes the next index epoch beside those that exist; its key is
// durable on return. When the keystore holds a newer one than this ring knows,
// left by a call that failed after it had written, that one is taken over.
func (r *Ring) NewIndexEpoch(ctx context.Context) (Epoch, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	newest := r.IndexEpoch().ID
	var made Epoch
	_, err := r.changeTenant(ctx, func(t *tenantRow) (write bool, err error) {
		r.keks.setRow(t)
		made, write, err = r.nextIndexEpoch(ctx, t, newest)
		return write, err
	})
	if err != nil {
		return Epoch{}, fmt.Errorf("making an index epoch: %w", err)
	}
	r.indexMu.Lock()
	defer r.indexMu.Unlock()
	if r.index[len(r.index)-1].ID < made.ID {
		r.index = append(slices.Clip(r.index), made)
	}
	return made, nil
}

// nextIndexEpoch finds the newest epoch of the row above the given id, or adds
// one to it.
func (r *Ring) nextIndexEpoch(ctx context.Context, t *tenantRow, above uint32) (Epoch, bool, error) {
	last := above
	var found *secretRow
	for i := range t.secrets {
		if s := &t.secrets[i]; s.purpose == purposeIndexEpoch && s.id > last {
			last, found = s.id, s
		}
	}
	if found != nil {
		key, err := r.openSecret(ctx, t, *found)
		return Epoch{found.id, key, found.created}, false, err
	}
	kek, err := r.keks.get(ctx, t.current)
	if err != nil {
		return Epoch{}, false, err
	}
	key := secret.Random(keyBytes)
	s := secretRow{purpose: purposeIndexEpoch, id: above + 1, created: r.opts.Now(), kek: t.current}
	s.blob = sealAt(kek, t.seat(s), key)
	t.secrets = append(t.secrets, s)
	return Epoch{s.id, key, s.created}, true, nil
}

// DropIndexEpochs destroys the keys of every index epoch older than the given
// one: from then on their tokens, in backups too, confirm no guess. The rows
// are overwritten on return; the bytes may stay in free blocks of the engine
// until it is scrubbed. It may be repeated.
func (r *Ring) DropIndexEpochs(ctx context.Context, before uint32) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	old := func(s secretRow) bool { return s.purpose == purposeIndexEpoch && s.id < before }
	_, err := r.changeTenant(ctx, func(t *tenantRow) (bool, error) {
		if !slices.ContainsFunc(t.secrets, func(s secretRow) bool { return s.purpose == purposeIndexEpoch && s.id == before }) {
			return false, ErrNoKey
		}
		if !slices.ContainsFunc(t.secrets, old) {
			return false, nil
		}
		t.secrets = slices.DeleteFunc(t.secrets, old)
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("dropping index epochs before %d: %w", before, err)
	}
	r.indexMu.Lock()
	defer r.indexMu.Unlock()
	r.index = slices.DeleteFunc(slices.Clone(r.index), func(e Epoch) bool { return e.ID < before })
	return nil
}
