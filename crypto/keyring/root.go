package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/repository"
)

// ReplaceRoot wraps every KEK version by another root key, in one write: a
// new key file, or a move to another KMS. Afterwards the keystore opens only
// with next, and this ring must be closed and opened with it. When the old
// root key may be known to somebody, run RotateKEK as well: who also copied
// the keystore has the KEKs.
func (r *Ring) ReplaceRoot(ctx context.Context, next Wrapper) error {
	r.rotateMu.Lock()
	defer r.rotateMu.Unlock()
	for {
		t, revision, err := readTenant(ctx, r.opts.Table)
		if err != nil {
			return fmt.Errorf("replacing root key: %w", err)
		}
		for i := range t.keks {
			if err := r.moveKEK(ctx, &t.keks[i], next); err != nil {
				return fmt.Errorf("replacing root key of KEK version %d: %w", t.keks[i].version, err)
			}
		}
		_, err = r.opts.Table.PutIf(ctx, []byte(tenantKey), t.encode(), revision)
		if errors.Is(err, repository.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("replacing root key: %w: %w", ErrUnavailable, err)
		}
		return nil
	}
}

// moveKEK wraps one KEK again and proves that it can be unwrapped before the
// old form is given up.
func (r *Ring) moveKEK(ctx context.Context, k *kekRow, next Wrapper) error {
	aad := kekAAD(r.tenant, k.version)
	key, err := r.opts.Wrapper.Unwrap(ctx, k.wrapped, aad)
	if err != nil {
		return kmsError(err)
	}
	defer key.Wipe()
	w, err := next.Wrap(ctx, key, aad)
	if err != nil {
		return kmsError(err)
	}
	again, err := next.Unwrap(ctx, w, aad)
	if err != nil {
		return kmsError(err)
	}
	defer again.Wipe()
	if !again.Equal(key) {
		return fmt.Errorf("the new KMS returned another key: %w", ErrCorrupt)
	}
	k.wrapped = w
	return nil
}
