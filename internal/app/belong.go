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

// tenantRow is the row of the data that names its tenant. Without it there is
// no data: it is written before anything else.
var tenantRow = []byte("tenant")

// checkTenant binds the data to the keystore's tenant.
func (a *App) checkTenant(ctx context.Context) error {
	tenant := a.ring.Tenant()
	found, err := claim(ctx, a.store.Table("meta"), tenantRow, tenant[:])
	if err == nil && string(found) != string(tenant[:]) {
		return errors.New("the keystore belongs to other data: restore the keystore of this data; nothing was changed")
	}
	return err
}

// openings is the row that counts how often a store was opened.
var openings = []byte("openings")

// checkRollback counts openings in keystore and data, the keystore first, so
// that the keystore's count is never the smaller one unless it was replaced by
// a copy from before the last start. The data's count is read first, for the
// same reason: other nodes count at the same time. Younger copies are found
// owner by owner (keyring.Options.Holds).
func (a *App) checkRollback(ctx context.Context) error {
	keys, data := a.keystore.Table("meta"), a.store.Table("meta")
	for {
		ofData, _, err := count(ctx, data)
		if err != nil {
			return err
		}
		ofKeys, revision, err := count(ctx, keys)
		if err != nil {
			return err
		}
		if ofKeys < ofData {
			return errRolledBack
		}
		err = putCount(ctx, keys, ofKeys+1, revision)
		if err == nil {
			return raise(ctx, data, ofKeys+1)
		}
		if !errors.Is(err, repository.ErrConflict) {
			return err
		}
	}
}

// raise lifts a count to at least n.
func raise(ctx context.Context, t repository.Table, n uint64) error {
	for {
		now, revision, err := count(ctx, t)
		if err != nil || now >= n {
			return err
		}
		if err := putCount(ctx, t, n, revision); !errors.Is(err, repository.ErrConflict) {
			return err
		}
	}
}

func putCount(ctx context.Context, t repository.Table, n, revision uint64) error {
	_, err := t.PutIf(ctx, openings, binary.BigEndian.AppendUint64(nil, n), revision)
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
