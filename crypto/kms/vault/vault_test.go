package vault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/vault"
	"github.com/fieldseal/fieldseal/crypto/kms/vault/vaulttest"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

const key = "fieldseal"

func file(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "login")
	if err := os.WriteFile(path, []byte(text+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func byRole(t *testing.T, s *vaulttest.Server) vault.Options {
	return vault.Options{Address: s.URL, Key: key, RoleID: vaulttest.Role, SecretIDFile: file(t, vaulttest.SecretID, 0o600), Timeout: 20 * time.Second}
}

func byToken(t *testing.T, s *vaulttest.Server) vault.Options {
	return vault.Options{Address: s.URL, Key: key, TokenFile: file(t, s.Token(), 0o600), Timeout: 20 * time.Second}
}

func open(t *testing.T, o vault.Options) *vault.KMS {
	t.Helper()
	k, err := vault.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func wrap(t *testing.T, k *vault.KMS, dek secret.Bytes, aad string) keyring.Wrapped {
	t.Helper()
	w, err := k.Wrap(t.Context(), dek, []byte(aad))
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	return w
}

func wantUnwrapped(t *testing.T, k *vault.KMS, w keyring.Wrapped, aad string, want secret.Bytes) {
	t.Helper()
	got, err := k.Unwrap(t.Context(), w, []byte(aad))
	if err != nil || !got.Equal(want) {
		t.Fatalf("Unwrap: %v", err)
	}
}

func wantUnwrapErr(t *testing.T, k *vault.KMS, w keyring.Wrapped, aad string, want error) {
	t.Helper()
	if _, err := k.Unwrap(t.Context(), w, []byte(aad)); !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func TestWrappedKeysComeBack(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	for name, o := range map[string]vault.Options{"role": byRole(t, s), "token": byToken(t, s)} {
		k := open(t, o)
		dek := secret.Random(32)
		w := wrap(t, k, dek, "tenant/owner/1")
		if w.KeyID != "vault/transit/fieldseal" || !strings.HasPrefix(string(w.Blob), "vault:v") {
			t.Fatalf("%s: wrapped as %s by %s", name, w.Blob, w.KeyID)
		}
		wantUnwrapped(t, k, w, "tenant/owner/1", dek)
		s.Rotate()
		wantUnwrapped(t, k, w, "tenant/owner/1", dek)
	}
}

func TestWrappedKeyOfAnotherOwnerDoesNotUnwrap(t *testing.T) {
	t.Parallel()
	k := open(t, byRole(t, vaulttest.New(t, key)))
	w := wrap(t, k, secret.Random(32), "tenant/owner/1")
	wantUnwrapErr(t, k, w, "tenant/owner/2", keyring.ErrWrongKEK)
	changed := keyring.Wrapped{KeyID: w.KeyID, Blob: append([]byte{}, w.Blob...)}
	changed.Blob[len(changed.Blob)-6] ^= 1
	wantUnwrapErr(t, k, changed, "tenant/owner/1", keyring.ErrWrongKEK)
	changed = keyring.Wrapped{KeyID: "vault/transit/other", Blob: w.Blob}
	wantUnwrapErr(t, k, changed, "tenant/owner/1", keyring.ErrWrongKEK)
}

func TestServerThatIgnoresAssociatedDataIsRefused(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	s.SetIgnoreAAD(true)
	if _, err := vault.Open(t.Context(), byRole(t, s)); !errors.Is(err, vault.ErrUnsuitable) {
		t.Fatalf("got error %v", err)
	}
}

func TestOutageAndRefusalAreToldApart(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	o := byRole(t, s)
	o.Timeout = 10 * time.Second
	k := open(t, o)
	dek := secret.Random(32)
	w := wrap(t, k, dek, "a")
	for _, c := range []struct {
		name string
		set  func(bool)
		want error
	}{
		{"sealed", s.SetSealed, keyring.ErrUnavailable},
		{"denied by policy", s.SetDenied, keyring.ErrRevoked},
		{"key deleted", s.SetDeleted, keyring.ErrRevoked},
		{"version retired", func(on bool) { s.SetOldest(map[bool]int{true: 2, false: 1}[on]) }, keyring.ErrRevoked},
		{"slow", func(on bool) { s.SetSlow(map[bool]time.Duration{true: time.Minute}[on]) }, keyring.ErrUnavailable},
	} {
		c.set(true)
		wantUnwrapErr(t, k, w, "a", c.want)
		c.set(false)
		wantUnwrapped(t, k, w, "a", dek)
	}
	s.Close()
	wantUnwrapErr(t, k, w, "a", keyring.ErrUnavailable)
}

func TestEndedContextIsAnOutage(t *testing.T) {
	t.Parallel()
	k := open(t, byRole(t, vaulttest.New(t, key)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Wrap(ctx, secret.Random(32), nil); !errors.Is(err, keyring.ErrUnavailable) {
		t.Fatalf("got error %v", err)
	}
}

// TestRevokedTokenIsReplacedOnce: a denied token may only be too old.
func TestRevokedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	k := open(t, byRole(t, s))
	dek := secret.Random(32)
	w := wrap(t, k, dek, "a")
	before := s.Calls("auth/approle/login")
	s.RevokeTokens()
	wantUnwrapped(t, k, w, "a", dek)
	if n := s.Calls("auth/approle/login") - before; n != 1 {
		t.Fatalf("%d logins", n)
	}
	s.SetDenied(true)
	wantUnwrapErr(t, k, w, "a", keyring.ErrRevoked)
	if n := s.Calls("auth/approle/login") - before; n != 2 {
		t.Fatalf("%d logins for one refusal", n-1)
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	o := byToken(t, s)
	k := open(t, o)
	dek := secret.Random(32)
	w := wrap(t, k, dek, "a")
	s.RevokeTokens()
	wantUnwrapErr(t, k, w, "a", keyring.ErrRevoked)
	if err := os.WriteFile(o.TokenFile, []byte(s.Token()), 0o600); err != nil {
		t.Fatal(err)
	}
	wantUnwrapped(t, k, w, "a", dek)
}

// TestLoginIsKeptAlive: tokens of six seconds, renewable to nine, until one was
// renewed and another took its place.
func TestLoginIsKeptAlive(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	s.SetLife(6*time.Second, 9*time.Second)
	k := open(t, byRole(t, s))
	dek := secret.Random(32)
	w := wrap(t, k, dek, "a")
	renewals := func() int { return s.Calls("auth/token/renew-self") }
	logins := func() int { return s.Calls("auth/approle/login") }
	for end := time.Now().Add(time.Minute); renewals() == 0 || logins() < 2; time.Sleep(500 * time.Millisecond) {
		wantUnwrapped(t, k, w, "a", dek)
		if time.Now().After(end) {
			t.Fatalf("%d renewals, %d logins", renewals(), logins())
		}
	}
	wantUnwrapped(t, k, w, "a", dek)
	if logins() > 8 {
		t.Fatalf("%d logins", logins())
	}
}

func TestLoginThatOthersMayReadIsRefused(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	o := byRole(t, s)
	o.SecretIDFile = file(t, vaulttest.SecretID, 0o640)
	if _, err := vault.Open(t.Context(), o); !errors.Is(err, vault.ErrUnsuitable) {
		t.Fatalf("got error %v", err)
	}
}

func TestWrongSecretIDIsARefusal(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	o := byRole(t, s)
	o.SecretIDFile = file(t, "wr0ng-s3cret", 0o600)
	_, err := vault.Open(t.Context(), o)
	if !errors.Is(err, keyring.ErrRevoked) || strings.Contains(err.Error(), "wr0ng") {
		t.Fatalf("got error %v", err)
	}
}

func TestUnsafeOptionsAreRefusedTogether(t *testing.T) {
	t.Parallel()
	err := vault.Options{Address: "http://vault.example.org:8200", Key: "../sys", TokenFile: "a", RoleID: "b"}.Validate()
	for _, want := range []string{"https", "characters", "exactly one", "secret id"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
}

// TestRingOnVault: the ring's promises about outage and revocation hold.
func TestRingOnVault(t *testing.T) {
	t.Parallel()
	s := vaulttest.New(t, key)
	now := time.Now()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: open(t, byRole(t, s)), KEKTTL: time.Minute, Grace: time.Hour,
		Now: func() time.Time { return now }}
	ring, err := keyring.Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	owner := func(n byte) error { _, err := ring.EnsureOwner(t.Context(), [16]byte{n}); return err }
	if err := owner(1); err != nil {
		t.Fatal(err)
	}
	s.SetSealed(true)
	now = now.Add(2 * time.Minute)
	if err := owner(2); err != nil {
		t.Fatalf("within grace: %v", err)
	}
	now = now.Add(2 * time.Hour)
	if err := owner(3); !errors.Is(err, keyring.ErrUnavailable) {
		t.Fatalf("past grace: %v", err)
	}
	s.SetSealed(false)
	now = now.Add(time.Minute)
	if err := owner(4); err != nil {
		t.Fatalf("after the outage: %v", err)
	}
	s.SetDenied(true)
	now = now.Add(2 * time.Minute)
	if err := owner(5); err == nil {
		t.Fatal("a refusal was bridged as if it were an outage")
	}
}
