package keyring

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// progressEvery is how many rewrapped rows pass between two writes of the
// progress; it costs one durable write.
const progressEvery = 256

// RotateKEK makes a new KEK version and wraps every secret again under it,
// then forgets the older versions. Readers and EnsureOwner go on meanwhile.
//
// It may be killed at any step: every row is always wrapped by a version that
// the tenant row lists, and a later call resumes where the first stopped
// instead of making another version. progress may be nil; it is called from
// this goroutine. A row that cannot be opened stops the rotation and keeps
// the older versions.
func (r *Ring) RotateKEK(ctx context.Context, progress func(done, total int)) error {
	r.rotateMu.Lock()
	defer r.rotateMu.Unlock()
	if progress == nil {
		progress = func(int, int) {}
	}
	target, err := r.startRotation(ctx)
	if err != nil {
		return fmt.Errorf("rotating KEK: %w", err)
	}
	for {
		// The last pass must find nothing: it began after every row that
		// names an older version was written (see createOwner).
		rewrapped, err := r.rewrapOwners(ctx, target, progress)
		if err != nil {
			return fmt.Errorf("rotating KEK to version %d: %w", target, err)
		}
		if rewrapped == 0 {
			break
		}
	}
	if err := r.finishRotation(ctx, target); err != nil {
		return fmt.Errorf("rotating KEK to version %d: %w", target, err)
	}
	return nil
}

// changeTenant rewrites the tenant row by compare-and-set. edit returns false
// to leave it as it is. The row in force is returned and taken over.
func (r *Ring) changeTenant(ctx context.Context, edit func(*tenantRow) (bool, error)) (*tenantRow, error) {
	for {
		t, revision, err := readTenant(ctx, r.opts.Table)
		if err != nil {
			return nil, err
		}
		write, err := edit(t)
		if err != nil {
			return nil, err
		}
		if write {
			_, err = r.opts.Table.PutIf(ctx, []byte(tenantKey), t.encode(), revision)
			if errors.Is(err, repository.ErrConflict) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("writing tenant row: %w: %w", ErrUnavailable, err)
			}
		}
		r.keks.setRow(t)
		return t, nil
	}
}

// startRotation makes the new version, or finds the one of a rotation that
// was interrupted, and wraps the tenant's secrets under it in the same write.
func (r *Ring) startRotation(ctx context.Context) (target uint32, err error) {
	_, err = r.changeTenant(ctx, func(t *tenantRow) (bool, error) {
		if target = t.rotation.target; target != 0 {
			return false, nil
		}
		key, err := t.addKEK(ctx, r.opts)
		if err != nil {
			return false, err
		}
		defer key.Wipe()
		target = t.current
		aead, err := newAEAD(key)
		if err != nil {
			return false, err
		}
		for i := range t.secrets {
			if err := r.rewrapSecret(ctx, t, &t.secrets[i], target, aead); err != nil {
				return false, err
			}
		}
		total, err := r.countOwners(ctx)
		t.rotation = rotation{target: target, started: r.opts.Now(), total: uint32(total)}
		return true, err
	})
	return target, err
}

func (r *Ring) rewrapSecret(ctx context.Context, t *tenantRow, s *secretRow, target uint32, aead cipher.AEAD) error {
	plain, err := r.openSecret(ctx, t, *s)
	if err != nil {
		return err
	}
	defer plain.Wipe()
	s.kek = target
	s.blob = sealAt(aead, t.seat(*s), plain)
	return nil
}

// countOwners counts the rows that hold wrapped keys.
func (r *Ring) countOwners(ctx context.Context) (n int, err error) {
	err = r.eachOwner(ctx, func(_ repository.Owner, w *ownerRow, _ uint64) error {
		if len(w.blob) > 0 {
			n++
		}
		return nil
	})
	return n, err
}

// eachOwner visits every owner row.
func (r *Ring) eachOwner(ctx context.Context, visit func(repository.Owner, *ownerRow, uint64) error) error {
	for row, err := range r.opts.Table.Scan(ctx, []byte(ownerPrefix)) {
		if err != nil {
			return fmt.Errorf("scanning owners: %w: %w", ErrUnavailable, err)
		}
		o, err := ownerOfKey(row.Key)
		if err != nil {
			return err
		}
		w, err := decodeOwner(row.Value)
		if err != nil {
			return fmt.Errorf("owner %x: %w", o[:4], err)
		}
		if err := visit(o, w, row.Revision); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// rewrapOwners makes one pass over the rows and reports how many still named
// another KEK version.
func (r *Ring) rewrapOwners(ctx context.Context, target uint32, progress func(done, total int)) (int, error) {
	total, err := r.countOwners(ctx)
	if err != nil {
		return 0, err
	}
	rewrapped, done := 0, 0
	err = r.eachOwner(ctx, func(o repository.Owner, w *ownerRow, revision uint64) error {
		if len(w.blob) == 0 {
			return nil
		}
		if w.kek != target {
			if err := r.rewrapOwner(ctx, o, w, revision, target); err != nil {
				return err
			}
			rewrapped++
			if rewrapped%progressEvery == 0 {
				if err := r.saveProgress(ctx, target, done+1, total); err != nil {
					return err
				}
			}
		}
		done++
		progress(done, max(total, done))
		return nil
	})
	return rewrapped, err
}

// rewrapOwner moves one row to the target version. A row that changed since
// it was read is read again: it may have been fenced or destroyed.
func (r *Ring) rewrapOwner(ctx context.Context, o repository.Owner, w *ownerRow, revision uint64, target uint32) error {
	for {
		s, err := r.openOwner(ctx, o, w)
		if errors.Is(err, errNoKEK) {
			if w, revision, err = r.settled(ctx, o, revision); err == nil {
				continue
			}
			if errors.Is(err, ErrNoKey) {
				return nil
			}
		}
		if err != nil {
			return err
		}
		kek, err := r.keks.get(ctx, target)
		if err != nil {
			return err
		}
		w.seal(r.tenant, o, kek, target, s)
		_, err = r.opts.Table.PutIf(ctx, ownerRowKey(o), w.encode(), revision)
		if !errors.Is(err, repository.ErrConflict) {
			if err != nil {
				err = fmt.Errorf("rewrapping owner %x: %w: %w", o[:4], ErrUnavailable, err)
			}
			return err
		}
		if w, revision, err = r.readOwner(ctx, o); err != nil {
			return err
		}
		if w.kek == target || len(w.blob) == 0 {
			return nil
		}
	}
}

// How long settled waits for the creator of a row, and between two looks.
const (
	settleTime = time.Second
	settleWait = 5 * time.Millisecond
)

// settled looks at a row under a KEK version that a rotation has dropped. Its
// creator has handed its keys to nobody yet and is about to wrap it again (see
// createOwner), so the row is awaited. A creator that died meanwhile left keys
// that never sealed anything: the row is removed and ErrNoKey returned. When
// the owner has records after all, the keystore is not of one piece, and the
// row is kept.
func (r *Ring) settled(ctx context.Context, o repository.Owner, revision uint64) (*ownerRow, uint64, error) {
	for waited := time.Duration(0); waited < settleTime; waited += settleWait {
		w, now, err := r.readOwner(ctx, o)
		if err != nil || now != revision {
			return w, now, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-time.After(settleWait):
		}
	}
	lost := fmt.Errorf("owner %x: %w: %w", o[:4], ErrUnavailable, errNoKEK)
	if r.opts.Holds == nil {
		return nil, 0, lost
	}
	held, err := r.opts.Holds(ctx, o)
	if err != nil {
		return nil, 0, fmt.Errorf("looking for records of owner %x: %w", o[:4], err)
	}
	if held {
		return nil, 0, lost
	}
	if err := r.opts.Table.DeleteIf(ctx, ownerRowKey(o), revision); err != nil && !errors.Is(err, repository.ErrNotFound) {
		return nil, 0, fmt.Errorf("removing unused keys of owner %x: %w", o[:4], tableError(err))
	}
	return nil, 0, fmt.Errorf("owner %x: %w", o[:4], ErrNoKey)
}

func (r *Ring) saveProgress(ctx context.Context, target uint32, done, total int) error {
	_, err := r.changeTenant(ctx, func(t *tenantRow) (bool, error) {
		if t.rotation.target != target {
			return false, nil // another process finished it
		}
		t.rotation.done, t.rotation.total = uint32(done), uint32(max(total, done))
		return true, nil
	})
	return err
}

// finishRotation forgets every KEK version below the target.
func (r *Ring) finishRotation(ctx context.Context, target uint32) error {
	_, err := r.changeTenant(ctx, func(t *tenantRow) (bool, error) {
		if t.rotation.target != target {
			return false, nil
		}
		var keep []kekRow
		for _, k := range t.keks {
			if k.version >= target {
				keep = append(keep, k)
			}
		}
		t.keks, t.rotation = keep, rotation{}
		return true, nil
	})
	return err
}
