// Package localfile is the KMS of a single machine: the root key is a file
// that only the server's account may read.
//
// Start with Create and Open. Security notes: who reads the file and the
// keystore reads everything, so the file belongs on another disk and in
// another backup than the data (docs/operations/keys.md). The file is read
// again for every unwrap and nothing of it is kept, so that taking it away is
// taking away access: after the ring's TTL and grace. Permissions are checked
// on the opened file, not on its name; symbolic links are followed, because
// orchestrators mount secrets through them.
//
// Compatible for ever: the file format and the wrapped form in
// docs/format/keystore.md.
package localfile

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

// ErrUnsafe means that others than the owner may read or replace the file.
var ErrUnsafe = errors.New("key file is not safe")

// KMS wraps under the root key in a file. It implements keyring.Wrapper and
// may be used concurrently.
type KMS struct{ path string }

// Open checks the file and returns a KMS over it. The error says what to do
// and never what the file holds: fs.ErrNotExist when it is missing, ErrUnsafe
// when its owner or mode is wrong, keyring.ErrCorrupt when it is no key file.
func Open(path string) (*KMS, error) {
	key, err := read(path)
	if err != nil {
		return nil, err
	}
	key.Wipe()
	return &KMS{path}, nil
}

// Create makes a new root key in a new file of mode 0600 and returns a KMS
// over it. File and directory entry are on stable storage on return. A file
// or link that exists already is never touched (fs.ErrExist).
func Create(path string) (*KMS, error) {
	key := secret.Random(keyBytes)
	defer key.Wipe()
	if err := write(path, key); err != nil {
		return nil, err
	}
	return Open(path)
}

// KeyID returns the fingerprint of the key that is in the file now.
func (k *KMS) KeyID() (string, error) {
	key, err := read(k.path)
	if err != nil {
		return "", err
	}
	defer key.Wipe()
	return fingerprint(key), nil
}

// fingerprint names a key without telling anything about it.
func fingerprint(key secret.Bytes) string {
	m := hmac.New(sha256.New, key.Expose())
	m.Write([]byte("fieldseal/kek-file-id/v1"))
	return "file/" + hex.EncodeToString(m.Sum(nil)[:8])
}

func aead(key secret.Bytes) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key.Expose())
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// load reads the key for one operation. Whatever is wrong with the file while
// the server runs means that the keys are unavailable.
func (k *KMS) load(ctx context.Context) (secret.Bytes, error) {
	if err := ctx.Err(); err != nil {
		return secret.Bytes{}, err
	}
	key, err := read(k.path)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("%w: %w", keyring.ErrUnavailable, err)
	}
	return key, nil
}

// Wrap implements keyring.Wrapper.
func (k *KMS) Wrap(ctx context.Context, dek secret.Bytes, aad []byte) (keyring.Wrapped, error) {
	key, err := k.load(ctx)
	if err != nil {
		return keyring.Wrapped{}, fmt.Errorf("wrapping: %w", err)
	}
	defer key.Wipe()
	a, err := aead(key)
	if err != nil {
		return keyring.Wrapped{}, fmt.Errorf("wrapping: %w", err)
	}
	return keyring.Wrapped{KeyID: fingerprint(key), Blob: a.Seal(nil, nil, dek.Expose(), aad)}, nil // #nosec G407 -- the AEAD draws its nonce itself
}

// Unwrap implements keyring.Wrapper. keyring.ErrWrongKEK: the file holds
// another key than the one that wrapped, or the wrapped form was changed.
func (k *KMS) Unwrap(ctx context.Context, w keyring.Wrapped, aad []byte) (secret.Bytes, error) {
	key, err := k.load(ctx)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrapping: %w", err)
	}
	defer key.Wipe()
	if id := fingerprint(key); id != w.KeyID {
		return secret.Bytes{}, fmt.Errorf("unwrapping: key file %s holds key %s, needed is %.40q: %w", k.path, id, w.KeyID, keyring.ErrWrongKEK)
	}
	a, err := aead(key)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrapping: %w", err)
	}
	plain, err := a.Open(nil, nil, w.Blob, aad)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrapping: %w", keyring.ErrWrongKEK)
	}
	return secret.New(plain), nil
}
