// Package issuertest is a small OpenID provider for tests: discovery, keys that
// rotate, authorization code with PKCE, tokens, and switches by which it
// misbehaves. It signs by the standard library alone and knows nothing of this
// server. It is no part of the product.
//
// Start with Start. Whoever is set by Login is logged in at the provider; Token
// signs access tokens as they should be, or changed.
package issuertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ClientID and ClientSecret are of the one client that is registered.
const (
	ClientID     = "fieldseal"
	ClientSecret = "a secret of the test"
)

// Object is a decoded JSON object.
type Object = map[string]any

// Faults are the ways in which the provider misbehaves. The zero Faults behaves.
type Faults struct {
	Down         bool              // every answer is 503
	CacheControl string            // of discovery and keys
	Discovery    func(Object)      // changes the discovery document
	Redirect     func(Object)      // changes the parameters of the authorization response
	IDToken      func(*Token)      // changes an id_token before it is signed
	NoIDToken    bool              // the token answer holds none
	SkipPKCE     bool              // any code_verifier is accepted
	Keys         func([]any) []any // changes the key set
}

// Provider is a running provider.
type Provider struct {
	URL string // the issuer
	CA  []byte // PEM of the certificate that vouches for it
	// RSA is a second key that never rotates, with kid "rsa".
	RSA *rsa.PrivateKey

	server    *httptest.Server
	mu        sync.Mutex
	key       *ecdsa.PrivateKey
	kid       string
	rotations int
	faults    Faults
	redirect  string // the registered redirect URI
	person    Object
	codes     map[string]code
	asked     map[string]int
}

// rsaKey is one for all providers of a process: making it is slow.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// Start returns a provider on a loopback port, which Close ends.
func Start() (*Provider, error) {
	key, err := rsaKey()
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	p := &Provider{RSA: key, codes: map[string]code{}, asked: map[string]int{}}
	if err := p.Rotate(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /realm/.well-known/openid-configuration", p.discovery)
	mux.HandleFunc("GET /realm/keys", p.keys)
	mux.HandleFunc("GET /realm/authorize", p.authorize)
	mux.HandleFunc("POST /realm/token", p.token)
	p.server = httptest.NewTLSServer(p.counted(mux))
	p.URL = p.server.URL + "/realm"
	p.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.server.Certificate().Raw})
	return p, nil
}

// List writes a list of issuers with this one, named hospital, and the files that
// it needs into a folder, and returns its name. More are lines of the entry.
func (p *Provider) List(folder, more string) (path string, err error) {
	text := fmt.Sprintf("issuers:\n- name: hospital\n  display: Hospital login\n  issuer: %s\n  ca_cert: ca.pem\n  networks: [127.0.0.0/8]\n  clock_skew: 2m\n%s", p.URL, more)
	for name, content := range map[string]string{"ca.pem": string(p.CA), "secret": ClientSecret, "issuers.yaml": text} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			return "", fmt.Errorf("writing the list: %w", err)
		}
	}
	return filepath.Join(folder, "issuers.yaml"), nil
}

// Close ends the provider.
func (p *Provider) Close() { p.server.Close() }

// Client is an HTTP client that trusts the provider.
func (p *Provider) Client() *http.Client { return p.server.Client() }

// counted counts requests by path, and fails them while the provider is down.
func (p *Provider) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.Path]++
		down := p.faults.Down
		p.mu.Unlock()
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Asked is how often a path below the issuer was requested.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked["/realm"+path]
}

// Rotate replaces the key that signs by a new one with a kid of its own.
func (p *Provider) Rotate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rotations++
	p.key, p.kid = key, fmt.Sprintf("k%d", p.rotations)
	return nil
}

// Misbehave replaces the faults.
func (p *Provider) Misbehave(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

func (p *Provider) misbehaviour() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// Login sets who is logged in at the provider, by what id_tokens say of them,
// sub first; and the redirect URI that the client registered.
func (p *Provider) Login(redirect string, claims Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.redirect, p.person = redirect, maps.Clone(claims)
}

// Token is a signed token before its signature. The key is an
// *ecdsa.PrivateKey, an *rsa.PrivateKey, []byte for HS256, or nil for none.
type Token struct {
	Header, Claims Object
	Key            any
	Payload        string // JSON instead of the claims, when not empty
}

// Token signs an access token (RFC 9068) for an audience and a sub.
func (p *Provider) Token(audience, sub string, scope string, change func(*Token)) string {
	now := time.Now()
	t := p.fresh("at+jwt")
	maps.Copy(t.Claims, Object{"aud": audience, "sub": sub, "scope": scope, "client_id": "their-app", "jti": rand.Text(),
		"exp": now.Add(50 * time.Minute).Unix()}) // a busy machine takes its time
	if change != nil {
		change(t)
	}
	return t.Sign()
}

// fresh is a token of the provider's own that says nothing yet.
func (p *Provider) fresh(typ string) *Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &Token{Header: Object{"alg": "ES256", "typ": typ, "kid": p.kid}, Key: p.key, Claims: Object{"iss": p.URL, "iat": time.Now().Unix()}}
}

func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	f := p.misbehaviour()
	d := Object{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256", "RS256"},
		"code_challenge_methods_supported": []string{"S256"}, "authorization_response_iss_parameter_supported": true}
	if f.Discovery != nil {
		f.Discovery(d)
	}
	write(w, f.CacheControl, d)
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	f := p.misbehaviour()
	p.mu.Lock()
	point, err := p.key.PublicKey.Bytes()
	kid := p.kid
	p.mu.Unlock()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	keys := []any{Object{"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": encode(point[1:33]), "y": encode(point[33:])},
		Object{"kty": "RSA", "kid": "rsa", "use": "sig", "n": encode(p.RSA.N.Bytes()), "e": "AQAB"}}
	if f.Keys != nil {
		keys = f.Keys(keys)
	}
	write(w, f.CacheControl, Object{"keys": keys})
}

func write(w http.ResponseWriter, cacheControl string, body any) {
	w.Header().Set("Content-Type", "application/json")
	if cacheControl != "" {
		w.Header().Set("Cache-Control", cacheControl)
	}
	_ = json.NewEncoder(w).Encode(body) // a caller that went away learns nothing more
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
