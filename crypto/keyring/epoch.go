package keyring

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

// IndexEpochLife is the age at which an index epoch must have been replaced:
// tokens in old backups go on confirming guesses until then (decisions 9).
const IndexEpochLife = 90 * 24 * time.Hour

// Epoch is a tenant-wide key with an id that is stored beside what it made.
type Epoch struct {
	ID      uint32
	Key     secret.Bytes
	Created time.Time
}

// unsealSecrets opens the tenant's secrets at Open.
func (r *Ring) unsealSecrets(ctx context.Context, row *tenantRow) error {
	var seed secret.Bytes
	for _, s := range row.secrets {
		key, err := r.openSecret(ctx, row, s)
		if err != nil {
			return err
		}
		epoch := Epoch{s.id, key, s.created}
		switch s.purpose {
		case purposeStorageID:
			r.storage = newPRFPool(key)
		case purposeIndexEpoch:
			r.index = append(r.index, epoch)
		case purposeAuditEpoch:
			r.audit = append(r.audit, epoch)
		case purposeAuditIndex:
			r.auditIndex = key
		case purposeCheckpoint:
			seed = key
		default:
			return fmt.Errorf("secret of unknown purpose %d: %w", s.purpose, ErrCorrupt)
		}
	}
	if r.storage == nil || len(r.index) == 0 || len(r.audit) == 0 || r.auditIndex.Len() == 0 || seed.Len() == 0 {
		return fmt.Errorf("tenant row lacks a secret: %w", ErrCorrupt)
	}
	r.checkpoint = ed25519.NewKeyFromSeed(seed.Expose())
	return nil
}

func (r *Ring) openSecret(ctx context.Context, row *tenantRow, s secretRow) (secret.Bytes, error) {
	kek, err := r.keks.get(ctx, s.kek)
	if err != nil {
		return secret.Bytes{}, err
	}
	key, err := openAt(kek, row.seat(s), s.blob)
	if err != nil {
		return secret.Bytes{}, err
	}
	if key.Len() != keyBytes {
		return secret.Bytes{}, fmt.Errorf("secret %d has %d bytes: %w", s.purpose, key.Len(), ErrCorrupt)
	}
	return key, nil
}

// AuditEpoch returns the key that sealed the audit events of one epoch, or
// ErrNoKey. It needs a KEK in force, so it fails closed as owner keys do.
func (r *Ring) AuditEpoch(ctx context.Context, id uint32) (Epoch, error) {
	if _, _, err := r.keks.current(ctx); err != nil {
		return Epoch{}, fmt.Errorf("audit epoch %d: %w", id, err)
	}
	r.auditMu.RLock()
	defer r.auditMu.RUnlock()
	for _, e := range r.audit {
		if e.ID == id {
			return e, nil
		}
	}
	return Epoch{}, fmt.Errorf("audit epoch %d: %w", id, ErrNoKey)
}

// CurrentAuditEpoch returns the newest audit epoch.
func (r *Ring) CurrentAuditEpoch(ctx context.Context) (Epoch, error) {
	r.auditMu.RLock()
	id := r.audit[len(r.audit)-1].ID
	r.auditMu.RUnlock()
	return r.AuditEpoch(ctx, id)
}

// AuditIndexKey keys the audit trail's index by agent and the like.
func (r *Ring) AuditIndexKey() secret.Bytes { return r.auditIndex }

// CheckpointKey signs the audit trail's checkpoints. It seals no data.
func (r *Ring) CheckpointKey() ed25519.PrivateKey { return r.checkpoint }
