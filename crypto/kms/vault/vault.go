// Package vault is the KMS for production: the root key lives in the transit
// engine of HashiCorp Vault or OpenBao and never leaves it.
//
// Start with Open. Security notes: the associated data of a wrapped key goes
// with every call, and Open tries that the server really authenticates it,
// since old servers ignore the field. A server that denies the use of the key
// (403), or has destroyed it, is a refusal and ends the ring's use of the key
// at once; one that cannot be reached, is sealed or overloaded is an outage,
// which the ring bridges for its grace. Before a denial counts, the login is
// made anew once, for an expired token is denied too. Texts of the server are
// never passed on. Tokens and secret ids come from files that others may not
// read; the environment variables of vault's own client are not read.
//
// Compatible for ever: the key id "vault/MOUNT/KEY" and the wrapped form, which
// is the server's own text ("vault:v1:…").
package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

// ErrUnsuitable means that the server or its key cannot be used safely.
var ErrUnsuitable = errors.New("the vault is not suitable")

// KMS wraps under a transit key. It implements keyring.Wrapper and may be used
// concurrently. The caller closes it.
type KMS struct {
	opts  Options
	http  *http.Client
	login login
	stop  context.CancelFunc
	done  sync.WaitGroup
}

var _ keyring.Wrapper = (*KMS)(nil)

// Open logs in and tries the key: what was wrapped must unwrap, and must not
// with other associated data. Close ends the goroutine that renews the login.
func Open(ctx context.Context, o Options) (*KMS, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	client, err := newHTTP(o)
	if err != nil {
		return nil, err
	}
	k := &KMS{opts: o, http: client}
	if err := k.probe(ctx); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.done.Go(func() { k.renewals(background) })
	return k, nil
}

// Close stops the renewals. What was wrapped stays valid.
func (k *KMS) Close() error {
	k.stop()
	k.done.Wait()
	return nil
}

// KeyID names the transit key.
func (k *KMS) KeyID() string { return "vault/" + k.opts.Mount + "/" + k.opts.Key }

// probe refuses a server that ignores associated data: a wrapped key could
// then be moved to another tenant or owner.
func (k *KMS) probe(ctx context.Context) error {
	sample := secret.Random(32)
	defer sample.Wipe()
	w, err := k.Wrap(ctx, sample, []byte("fieldseal/probe/1"))
	if err != nil {
		return fmt.Errorf("trying the key: %w", err)
	}
	back, err := k.Unwrap(ctx, w, []byte("fieldseal/probe/1"))
	if err != nil {
		return fmt.Errorf("trying the key: %w", err)
	}
	same := back.Equal(sample)
	back.Wipe()
	if !same {
		return fmt.Errorf("%w: it did not give back what it wrapped", ErrUnsuitable)
	}
	if moved, err := k.Unwrap(ctx, w, []byte("fieldseal/probe/2")); err == nil {
		moved.Wipe()
		return fmt.Errorf("%w: it ignores associated data; use Vault 1.9 or OpenBao 2.0 or later with a key of type aes256-gcm96", ErrUnsuitable)
	} else if !errors.Is(err, keyring.ErrWrongKEK) {
		return fmt.Errorf("trying the key: %w", err)
	}
	return nil
}

// Wrap implements keyring.Wrapper.
func (k *KMS) Wrap(ctx context.Context, dek secret.Bytes, aad []byte) (keyring.Wrapped, error) {
	r, err := k.transit(ctx, "encrypt", map[string]any{"plaintext": dek.Expose(), "associated_data": aad})
	if err != nil {
		return keyring.Wrapped{}, fmt.Errorf("wrapping: %w", err)
	}
	text := r.Data.Ciphertext
	if text == "" {
		return keyring.Wrapped{}, fmt.Errorf("wrapping: %w: an answer without ciphertext", keyring.ErrUnavailable)
	}
	return keyring.Wrapped{KeyID: k.KeyID(), Blob: []byte(text)}, nil
}

// Unwrap implements keyring.Wrapper.
func (k *KMS) Unwrap(ctx context.Context, w keyring.Wrapped, aad []byte) (secret.Bytes, error) {
	if w.KeyID != k.KeyID() {
		return secret.Bytes{}, fmt.Errorf("unwrapping: another key id: %w", keyring.ErrWrongKEK)
	}
	r, err := k.transit(ctx, "decrypt", map[string]any{"ciphertext": string(w.Blob), "associated_data": aad})
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("unwrapping: %w", err)
	}
	if len(r.Data.Plaintext) == 0 {
		return secret.Bytes{}, fmt.Errorf("unwrapping: %w: an answer without plaintext", keyring.ErrUnavailable)
	}
	return secret.New(r.Data.Plaintext), nil
}

// transit calls the engine, and once more after a new login when the call was
// denied.
func (k *KMS) transit(ctx context.Context, operation string, body map[string]any) (*reply, error) {
	path := k.opts.Mount + "/" + operation + "/" + k.opts.Key
	token, err := k.login.token(ctx, k, "")
	if err != nil {
		return nil, err
	}
	r, err := k.call(ctx, http.MethodPost, path, token, body)
	if !errors.Is(err, keyring.ErrRevoked) {
		return r, err
	}
	again, failed := k.login.token(ctx, k, token)
	if failed != nil || again == token {
		return nil, errors.Join(err, failed)
	}
	return k.call(ctx, http.MethodPost, path, again, body)
}
