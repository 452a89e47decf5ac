package token

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/fieldseal/fieldseal/repository"
)

// rowPrefix starts the keys of token rows; the rest is the token's hash.
const rowPrefix = "token/"

func rowKey(hash [sha256.Size]byte) []byte { return append([]byte(rowPrefix), hash[:]...) }

// header is the clear part of a row: what sweeping and revoking need.
type header struct {
	Format  int                  `json:"format"`
	Client  string               `json:"client"`
	Account repository.StorageID `json:"account"` // keyed pseudonym
	Issued  int64                `json:"issued"`  // seconds since the Unix epoch
	Expires int64                `json:"expires"` // 0 = never
	Revoked int64                `json:"revoked"` // 0 = in force
}

// row is the stored value.
type row struct {
	header
	Claims []byte `json:"claims"` // nonce ‖ AES-256-GCM of the claims as JSON
}

// bound is the associated data: a row cannot be moved to another token, nor
// its client, account or times changed. Revoked is left out, since it is set
// by those who do not hold the token.
func (h header) bound(key []byte) []byte {
	h.Revoked = 0
	b, _ := json.Marshal(h) // a struct of strings and numbers cannot fail
	return append(append([]byte(nil), key...), b...)
}

const claimsPurpose = "fieldseal token claims 1"

// aead is keyed by the token: 256 random bits, so HKDF without salt (RFC 5869
// §3.1) gives a key that seals this one message.
func aead(opaque, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(opaque), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("deriving a token key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("deriving a token key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// SealUnder seals what a drawn secret stands for under the secret itself:
// nonce ‖ AES-256-GCM, bound to the given data. One secret seals one message
// for one purpose.
func SealUnder(opaque, purpose string, plain, bound []byte) ([]byte, error) {
	a, err := aead(opaque, purpose)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, plain, bound), nil // #nosec G407 -- the AEAD draws its nonce itself
}

// OpenUnder opens what SealUnder sealed, or returns ErrInvalid.
func OpenUnder(opaque, purpose string, sealed, bound []byte) ([]byte, error) {
	a, err := aead(opaque, purpose)
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, sealed, bound)
	if err != nil {
		return nil, ErrInvalid
	}
	return plain, nil
}

func encode(opaque string, key []byte, h header, c Claims) ([]byte, error) {
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding token claims: %w", err)
	}
	sealed, err := SealUnder(opaque, claimsPurpose, plain, h.bound(key))
	if err != nil {
		return nil, err
	}
	return json.Marshal(row{h, sealed})
}

// decode opens a row with its token. A row that was altered is ErrInvalid: it
// admits nobody.
func decode(opaque string, key, value []byte) (header, Claims, error) {
	var r row
	var c Claims
	if json.Unmarshal(value, &r) != nil || r.Format != 1 {
		return header{}, Claims{}, fmt.Errorf("stored token: %w", ErrInvalid)
	}
	plain, err := OpenUnder(opaque, claimsPurpose, r.Claims, r.bound(key))
	if err != nil || json.Unmarshal(plain, &c) != nil {
		return header{}, Claims{}, fmt.Errorf("stored token: %w", ErrInvalid)
	}
	return r.header, c, nil
}
