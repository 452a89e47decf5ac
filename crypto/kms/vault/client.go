package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/keyring"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// newHTTP trusts what the options say and nothing of the environment: no
// proxy, no other authorities, no redirects that would carry a token away.
func newHTTP(o Options) (*http.Client, error) {
	t := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     renewEvery * 90,
	}
	if o.CACert != "" {
		pem, err := os.ReadFile(o.CACert)
		pool := x509.NewCertPool()
		if err != nil || !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: the file of trusted authorities holds no certificate that can be read", ErrUnsuitable)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport:     t,
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// reply is what is used of the server's answers.
type reply struct {
	Data struct {
		Ciphertext string `json:"ciphertext"`
		Plaintext  []byte `json:"plaintext"` // base64 in JSON
		TTL        int    `json:"ttl"`       // seconds
		Renewable  bool   `json:"renewable"`
	} `json:"data"`
	Auth struct {
		Token   string `json:"client_token"`
		Seconds int    `json:"lease_duration"`
	} `json:"auth"`
	Errors []string `json:"errors"`
}

// call sends one request to a path below /v1/ with a token, which may be empty.
func (k *KMS) call(ctx context.Context, method, path, token string, body any) (*reply, error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%w: encoding a request", keyring.ErrUnavailable)
		}
		defer clear(b)
		payload = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(k.opts.Address, "/")+"/v1/"+path, payload)
	if err != nil {
		return nil, fmt.Errorf("%w: making a request", keyring.ErrUnavailable)
	}
	r.Header.Set("X-Vault-Request", "true")
	if token != "" {
		r.Header.Set("X-Vault-Token", token)
	}
	if k.opts.Namespace != "" {
		r.Header.Set("X-Vault-Namespace", k.opts.Namespace)
	}
	resp, err := k.http.Do(r)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, fmt.Errorf("%w: %w", keyring.ErrUnavailable, context.Canceled)
		}
		return nil, fmt.Errorf("%w: the vault cannot be reached", keyring.ErrUnavailable)
	}
	defer resp.Body.Close()
	return read(resp)
}

func read(resp *http.Response) (*reply, error) {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	defer clear(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: the vault's answer was cut short", keyring.ErrUnavailable)
	}
	var out reply
	malformed := json.Unmarshal(raw, &out) != nil
	if resp.StatusCode != http.StatusOK {
		return nil, failure(resp.StatusCode, out.Errors)
	}
	if malformed {
		return nil, fmt.Errorf("%w: the vault's answer is malformed", keyring.ErrUnavailable)
	}
	return &out, nil
}

// failure maps a status to what the ring distinguishes. The server's texts are
// looked at and not passed on.
func failure(status int, texts []string) error {
	says := func(what ...string) bool {
		for _, text := range texts {
			for _, w := range what {
				if strings.Contains(text, w) {
					return true
				}
			}
		}
		return false
	}
	switch {
	case status == http.StatusForbidden:
		return fmt.Errorf("%w: the vault denies it", keyring.ErrRevoked)
	case status == http.StatusNotFound:
		return fmt.Errorf("%w: the vault has no such mount or key", keyring.ErrRevoked)
	case status == http.StatusBadRequest && says("key not found", "disallowed by policy", "too old"):
		return fmt.Errorf("%w: the vault has no such version of the key", keyring.ErrRevoked)
	case status == http.StatusBadRequest:
		return fmt.Errorf("%w: the vault cannot open it", keyring.ErrWrongKEK)
	}
	return fmt.Errorf("%w: the vault answers with status %d", keyring.ErrUnavailable, status)
}
