package localfile_test

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/localfile"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

func create(t *testing.T) (*localfile.KMS, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kek")
	k, err := localfile.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return k, path
}

func TestCreateAndUse(t *testing.T) {
	t.Parallel()
	k, path := create(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	dek := secret.Random(32)
	w, err := k.Wrap(t.Context(), dek, []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := localfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := again.Unwrap(t.Context(), w, []byte("aad"))
	if err != nil || !got.Equal(dek) {
		t.Fatalf("unwrap: %v", err)
	}
	if id, err := again.KeyID(); err != nil || id != w.KeyID {
		t.Errorf("key id %q, wrapped under %q, %v", id, w.KeyID, err)
	}
}

func TestChangedWrappedKeyIsRefused(t *testing.T) {
	t.Parallel()
	k, _ := create(t)
	w, err := k.Wrap(t.Context(), secret.Random(32), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(w.Blob) * 8 {
		x := keyring.Wrapped{KeyID: w.KeyID, Blob: append([]byte(nil), w.Blob...)}
		x.Blob[bit/8] ^= 1 << (bit % 8)
		if got, err := k.Unwrap(t.Context(), x, []byte("aad")); !errors.Is(err, keyring.ErrWrongKEK) || got.Len() != 0 {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	for n := range w.Blob {
		if _, err := k.Unwrap(t.Context(), keyring.Wrapped{KeyID: w.KeyID, Blob: w.Blob[:n]}, []byte("aad")); !errors.Is(err, keyring.ErrWrongKEK) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := k.Unwrap(t.Context(), w, []byte("other")); !errors.Is(err, keyring.ErrWrongKEK) {
		t.Errorf("other associated data: %v", err)
	}
	if _, err := k.Unwrap(t.Context(), keyring.Wrapped{KeyID: "file/other", Blob: w.Blob}, []byte("aad")); !errors.Is(err, keyring.ErrWrongKEK) {
		t.Errorf("mismatched key id: %v", err)
	}
}

func TestKeyFileReadableByOthersIsRefused(t *testing.T) {
	t.Parallel()
	_, path := create(t)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o660, 0o666, 0o601, 0o700 | 0o010} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := localfile.Open(path); !errors.Is(err, localfile.ErrUnsafe) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := localfile.Open(path); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
}

func TestWrongKeyFilesAreRefused(t *testing.T) {
	t.Parallel()
	key := base64.StdEncoding.EncodeToString(secret.Random(32).Expose())
	good := "fieldseal-kek-v1\n" + key + "\n"
	rows := map[string]string{
		"empty": "", "header only": "fieldseal-kek-v1\n", "no header": key + "\n", "other version": strings.Replace(good, "v1", "v2", 1),
		"cut": good[:len(good)-5], "31 bytes": "fieldseal-kek-v1\n" + base64.StdEncoding.EncodeToString(make([]byte, 31)) + "\n",
		"33 bytes": "fieldseal-kek-v1\n" + base64.StdEncoding.EncodeToString(make([]byte, 33)) + "\n",
		"trailing": good + "x", "trailing line": good + "\n\n", "CR LF": strings.ReplaceAll(good, "\n", "\r\n"),
		"not base64": "fieldseal-kek-v1\n" + strings.Repeat("*", 44) + "\n", "raw": strings.Repeat("\x07", 32),
	}
	for name, text := range rows {
		path := filepath.Join(t.TempDir(), "kek")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := localfile.Open(path)
		if !errors.Is(err, keyring.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), key[:8]) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, []byte(strings.TrimSuffix(good, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localfile.Open(path); err != nil {
		t.Errorf("without the last line feed: %v", err)
	}
}

func TestMissingPipeAndDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := localfile.Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "escrow") {
		t.Errorf("missing: %v", err)
	}
	if _, err := localfile.Open(dir); !errors.Is(err, localfile.ErrUnsafe) {
		t.Errorf("directory: %v", err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no named pipes here: %v", err)
	}
	if _, err := localfile.Open(pipe); !errors.Is(err, localfile.ErrUnsafe) {
		t.Errorf("pipe: %v", err)
	}
}

func TestCreateOverwritesNothing(t *testing.T) {
	t.Parallel()
	_, path := create(t)
	before, _ := os.ReadFile(path)
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Symlink(filepath.Join(filepath.Dir(path), "planted"), link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		if _, err := localfile.Create(p); !errors.Is(err, fs.ErrExist) {
			t.Errorf("creating over %s: %v", filepath.Base(p), err)
		}
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the key was overwritten")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(path), "planted")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a planted link was followed")
	}
}

// TestRemovedOrReplacedKeyFileFailsClosed takes the file away under a ring.
func TestRemovedOrReplacedKeyFileFailsClosed(t *testing.T) {
	t.Parallel()
	k, path := create(t)
	clock := keyringtest.NewClock()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: k, Now: clock.Now}
	r := keyringtest.InitRing(t, o)
	who := repository.Owner{1}
	if _, err := r.EnsureOwner(t.Context(), who); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(t.Context(), o); !errors.Is(err, keyring.ErrUnavailable) || errors.Is(err, keyring.ErrWrongKEK) {
		t.Errorf("opening without the file: %v", err)
	}
	clock.Advance(keyring.DefaultKEKTTL + time.Minute)
	if _, err := r.Owner(t.Context(), who); err != nil {
		t.Errorf("within grace: %v", err)
	}
	clock.Advance(keyring.DefaultGrace)
	if _, err := r.Owner(t.Context(), who); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("after grace: %v", err)
	}
	if _, err := localfile.Create(path); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if _, err := r.Owner(t.Context(), who); !errors.Is(err, keyring.ErrWrongKEK) || !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("another key in its place: %v", err)
	}
	if _, err := keyring.Open(t.Context(), o); !errors.Is(err, keyring.ErrWrongKEK) {
		t.Errorf("opening with another key: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Minute)
	if _, err := r.Owner(t.Context(), who); err != nil {
		t.Errorf("after restoring the file: %v", err)
	}
}
