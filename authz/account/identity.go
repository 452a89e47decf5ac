package account

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/repository"
)

// identityPrefix starts the keys of rows that lead from an identity to its
// account. The list of the account decides: a row that leads to an account
// which does not list the identity leads nowhere.
const identityPrefix = "identity/"

// identityKey names nobody: it is a keyed pseudonym.
func (d *Directory) identityKey(i Identity) []byte {
	id := d.seal.StorageID("account-identity", i.Issuer+"\x00"+i.Subject)
	return append([]byte(identityPrefix), hex.EncodeToString(id[:])...)
}

// Identified returns the account that an identity was linked to, or ErrUnknown.
// Whether the account is in force is for Claims to say.
func (d *Directory) Identified(ctx context.Context, i Identity) (Account, error) {
	subject, _, err := d.leadsTo(ctx, i)
	if err != nil {
		return Account{}, err
	}
	a, err := d.Get(ctx, subject)
	if err != nil {
		return Account{}, err
	}
	if !slices.Contains(a.Identities, i) {
		return Account{}, ErrUnknown
	}
	return a, nil
}

// leadsTo reads the row of an identity.
func (d *Directory) leadsTo(ctx context.Context, i Identity) (subject string, revision uint64, err error) {
	key := d.identityKey(i)
	r, err := d.table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return "", 0, ErrUnknown
	}
	if err != nil {
		return "", 0, fmt.Errorf("reading an identity: %w", err)
	}
	var v row
	if json.Unmarshal(r.Value, &v) != nil || v.Format < 1 || v.Format > format {
		return "", 0, fmt.Errorf("stored identity: %w", repository.ErrCorrupt)
	}
	plain, err := d.seal.OpenRow(v.Sealed, tableName, key)
	if err != nil {
		return "", 0, fmt.Errorf("stored identity: %w", repository.ErrCorrupt)
	}
	return string(plain), r.Revision, nil
}

// Link makes an identity one of an account's, and returns the account as it is
// now; ErrLinked when it is another account's.
func (d *Directory) Link(ctx context.Context, subject string, i Identity) (Account, error) {
	if err := i.check(); err != nil {
		return Account{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if _, err := d.Get(ctx, subject); err != nil {
		return Account{}, err
	}
	if err := d.lead(ctx, i, subject); err != nil {
		return Account{}, err
	}
	a, err := d.Change(ctx, subject, func(a *Account) error {
		if !slices.Contains(a.Identities, i) {
			a.Identities = append(slices.Clone(a.Identities), i)
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	// Of two accounts that are linked at the same time the row decides.
	if now, _, err := d.leadsTo(ctx, i); err != nil || now != subject {
		_, undo := d.Unlink(ctx, subject, i)
		return a, errors.Join(ErrLinked, err, undo)
	}
	return a, nil
}

// lead puts the row of an identity, unless the account that it leads to has it.
func (d *Directory) lead(ctx context.Context, i Identity, subject string) error {
	key := d.identityKey(i)
	sealed, err := d.seal.SealRow([]byte(subject), tableName, key)
	if err != nil {
		return err
	}
	value, err := encode(sealed)
	if err != nil {
		return fmt.Errorf("encoding an identity: %w", err)
	}
	for {
		holder, revision, err := d.leadsTo(ctx, i)
		switch {
		case errors.Is(err, ErrUnknown):
			revision = 0
		case err != nil:
			return err
		case holder == subject:
			return nil
		default: // a row that was left behind by a crash leads nowhere
			if _, err := d.Identified(ctx, i); err == nil {
				return ErrLinked
			} else if !errors.Is(err, ErrUnknown) {
				return err
			}
		}
		if _, err = d.table.PutIf(ctx, key, value, revision); !errors.Is(err, repository.ErrConflict) {
			return err
		}
	}
}

// Unlink takes an identity from an account and returns the account as it is
// now; ErrUnknown when it has none such.
func (d *Directory) Unlink(ctx context.Context, subject string, i Identity) (Account, error) {
	a, err := d.Change(ctx, subject, func(a *Account) error {
		at := slices.Index(a.Identities, i)
		if at < 0 {
			return ErrUnknown
		}
		a.Identities = slices.Delete(slices.Clone(a.Identities), at, at+1)
		return nil
	})
	if err != nil {
		return a, err
	}
	holder, revision, err := d.leadsTo(ctx, i)
	if errors.Is(err, ErrUnknown) || err == nil && holder != subject {
		return a, nil
	}
	if err == nil {
		err = d.table.DeleteIf(ctx, d.identityKey(i), revision)
	}
	if errors.Is(err, repository.ErrConflict) || errors.Is(err, repository.ErrNotFound) {
		err = nil // linked anew meanwhile, which is somebody else's word
	}
	return a, err
}
