package suite

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/kms/vault/vaulttest"
)

// Profile production with the root key in a vault, until the vault denies it.
func TestProductionStartsOnAVault(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, "fieldseal")
	dir := t.TempDir()
	cert, key, pool := certificate(t)
	args := append(vaultSettings(t, v), "--profile", "production", "--listen", "127.0.0.1:0", "--keystore", filepath.Join(dir, "keystore"),
		"--witness", filepath.Join(dir, "checkpoints"), "--tls-cert", cert, "--tls-key", key)
	s := spawn(filepath.Join(dir, "data"), args...)
	s.client = httpClient(&tls.Config{RootCAs: pool})
	s.startReady(t)
	s.stop(t)
	v.SetDenied(true)
	code, _, stderr := command(t, append([]string{"serve", "--data", filepath.Join(dir, "data"), "--metrics="}, args...)...)
	wantRefusal(t, code, stderr, "refuses the use of the root key")
}

// vaultSettings are the flags of a server whose root key is in the vault.
func vaultSettings(t *testing.T, v *vaulttest.Server) []string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(secret, []byte(vaulttest.SecretID), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--kms", "vault", "--vault-address", v.URL, "--vault-key", "fieldseal", "--vault-role-id", vaulttest.Role, "--vault-secret-id-file", secret}
}
