package account

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/fieldseal/fieldseal/repository"
)

// Sealer seals rows under the keystore (crypto/keyring).
type Sealer interface {
	SealRow(plain []byte, table string, key []byte) ([]byte, error)
	OpenRow(sealed []byte, table string, key []byte) ([]byte, error)
	StorageID(purpose, value string) repository.StorageID
}

// Directory keeps accounts in a compare-and-set table. It is safe for
// concurrent use, also of several nodes, and caches nothing.
type Directory struct {
	table repository.Table
	seal  Sealer
}

// NewDirectory returns a Directory over a table of its own.
func NewDirectory(t repository.Table, s Sealer) *Directory { return &Directory{t, s} }

const (
	tableName = "accounts"
	rowPrefix = "account/"
	// format 2 may hold identities; rows of format 1 hold none. A binary that
	// knows only format 1 does not open later ones, so that it drops nothing.
	format = 2
)

// row is the stored value.
type row struct {
	Format int    `json:"format"`
	Sealed []byte `json:"sealed"`
}

// key names no account: it is the keyed pseudonym of the subject.
func (d *Directory) key(subject string) []byte {
	id := d.seal.StorageID("account", subject)
	return append([]byte(rowPrefix), hex.EncodeToString(id[:])...)
}

// Get returns an account, or ErrUnknown.
func (d *Directory) Get(ctx context.Context, subject string) (Account, error) {
	a, _, err := d.get(ctx, subject)
	return a, err
}

func (d *Directory) get(ctx context.Context, subject string) (a Account, revision uint64, err error) {
	r, err := d.table.Get(ctx, d.key(subject))
	if errors.Is(err, repository.ErrNotFound) {
		return a, 0, ErrUnknown
	}
	if err != nil {
		return a, 0, fmt.Errorf("reading an account: %w", err)
	}
	if a, err = d.decode(r); err == nil && a.Subject != subject {
		err = fmt.Errorf("stored account: %w", repository.ErrCorrupt)
	}
	return a, r.Revision, err
}

func (d *Directory) decode(r repository.Row) (a Account, err error) {
	var v row
	if json.Unmarshal(r.Value, &v) != nil || v.Format < 1 || v.Format > format {
		return a, fmt.Errorf("stored account: %w", repository.ErrCorrupt)
	}
	plain, err := d.seal.OpenRow(v.Sealed, tableName, r.Key)
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return Account{}, fmt.Errorf("stored account: %w", repository.ErrCorrupt)
	}
	return a, nil
}

// put stores a record under the revision that it was read with.
func (d *Directory) put(ctx context.Context, a Account, revision uint64) error {
	if err := a.Check(); err != nil {
		return err
	}
	plain, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding an account: %w", err)
	}
	key := d.key(a.Subject)
	sealed, err := d.seal.SealRow(plain, tableName, key)
	if err != nil {
		return err
	}
	value, err := encode(sealed)
	if err != nil {
		return fmt.Errorf("encoding an account: %w", err)
	}
	_, err = d.table.PutIf(ctx, key, value, revision)
	return err
}

// Create stores a new account; ErrExists when there is one.
func (d *Directory) Create(ctx context.Context, a Account) error {
	err := d.put(ctx, a, 0)
	if errors.Is(err, repository.ErrConflict) {
		return ErrExists
	}
	return err
}

// Change applies f to an account until no other change comes between, and
// returns the account as it is now. An error of f ends it.
func (d *Directory) Change(ctx context.Context, subject string, f func(*Account) error) (Account, error) {
	for {
		a, revision, err := d.get(ctx, subject)
		if err != nil {
			return a, err
		}
		if err := f(&a); err != nil {
			return a, err
		}
		if a.Subject != subject {
			return a, fmt.Errorf("%w: an account keeps its name", ErrInvalid)
		}
		if err = d.put(ctx, a, revision); !errors.Is(err, repository.ErrConflict) {
			return a, err
		}
	}
}

// All yields every account, in no order that means anything.
func (d *Directory) All(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for r, err := range d.table.Scan(ctx, []byte(rowPrefix)) {
			var a Account
			if err == nil {
				a, err = d.decode(r)
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

func encode(sealed []byte) ([]byte, error) { return json.Marshal(row{format, sealed}) }
