package keyring

import (
	"context"
	"fmt"
	"slices"
)

// Reload takes over what other processes changed in the tenant's row: KEK
// versions, index epochs and audit epochs. When the key of an epoch cannot be
// opened, everything stays as it was.
func (r *Ring) Reload(ctx context.Context) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	row, _, err := readTenant(ctx, r.opts.Table)
	if err != nil {
		return fmt.Errorf("reloading keys: %w", err)
	}
	r.keks.setRow(row)
	index, err := r.epochs(ctx, row, purposeIndexEpoch, r.IndexEpochs())
	if err != nil {
		return fmt.Errorf("reloading index epochs: %w", err)
	}
	r.auditMu.RLock()
	audit := slices.Clone(r.audit)
	r.auditMu.RUnlock()
	if audit, err = r.epochs(ctx, row, purposeAuditEpoch, audit); err != nil {
		return fmt.Errorf("reloading audit epochs: %w", err)
	}
	r.indexMu.Lock()
	r.index = index
	r.indexMu.Unlock()
	r.auditMu.Lock()
	r.audit = audit
	r.auditMu.Unlock()
	return nil
}

// Forget drops the keys of all owners from memory: after it no call gets keys
// that were read before, so that owners that another process fenced have none.
func (r *Ring) Forget() { r.owners.purgeAll() }

// epochs are those that the row lists; the keys of known ones are not opened
// again.
func (r *Ring) epochs(ctx context.Context, row *tenantRow, p purpose, known []Epoch) ([]Epoch, error) {
	var all []Epoch
	for _, s := range row.secrets {
		if s.purpose != p {
			continue
		}
		if i := slices.IndexFunc(known, func(e Epoch) bool { return e.ID == s.id }); i >= 0 {
			all = append(all, known[i])
			continue
		}
		key, err := r.openSecret(ctx, row, s)
		if err != nil {
			return nil, err
		}
		all = append(all, Epoch{s.id, key, s.created})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("tenant row lacks a secret: %w", ErrCorrupt)
	}
	return all, nil
}
