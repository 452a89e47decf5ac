package keyring

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/fieldseal/fieldseal/repository"
)

// change rewrites an owner's row by compare-and-set until it succeeds. edit
// gets nil when there is no row and returns nil to leave things as they are.
func (r *Ring) change(ctx context.Context, o repository.Owner, edit func(*ownerRow) (*ownerRow, error)) error {
	for {
		w, revision, err := r.readOwner(ctx, o)
		if errors.Is(err, ErrNoKey) {
			w, revision, err = nil, 0, nil
		}
		if err != nil {
			return err
		}
		next, err := edit(w)
		if err != nil || next == nil {
			return err
		}
		next.changed = r.opts.Now()
		_, err = r.opts.Table.PutIf(ctx, ownerRowKey(o), next.encode(), revision)
		if errors.Is(err, repository.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return nil
	}
}

// Fence is the first step of erasure: from its return no call in this process
// gets the owner's keys (ErrErased), after OwnerTTL none elsewhere. An owner
// without keys is fenced too, so that none are created. Needs no KMS, may be
// repeated. Fencing an erased owner changes nothing.
func (r *Ring) Fence(ctx context.Context, o repository.Owner) error {
	err := r.change(ctx, o, func(w *ownerRow) (*ownerRow, error) {
		switch {
		case w == nil:
			return &ownerRow{state: stateFenced, generation: 1}, nil
		case w.state == stateLive:
			w.state = stateFenced
			return w, nil
		}
		return nil, nil
	})
	r.owners.purge(o) // also after an error: the row may have been written
	if err != nil {
		return fmt.Errorf("fencing owner %x: %w", o[:4], err)
	}
	return nil
}

// Destroy overwrites a fenced owner's wrapped keys by a tombstone that stays
// for ever. ErrNotFenced: fence first. Needs no KMS, may be repeated; durable
// on return. Copies in backups of the keystore must be destroyed as well.
func (r *Ring) Destroy(ctx context.Context, o repository.Owner) error {
	err := r.change(ctx, o, func(w *ownerRow) (*ownerRow, error) {
		switch {
		case w == nil || w.state == stateLive:
			return nil, ErrNotFenced
		case w.state == stateErased:
			return nil, nil
		}
		return &ownerRow{state: stateErased, generation: w.generation, dek: w.dek}, nil
	})
	r.owners.purge(o)
	if err != nil {
		return fmt.Errorf("destroying keys of owner %x: %w", o[:4], err)
	}
	return nil
}

// Readmit gives an erased owner new keys in the next generation; DEK versions
// go on counting, so that nothing of the old generation is ever tried with a
// new key. ErrNoKey: never admitted; ErrConflict: not erased, or changed
// meanwhile.
func (r *Ring) Readmit(ctx context.Context, o repository.Owner) error {
	w, revision, err := r.readOwner(ctx, o)
	if err != nil {
		return fmt.Errorf("readmitting: %w", err)
	}
	if w.state != stateErased {
		return fmt.Errorf("readmitting owner %x, which is not erased: %w", o[:4], repository.ErrConflict)
	}
	next := &ownerRow{state: stateLive, generation: w.generation + 1, dek: w.dek + 1}
	if err := r.createOwner(ctx, o, next, revision); err != nil {
		return fmt.Errorf("readmitting: %w", err)
	}
	r.owners.purge(o)
	return nil
}

// Erased reports whether the owner's keys are destroyed. It reads the row,
// never the cache. A fenced owner is not erased yet.
func (r *Ring) Erased(ctx context.Context, o repository.Owner) (bool, error) {
	w, _, err := r.readOwner(ctx, o)
	if errors.Is(err, ErrNoKey) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return w.state == stateErased, nil
}

// ErasedOwners yields the owners whose keys are fenced or destroyed, so that
// data restored from an older backup can be purged of them. Needs no KMS.
func (r *Ring) ErasedOwners(ctx context.Context) iter.Seq2[repository.Owner, error] {
	return func(yield func(repository.Owner, error) bool) {
		for row, err := range r.opts.Table.Scan(ctx, []byte(ownerPrefix)) {
			if err != nil {
				yield(repository.Owner{}, fmt.Errorf("scanning owners: %w: %w", ErrUnavailable, err))
				return
			}
			o, err := ownerOfKey(row.Key)
			if err == nil {
				var w *ownerRow
				if w, err = decodeOwner(row.Value); err == nil && w.state == stateLive {
					continue
				}
			}
			if !yield(o, err) {
				return
			}
		}
	}
}
