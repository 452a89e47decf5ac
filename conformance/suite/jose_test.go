package suite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// assertionType is that of RFC 7523 §2.2.
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// jws is a signed token before its signature (RFC 7515 §3.1). A nil key leaves
// the signature out.
type jws struct {
	header, claims object
	key            any // *ecdsa.PrivateKey (ES384), *rsa.PrivateKey (RS384), []byte (HS256) or nil
}

func base64URL(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func segment(v any) string {
	b, _ := json.Marshal(v)
	return base64URL(b)
}

// compact signs: RFC 7518 §3.2 to 3.4.
func (j *jws) compact(t testing.TB) string {
	t.Helper()
	text := segment(j.header) + "." + segment(j.claims)
	sum := sha512.Sum384([]byte(text))
	var signature []byte
	switch key := j.key.(type) {
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signature = append(r.FillBytes(make([]byte, 48)), v.FillBytes(make([]byte, 48))...)
	case *rsa.PrivateKey:
		var err error
		if signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA384, sum[:]); err != nil {
			t.Fatal(err)
		}
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	return text + "." + base64URL(signature)
}

// backend is a backend service that knows RFC 7515 and nothing of this server.
// Its keys, one of each kind that SMART allows, have one kid: kid and kty
// together name a key (SMART App Launch 2.2, client-confidential-asymmetric).
type backend struct {
	id  string
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

// rsaKey is one for the whole run: making it is slow.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newBackend(t testing.TB, id string) *backend {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsaKey()
	if err != nil {
		t.Fatal(err)
	}
	return &backend{id, ec, other}
}

func (b *backend) ecJWK(t testing.TB) object {
	t.Helper()
	point, err := b.ec.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return object{"kty": "EC", "crv": "P-384", "kid": "k1", "use": "sig", "x": base64URL(point[1:49]), "y": base64URL(point[49:])}
}

func (b *backend) rsaJWK() object {
	return object{"kty": "RSA", "kid": "k1", "use": "sig", "n": base64URL(b.rsa.N.Bytes()), "e": "AQAB"}
}

// publicPEM is the RSA key as an attacker would use it for a shared secret.
func (b *backend) publicPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&b.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// keyFile writes a JSON Web Key Set.
func keyFile(t testing.TB, keys ...object) string {
	t.Helper()
	set, err := json.Marshal(object{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// register makes keys and registers a service with the running server.
func register(t testing.TB, s *server, id string, scopes string, more ...string) *backend {
	t.Helper()
	b := newBackend(t, id)
	args := append([]string{"client", "add", id, "--data", s.dir, "--name", "Lab feed", "--jwks", keyFile(t, b.ecJWK(t), b.rsaJWK()),
		"--role", "role:integration", "--scope", scopes}, more...)
	if code, stdout, stderr := command(t, args...); code != 0 || strings.TrimSpace(stdout) != "registered "+id {
		t.Fatalf("client add: %d %q %s", code, stdout, stderr)
	}
	return b
}

// assertion is a good one, after it was changed.
func (b *backend) assertion(t testing.TB, audience string, change func(*jws)) string {
	t.Helper()
	j := &jws{object{"alg": "ES384", "typ": "JWT", "kid": "k1"}, object{"iss": b.id, "sub": b.id, "aud": audience,
		"exp": time.Now().Add(2 * time.Minute).Unix(), "jti": rand.Text()}, b.ec}
	if change != nil {
		change(j)
	}
	return j.compact(t)
}

// withAssertion adds an assertion to a form.
func withAssertion(form url.Values, assertion string) url.Values {
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return form
}

// form posts to an endpoint of the authorization server.
func (s *server) form(t testing.TB, endpoint string, form url.Values) (status int, header http.Header, body object) {
	t.Helper()
	resp, err := s.client.PostForm(endpoint, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&body)
	return resp.StatusCode, resp.Header, body
}

func (s *server) serviceToken(t testing.TB, endpoint, assertion, scope string) (int, object) {
	t.Helper()
	status, header, body := s.form(t, endpoint, withAssertion(url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, assertion))
	if header.Get("Cache-Control") != "no-store" || header.Get("Pragma") != "no-cache" {
		t.Errorf("a token answer may be cached: %v", header)
	}
	return status, body
}

// withToken reads below the base with a token that belongs to no demo role.
func (s *server) withToken(t testing.TB, token, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	_, _ = io.Copy(&b, resp.Body)
	return resp.StatusCode, b.String()
}
