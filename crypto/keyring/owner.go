package keyring

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/repository"
)

// Owner returns an owner's keys. ErrNoKey: the owner has none; ErrErased: it
// is fenced or erased; ErrUnavailable: KMS or keystore cannot be reached. The
// keys may come from memory, at most OwnerTTL old.
func (r *Ring) Owner(ctx context.Context, o repository.Owner) (*OwnerKeys, error) {
	s := r.owners.shard(o)
	for {
		now := r.opts.Now()
		if k := s.get(o, now, r.opts.OwnerTTL); k != nil {
			return k, nil
		}
		f, leader, purges := s.join(o)
		if leader {
			f.keys, f.err = r.loadOwner(ctx, o)
			s.land(o, f, purges, now)
			return f.keys, f.err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.done:
		}
		// The leader's own cancellation is not this caller's failure.
		if !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded) || ctx.Err() != nil {
			return f.keys, f.err
		}
	}
}

// EnsureOwner returns an owner's keys and creates them when there are none.
// What it creates is durable on return; of two callers the loser takes the
// winner's keys. ErrErased: fenced or erased owners get no keys. ErrNoKey: there
// are none and none may be made, because the owner has records (Options.Holds).
func (r *Ring) EnsureOwner(ctx context.Context, o repository.Owner) (*OwnerKeys, error) {
	for {
		k, err := r.Owner(ctx, o)
		if errors.Is(err, errNoKEK) {
			_, revision, rerr := r.readOwner(ctx, o)
			if rerr == nil {
				_, _, rerr = r.settled(ctx, o, revision)
			}
			if rerr == nil || errors.Is(rerr, ErrNoKey) {
				continue
			}
			return nil, rerr
		}
		if !errors.Is(err, ErrNoKey) {
			return k, err
		}
		if r.opts.Holds != nil {
			held, err := r.opts.Holds(ctx, o)
			if err != nil {
				return nil, fmt.Errorf("looking for records of owner %x: %w", o[:4], err)
			}
			if held { // by a writer who was faster, else by keys that are lost
				return r.Owner(ctx, o)
			}
		}
		w := &ownerRow{state: stateLive, generation: 1, dek: 1}
		if err := r.createOwner(ctx, o, w, 0); !errors.Is(err, repository.ErrConflict) && err != nil {
			return nil, err
		}
	}
}

// readOwner returns the row and its revision; no row is ErrNoKey.
func (r *Ring) readOwner(ctx context.Context, o repository.Owner) (*ownerRow, uint64, error) {
	row, err := r.opts.Table.Get(ctx, ownerRowKey(o))
	if errors.Is(err, repository.ErrNotFound) {
		return nil, 0, fmt.Errorf("owner %x: %w", o[:4], ErrNoKey)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading owner %x: %w: %w", o[:4], ErrUnavailable, err)
	}
	w, err := decodeOwner(row.Value)
	if err != nil {
		return nil, 0, fmt.Errorf("owner %x: %w", o[:4], err)
	}
	return w, row.Revision, nil
}

// loadOwner reads and opens an owner's row. When a rotation ended between
// reading the row and opening it, the row is read again.
func (r *Ring) loadOwner(ctx context.Context, o repository.Owner) (*OwnerKeys, error) {
	for tried := uint32(0); ; {
		w, _, err := r.readOwner(ctx, o)
		if err != nil {
			return nil, err
		}
		if w.state != stateLive {
			return nil, fmt.Errorf("owner %x: %w", o[:4], ErrErased)
		}
		s, err := r.openOwner(ctx, o, w)
		if err == nil {
			return newOwnerKeys(o, w, s), nil
		}
		if !errors.Is(err, errNoKEK) || w.kek == tried {
			return nil, err
		}
		tried = w.kek
	}
}

func (r *Ring) openOwner(ctx context.Context, o repository.Owner, w *ownerRow) (*ownerSecrets, error) {
	kek, err := r.keks.get(ctx, w.kek)
	if err != nil {
		return nil, fmt.Errorf("owner %x: %w", o[:4], err)
	}
	s, err := w.open(r.tenant, o, kek)
	if err != nil {
		return nil, fmt.Errorf("owner %x: %w", o[:4], err)
	}
	return s, nil
}

// createOwner writes a row with new secrets over the given revision. Another
// process may finish a rotation meanwhile and drop the KEK version that was
// used; so the version must still be the current one after the row is
// written, else the row is wrapped again.
func (r *Ring) createOwner(ctx context.Context, o repository.Owner, w *ownerRow, revision uint64) error {
	secrets := newOwnerSecrets(w.dek, r.opts.Now())
	for tried := uint32(0); ; {
		tenant, _, err := readTenant(ctx, r.opts.Table)
		if err != nil {
			return fmt.Errorf("creating keys of owner %x: %w", o[:4], err)
		}
		if revision != 0 && w.kek == tenant.current {
			return nil
		}
		r.keks.setRow(tenant)
		kek, err := r.keks.get(ctx, tenant.current)
		if errors.Is(err, errNoKEK) && tenant.current != tried {
			tried = tenant.current // a rotation ended since the row was read
			continue
		}
		if err != nil {
			return fmt.Errorf("creating keys of owner %x: %w", o[:4], err)
		}
		w.changed = r.opts.Now()
		w.seal(r.tenant, o, kek, tenant.current, secrets)
		if revision, err = r.opts.Table.PutIf(ctx, ownerRowKey(o), w.encode(), revision); err != nil {
			return fmt.Errorf("creating keys of owner %x: %w", o[:4], tableError(err))
		}
	}
}

// tableError keeps a conflict as it is and makes every other failure of the
// table an ErrUnavailable.
func tableError(err error) error {
	if errors.Is(err, repository.ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
