package issuer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/fieldseal/fieldseal/authz/keyset"
)

// openNetwork reads where the issuer may be and who vouches for it.
func (s *Settings) openNetwork(folder string) error {
	for _, text := range s.Networks {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return errors.New("networks: each is a CIDR range such as 10.20.0.0/16")
		}
		s.networks = append(s.networks, p.Masked())
	}
	if s.CACert == "" {
		return nil
	}
	pem, err := readFile(beside(folder, s.CACert))
	if err != nil {
		return fmt.Errorf("ca_cert: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return errors.New("ca_cert: the file holds no certificate")
	}
	s.transport = &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
	return nil
}

// openKeys reads the keys of an issuer that publishes none.
func (s *Settings) openKeys(folder string) error {
	if s.KeysFile == "" {
		return nil
	}
	text, err := readFile(beside(folder, s.KeysFile))
	if err != nil {
		return fmt.Errorf("jwks_file: %w", err)
	}
	set, err := keyset.Parse(text)
	if err != nil {
		return fmt.Errorf("jwks_file: %w", err)
	}
	usable := false
	for _, k := range set.Keys {
		if !k.IsPublic() {
			return errors.New("jwks_file: it holds a key that is not public")
		}
		for _, alg := range s.algorithms {
			usable = usable || k.KeyID != "" && keyset.Usable(k, alg)
		}
	}
	if !usable {
		return errors.New("jwks_file: it holds no key with a kid for the algorithms")
	}
	s.inline = &set
	return nil
}

func beside(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}

// readFile reads a small file; the error does not repeat its name.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, errors.New("the file cannot be read")
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil || len(b) > maxFile {
		return nil, errors.New("the file cannot be read or is too large")
	}
	return b, nil
}

// readSecret wants a file that nobody else can read.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		return "", errors.New("others can read the file; its mode must be 0600")
	}
	b, err := readFile(path)
	if err != nil {
		return "", err
	}
	if secret := strings.TrimSpace(string(b)); secret != "" {
		return secret, nil
	}
	return "", errors.New("the file is empty")
}
