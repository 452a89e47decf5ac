package localfile

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

const (
	keyBytes  = 32 // AES-256
	header    = "fieldseal-kek-v1\n"
	fileBytes = len(header) + 44 + 1 // base64 of 32 bytes and a line feed
)

// read returns the key in the file after checking who may read it.
func read(path string) (secret.Bytes, error) {
	// O_NONBLOCK: a pipe in the file's place must not hang the server.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Bytes{}, fmt.Errorf("key file %s is missing: restore it from escrow, or make a new one only for a new keystore: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("opening key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("checking key file: %w", err)
	}
	if err := check(path, info); err != nil {
		return secret.Bytes{}, err
	}
	raw := make([]byte, fileBytes+1)
	defer clear(raw)
	n, err := io.ReadFull(f, raw)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return secret.Bytes{}, fmt.Errorf("reading key file: %w", err)
	}
	key, err := parse(raw[:n])
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

// check refuses what others can read, and files that are not the server's.
func check(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("key file %s is not a regular file: %w", path, ErrUnsafe)
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		return fmt.Errorf("key file %s has mode %04o and others may read or write it: run chmod 600, and rotate if anyone else has access to this machine: %w", path, m, ErrUnsafe)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() && st.Uid != 0 {
		return fmt.Errorf("key file %s belongs to user %d, not to the server's account or root: run chown: %w", path, st.Uid, ErrUnsafe)
	}
	return nil
}

// parse reads the file's text strictly: version line, base64, line feed. A
// missing last line feed is forgiven, as editors and secret stores drop it.
func parse(raw []byte) (secret.Bytes, error) {
	bad := func(why string) (secret.Bytes, error) {
		return secret.Bytes{}, fmt.Errorf("%s; restore it from escrow: %w", why, keyring.ErrCorrupt)
	}
	if len(raw) < len(header) || string(raw[:len(header)]) != header {
		return bad("its first line is not " + header[:len(header)-1])
	}
	body := raw[len(header):]
	if n := len(body); n > 0 && body[n-1] == '\n' { // #nosec G602 -- n > 0
		body = body[:n-1]
	}
	key := make([]byte, keyBytes+1)
	if len(body) != 44 {
		return bad("its second line does not have 44 characters")
	}
	n, err := base64.StdEncoding.Strict().Decode(key, body)
	if err != nil || n != keyBytes {
		clear(key)
		return bad("its second line is not the base64 form of 32 bytes")
	}
	return secret.New(key[:n:n]), nil
}

// write makes the file, which must not exist, durably.
func write(path string, key secret.Bytes) (err error) {
	// O_EXCL also refuses a symbolic link somebody planted here.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("creating key file: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path) // an incomplete key must not stay
		}
	}()
	text := append([]byte(header), base64.StdEncoding.EncodeToString(key.Expose())...)
	text = append(text, '\n')
	_, err = f.Write(text)
	clear(text)
	if err == nil {
		err = f.Chmod(0o600) // whatever the umask was
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("writing key file: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing key directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("syncing key directory: %w", err)
	}
	return nil
}
