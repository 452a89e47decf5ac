package app

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/fieldseal/fieldseal/repository"
)

// errRolledBack refuses an old copy of the keystore beside newer data.
var errRolledBack = errors.New("the keystore is older than the data: keys of newer records are missing from it; " +
	"restore the newest keystore, or the data folder of the same age; nothing was changed")

// checkTenant binds the data to the keystore's tenant.
func (a *App) checkTenant(ctx context.Context) error {
	tenant := a.ring.Tenant()
	row, err := a.store.Table("meta").Get(ctx, []byte("tenant"))
	if errors.Is(err, repository.ErrNotFound) {
		_, err = a.store.Table("meta").PutIf(ctx, []byte("tenant"), tenant[:], 0)
		return err
	}
	if err == nil && string(row.Value) != string(tenant[:]) {
		return errors.New("the keystore belongs to other data: restore the keystore of this data folder; nothing was changed")
	}
	return err
}

// openings is the row that counts how often a store was opened.
var openings = []byte("openings")

// checkRollback counts openings in keystore and data, the keystore first, so
// that the keystore's count is never the smaller one unless it was replaced by
// a copy from before the last start. Younger copies are found owner by owner
// (keyring.Options.Holds).
func (a *App) checkRollback(ctx context.Context) error {
	keys, data := a.keystore.Table("meta"), a.store.Table("meta")
	ofKeys, keysRevision, err := count(ctx, keys)
	if err != nil {
		return err
	}
	ofData, dataRevision, err := count(ctx, data)
	if err != nil {
		return err
	}
	if ofKeys < ofData {
		return errRolledBack
	}
	next := binary.BigEndian.AppendUint64(nil, ofKeys+1)
	if _, err := keys.PutIf(ctx, openings, next, keysRevision); err != nil {
		return err
	}
	_, err = data.PutIf(ctx, openings, next, dataRevision)
	return err
}

func count(ctx context.Context, t repository.Table) (n, revision uint64, err error) {
	row, err := t.Get(ctx, openings)
	if errors.Is(err, repository.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if len(row.Value) != 8 {
		return 0, 0, repository.ErrCorrupt
	}
	return binary.BigEndian.Uint64(row.Value), row.Revision, nil
}
