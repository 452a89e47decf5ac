// Package vaulttest is a Vault for tests: the transit engine with versions of
// a key and associated data, AppRole, and tokens that end, answering over HTTP
// with the statuses and bodies of the real one, and switches for bad times.
// Start with New. The product must not import it.
package vaulttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Role and SecretID are the AppRole that exists.
const (
	Role     = "7b0c1f5e-fieldseal"
	SecretID = "3f9d-secret"
)

// Server is a vault with one transit key.
type Server struct {
	*httptest.Server
	mu       sync.Mutex
	key      string
	versions []cipher.AEAD // version 1 first
	oldest   int           // min_decryption_version
	tokens   map[string]*lease
	life     time.Duration
	most     time.Duration
	sealed   bool
	denied   bool
	deleted  bool
	noAAD    bool
	slow     time.Duration
	calls    map[string]int
}

type lease struct {
	ends, max time.Time
}

// New starts a server with the named key.
func New(t testing.TB, key string) *Server {
	s := &Server{key: key, oldest: 1, tokens: map[string]*lease{}, life: time.Hour, most: 24 * time.Hour, calls: map[string]int{}}
	s.Rotate()
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// Token makes a token with the server's lifetimes.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newToken()
}

func (s *Server) newToken() string {
	token := "hvs." + rand.Text()
	s.tokens[token] = &lease{ends: time.Now().Add(s.life), max: time.Now().Add(s.most)}
	return token
}

// SetLife sets how long a token lives, and how long it can be renewed.
func (s *Server) SetLife(life, most time.Duration) { s.set(func() { s.life, s.most = life, most }) }

// SetSealed makes every call answer 503.
func (s *Server) SetSealed(on bool) { s.set(func() { s.sealed = on }) }

// SetDenied takes the policy for the key away from every token.
func (s *Server) SetDenied(on bool) { s.set(func() { s.denied = on }) }

// SetDeleted deletes the key, or brings it back.
func (s *Server) SetDeleted(on bool) { s.set(func() { s.deleted = on }) }

// SetIgnoreAAD makes the server an old one, which knows no associated data.
func (s *Server) SetIgnoreAAD(on bool) { s.set(func() { s.noAAD = on }) }

// SetSlow delays every answer.
func (s *Server) SetSlow(d time.Duration) { s.set(func() { s.slow = d }) }

// SetOldest sets min_decryption_version.
func (s *Server) SetOldest(version int) { s.set(func() { s.oldest = version }) }

// RevokeTokens ends every token.
func (s *Server) RevokeTokens() { s.set(func() { clear(s.tokens) }) }

// Calls returns how often a path below /v1/ was called.
func (s *Server) Calls(path string) (n int) { s.set(func() { n = s.calls[path] }); return n }

// Rotate adds a version of the key.
func (s *Server) Rotate() {
	block, err := aes.NewCipher(random(32))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	s.set(func() { s.versions = append(s.versions, aead) })
}

func (s *Server) set(change func()) { s.mu.Lock(); defer s.mu.Unlock(); change() }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

type request struct {
	Plaintext  string `json:"plaintext"`
	Ciphertext string `json:"ciphertext"`
	AAD        string `json:"associated_data"`
	RoleID     string `json:"role_id"`
	SecretID   string `json:"secret_id"`
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	var body request
	if r.ContentLength > 0 {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			refuse(w, http.StatusBadRequest, "error parsing JSON")
			return
		}
	}
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	s.calls[path]++
	token := r.Header.Get("X-Vault-Token")
	switch {
	case s.sealed:
		refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
	case path == "auth/approle/login":
		s.logIn(w, &body)
	case !s.valid(token):
		refuse(w, http.StatusForbidden, "permission denied")
	case path == "auth/token/lookup-self":
		answer(w, map[string]any{"data": map[string]any{"renewable": true, "ttl": int(time.Until(s.tokens[token].ends).Seconds())}})
	case path == "auth/token/renew-self":
		s.renew(w, token)
	case s.denied:
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case path == "transit/encrypt/"+s.key:
		s.encrypt(w, &body)
	case path == "transit/decrypt/"+s.key:
		s.decrypt(w, &body)
	default:
		refuse(w, http.StatusNotFound)
	}
}

func (s *Server) valid(token string) bool {
	l := s.tokens[token]
	return l != nil && time.Now().Before(l.ends)
}

func (s *Server) logIn(w http.ResponseWriter, body *request) {
	if body.RoleID != Role || body.SecretID != SecretID {
		refuse(w, http.StatusBadRequest, "invalid role or secret ID")
		return
	}
	s.grant(w, s.newToken())
}

func (s *Server) renew(w http.ResponseWriter, token string) {
	l := s.tokens[token]
	l.ends = time.Now().Add(s.life)
	if l.ends.After(l.max) {
		l.ends = l.max
	}
	s.grant(w, token)
}

func (s *Server) grant(w http.ResponseWriter, token string) {
	seconds := int(time.Until(s.tokens[token].ends).Round(time.Second).Seconds())
	answer(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": seconds, "renewable": true}})
}

func (s *Server) encrypt(w http.ResponseWriter, body *request) {
	if s.deleted {
		refuse(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	plain, err := base64.StdEncoding.DecodeString(body.Plaintext)
	if err != nil {
		refuse(w, http.StatusBadRequest, "failed to base64-decode plaintext")
		return
	}
	version := len(s.versions)
	nonce := random(12)
	blob := s.versions[version-1].Seal(nonce, nonce, plain, s.aad(body)) // #nosec G407 -- random above
	answer(w, map[string]any{"data": map[string]any{
		"ciphertext": fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(blob)), "key_version": version,
	}})
}

func (s *Server) aad(body *request) []byte {
	if s.noAAD {
		return nil
	}
	aad, _ := base64.StdEncoding.DecodeString(body.AAD)
	return aad
}

func (s *Server) decrypt(w http.ResponseWriter, body *request) {
	if s.deleted {
		refuse(w, http.StatusBadRequest, "encryption key not found")
		return
	}
	parts := strings.Split(body.Ciphertext, ":")
	if len(parts) != 3 || parts[0] != "vault" || !strings.HasPrefix(parts[1], "v") {
		refuse(w, http.StatusBadRequest, "invalid ciphertext: no prefix")
		return
	}
	version, err := strconv.Atoi(parts[1][1:])
	if err != nil || version < 1 || version > len(s.versions) {
		refuse(w, http.StatusBadRequest, "invalid ciphertext: version is too new")
		return
	}
	if version < s.oldest {
		refuse(w, http.StatusBadRequest, "ciphertext or signature version is disallowed by policy (too old)")
		return
	}
	blob, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(blob) < 12 {
		refuse(w, http.StatusBadRequest, "invalid ciphertext: could not decode base64")
		return
	}
	plain, err := s.versions[version-1].Open(nil, blob[:12], blob[12:], s.aad(body))
	if err != nil {
		refuse(w, http.StatusBadRequest, "cipher: message authentication failed "+hex.EncodeToString(blob[:4]))
		return
	}
	answer(w, map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, texts ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, texts...)})
}
