package keyring

import (
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

// ErrRow means that a sealed row was altered or belongs to another key.
var ErrRow = errors.New("the sealed row does not open")

const labelRow = "fieldseal/table-row/v1"

// SealRow seals the value of a row that names persons but belongs to no
// patient, such as an account. The row's table and key are bound in, and each
// row has a key of its own, so that random nonces stay far below their bound
// (SP 800-38D §8.3). The secret of storage ids, which is never rotated, is what
// the keys derive from.
func (r *Ring) SealRow(plain []byte, table string, key []byte) ([]byte, error) {
	k := r.storage.rowKey(table, key)
	defer k.Wipe()
	aead, err := newAEAD(k)
	if err != nil {
		return nil, fmt.Errorf("sealing a row: %w", err)
	}
	return aead.Seal(nil, nil, plain, rowContext(table, key)), nil // #nosec G407 -- the AEAD draws its nonce itself
}

// OpenRow returns what SealRow sealed for the same table and key, or ErrRow.
func (r *Ring) OpenRow(sealed []byte, table string, key []byte) ([]byte, error) {
	k := r.storage.rowKey(table, key)
	defer k.Wipe()
	aead, err := newAEAD(k)
	if err != nil {
		return nil, fmt.Errorf("opening a row: %w", err)
	}
	plain, err := aead.Open(nil, nil, sealed, rowContext(table, key))
	if err != nil {
		return nil, ErrRow
	}
	return plain, nil
}

// rowKey is the key of one row.
func (p *prfPool) rowKey(table string, key []byte) secret.Bytes {
	return p.derive(keyBytes, labelRow, rowContext(table, key))
}

// rowContext cannot be read in two ways: both parts have their length before
// them.
func rowContext(table string, key []byte) []byte {
	return appendLP(appendLP(nil, table), string(key))
}
