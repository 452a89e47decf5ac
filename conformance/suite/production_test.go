package suite

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
)

// What the deployment notes say must lead to a running server: a new root key,
// three folders, TLS, nothing of the demo.
func TestProductionStartsFromANewKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kek, witness := filepath.Join(dir, "kek"), filepath.Join(dir, "checkpoints")
	if code, stdout, stderr := command(t, "keys", "create", kek); code != 0 || stdout == "" {
		t.Fatalf("keys create: exit code %d, %s", code, stderr)
	}
	if info, err := os.Stat(kek); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the new key file: %v, %v", info.Mode(), err)
	}
	cert, key, pool := certificate(t)
	s := spawn(filepath.Join(dir, "data"), "--profile", "production", "--listen", "127.0.0.1:0", "--keystore", filepath.Join(dir, "keystore"),
		"--kek-file", kek, "--kek-sealed-by-platform", "--witness", witness, "--tls-cert", cert, "--tls-key", key)
	s.client = httpClient(&tls.Config{RootCAs: pool})
	s.startReady(t)
	s.stop(t)
	if info, err := os.Stat(witness); err != nil || info.Size() == 0 {
		t.Errorf("nothing was witnessed: %v", err)
	}
	for _, name := range []string{"kek", "keystore", "demo-credentials.json"} {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			t.Errorf("%s lies in the data folder", name)
		}
	}
}

// startReady starts a server without demo data and waits until it is ready.
func (s *server) startReady(t *testing.T) {
	t.Helper()
	if err := s.launchReady(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
}

// A second key over the first would make everything unreadable.
func TestKeysCreateNeverReplacesAKey(t *testing.T) {
	t.Parallel()
	kek := filepath.Join(t.TempDir(), "kek")
	command(t, "keys", "create", kek)
	before, err := os.ReadFile(kek)
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := command(t, "keys", "create", kek)
	wantRefusal(t, code, stderr, kek, "exists")
	if after, err := os.ReadFile(kek); err != nil || string(after) != string(before) {
		t.Errorf("the key file changed: %v", err)
	}
}
