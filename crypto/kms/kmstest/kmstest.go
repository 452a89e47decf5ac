// Package kmstest is a KMS in memory for tests: it really wraps with AES-256
// and authenticates the associated data, and has switches for what a KMS does
// in bad times. Start with New. The product must not import it.
package kmstest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

// errDown is what a KMS that cannot be reached answers.
var errDown = errors.New("kmstest: connection refused")

// KMS implements keyring.Wrapper.
type KMS struct {
	mu      sync.Mutex
	id      string
	aead    cipher.AEAD
	down    bool
	revoked bool
	slow    time.Duration
	wraps   int
	unwraps int
}

// New returns a KMS with a random root key.
func New() *KMS {
	block, err := aes.NewCipher(secret.Random(32).Expose())
	if err != nil {
		panic(err) // 32 bytes are always a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &KMS{id: "kmstest/" + hex.EncodeToString(secret.Random(8).Expose()), aead: aead}
}

// SetDown makes every call fail as if the network were cut.
func (k *KMS) SetDown(down bool) { k.mu.Lock(); k.down = down; k.mu.Unlock() }

// SetRevoked makes every call answer that the key may not be used.
func (k *KMS) SetRevoked(revoked bool) { k.mu.Lock(); k.revoked = revoked; k.mu.Unlock() }

// SetSlow delays every call; a context that ends first fails it. Without a
// delay no deadline does: a busy machine is not a slow KMS.
func (k *KMS) SetSlow(d time.Duration) { k.mu.Lock(); k.slow = d; k.mu.Unlock() }

// Calls returns how often Wrap and Unwrap were called, failures included.
func (k *KMS) Calls() (wraps, unwraps int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wraps, k.unwraps
}

// KeyID names the root key.
func (k *KMS) KeyID() string { return k.id }

func (k *KMS) enter(ctx context.Context, counter *int) error {
	k.mu.Lock()
	*counter++
	slow := k.slow
	k.mu.Unlock()
	if slow > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(slow):
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case k.down:
		return errDown
	case k.revoked:
		return fmt.Errorf("kmstest: access denied: %w", keyring.ErrRevoked)
	}
	return nil
}

// Wrap implements keyring.Wrapper.
func (k *KMS) Wrap(ctx context.Context, dek secret.Bytes, aad []byte) (keyring.Wrapped, error) {
	if err := k.enter(ctx, &k.wraps); err != nil {
		return keyring.Wrapped{}, err
	}
	return keyring.Wrapped{KeyID: k.id, Blob: k.aead.Seal(nil, nil, dek.Expose(), aad)}, nil // #nosec G407 -- the AEAD draws its nonce itself
}

// Unwrap implements keyring.Wrapper.
func (k *KMS) Unwrap(ctx context.Context, w keyring.Wrapped, aad []byte) (secret.Bytes, error) {
	if err := k.enter(ctx, &k.unwraps); err != nil {
		return secret.Bytes{}, err
	}
	if w.KeyID != k.id {
		return secret.Bytes{}, fmt.Errorf("kmstest: another key id: %w", keyring.ErrWrongKEK)
	}
	plain, err := k.aead.Open(nil, nil, w.Blob, aad)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("kmstest: %w", keyring.ErrWrongKEK)
	}
	return secret.New(plain), nil
}
