package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

const keyBytes = 32 // AES-256, HMAC-SHA-256 and Ed25519 seeds alike

// purpose says what a sealed secret is for; it is part of the associated
// data, so that a secret cannot serve for another purpose. Values are stored.
type purpose byte

const (
	purposeOwner      purpose = 1
	purposeStorageID  purpose = 2
	purposeIndexEpoch purpose = 3
	purposeAuditEpoch purpose = 4
	purposeAuditIndex purpose = 5
	purposeCheckpoint purpose = 6
)

// seat is everything that a locally wrapped secret is bound to.
type seat struct {
	tenant     [16]byte
	purpose    purpose
	owner      [16]byte // zero for the tenant's own secrets
	version    uint32   // epoch id, or current DEK version of an owner
	generation uint32   // of an owner
	kek        uint32   // KEK version
}

func (s seat) aad() []byte {
	b := appendLP(make([]byte, 0, 80), "fieldseal/keystore/v1")
	b = append(b, s.tenant[:]...)
	b = append(b, byte(s.purpose))
	b = append(b, s.owner[:]...)
	b = binary.BigEndian.AppendUint32(b, s.version)
	b = binary.BigEndian.AppendUint32(b, s.generation)
	return binary.BigEndian.AppendUint32(b, s.kek)
}

// kekAAD is what a KMS-wrapped KEK is bound to.
func kekAAD(tenant [16]byte, version uint32) []byte {
	b := appendLP(nil, "fieldseal/kek/v1")
	b = append(b, tenant[:]...)
	return binary.BigEndian.AppendUint32(b, version)
}

// newAEAD returns AES-256-GCM with a random 96-bit nonce per call, the one
// form that the FIPS module approves (SP 800-38D §8.2.2). A KEK seals at most
// a few million rows, far below the 2^32 of §8.3.
func newAEAD(key secret.Bytes) (cipher.AEAD, error) {
	if key.Len() != keyBytes {
		return nil, fmt.Errorf("key of %d bytes: %w", key.Len(), ErrCorrupt)
	}
	block, err := aes.NewCipher(key.Expose())
	if err != nil {
		return nil, fmt.Errorf("making cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func sealAt(kek cipher.AEAD, s seat, plain secret.Bytes) []byte {
	return kek.Seal(nil, nil, plain.Expose(), s.aad()) // #nosec G407 -- the AEAD draws its nonce itself
}

// openAt returns ErrCorrupt when the blob was not sealed for this seat: a
// flipped bit, a row moved to another owner, tenant or version.
func openAt(kek cipher.AEAD, s seat, blob []byte) (secret.Bytes, error) {
	plain, err := kek.Open(nil, nil, blob, s.aad())
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrapping secret %d of KEK version %d: %w", s.purpose, s.kek, ErrCorrupt)
	}
	return secret.New(plain), nil
}
