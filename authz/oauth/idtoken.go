package oauth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/repository"
)

// idTokenLifetime is short: an id_token tells of a login, it opens nothing.
const idTokenLifetime = 10 * time.Minute

// signingBits of the RSA key of id_tokens, which RS256 needs (OpenID Connect
// Core §15.1).
const signingBits = 2048

// signingKey is the key of the row of the signing key. All nodes use one.
var signingKey = []byte("signing/1")

// signer signs id_tokens.
type signer struct {
	key jose.JSONWebKey
	jws jose.Signer
}

// signingRow is the stored signing key.
type signingRow struct {
	Format int    `json:"format"`
	Key    []byte `json:"key"` // PKCS #8, nonce ‖ AES-256-GCM
}

// openSigner reads the signing key, or makes it when there is none. When
// several nodes make one at the same time, the first that stores it wins.
func (s *Server) openSigner(ctx context.Context) (*signer, error) {
	stored, err := s.Table.Get(ctx, signingKey)
	if errors.Is(err, repository.ErrNotFound) {
		if err := s.makeSigningKey(ctx); err != nil && !errors.Is(err, repository.ErrConflict) {
			return nil, fmt.Errorf("making the signing key: %w", err)
		}
		stored, err = s.Table.Get(ctx, signingKey)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the signing key: %w", err)
	}
	var row signingRow
	if json.Unmarshal(stored.Value, &row) != nil || row.Format != 1 {
		return nil, fmt.Errorf("stored signing key: %w", repository.ErrCorrupt)
	}
	a, err := s.signingAEAD()
	if err != nil {
		return nil, err
	}
	der, err := a.Open(nil, nil, row.Key, signingKey)
	if err != nil {
		return nil, fmt.Errorf("stored signing key: %w", repository.ErrCorrupt)
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := private.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("stored signing key: %w", repository.ErrCorrupt)
	}
	return newSigner(key)
}

func newSigner(key *rsa.PrivateKey) (*signer, error) {
	sum := sha256.Sum256(key.N.Bytes())
	k := jose.JSONWebKey{Key: key, KeyID: hex.EncodeToString(sum[:8]), Algorithm: string(jose.RS256), Use: "sig"}
	jws, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: k}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("preparing the signing key: %w", err)
	}
	return &signer{k, jws}, nil
}

func (s *Server) makeSigningKey(ctx context.Context) error {
	key, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	a, err := s.signingAEAD()
	if err != nil {
		return err
	}
	value, err := json.Marshal(signingRow{1, a.Seal(nil, nil, der, signingKey)}) // #nosec G407 -- the AEAD draws its nonce itself
	if err != nil {
		return err
	}
	_, err = s.Table.PutIf(ctx, signingKey, value, 0)
	return err
}

// signingAEAD is keyed by two outputs of the PRF, of 128 bits each.
func (s *Server) signingAEAD() (cipher.AEAD, error) {
	one, two := s.PRF("oauth-signing-key", "1"), s.PRF("oauth-signing-key", "2")
	block, err := aes.NewCipher(slices.Concat(one[:], two[:]))
	if err != nil {
		return nil, fmt.Errorf("deriving the key of the signing key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// public is the JSON Web Key Set of the signing key.
func (k *signer) public() []byte {
	b, _ := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k.key.Public()}}) // an RSA key always encodes
	return b
}

// subject names an account to clients: stable, and no name.
func (s *Server) subject(account string) string {
	id := s.PRF("oauth-subject", account)
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// identity are the claims of an id_token beside the registered ones.
type identity struct {
	AuthTime int64    `json:"auth_time,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	Nonce    string   `json:"nonce,omitempty"`
	FHIRUser string   `json:"fhirUser,omitempty"`
}

// addIDToken puts an id_token into a token response when openid was granted
// (OpenID Connect Core §3.1.3.3; SMART App Launch 2.2, fhirUser).
func (s *Server) addIDToken(out map[string]any, sess *session, client string, granted []string) error {
	if s.signer == nil || !slices.Contains(granted, smart.OpenID) {
		return nil
	}
	now := s.Now()
	own := identity{AMR: sess.Claims.AMR, Nonce: sess.Nonce}
	if !sess.Claims.AuthTime.IsZero() {
		own.AuthTime = sess.Claims.AuthTime.Unix()
	}
	if slices.Contains(granted, smart.FHIRUser) && sess.Claims.Who != "" {
		own.FHIRUser = s.Base + "/" + sess.Claims.Who
	}
	text, err := jwt.Signed(s.signer.jws).Claims(jwt.Claims{Issuer: s.Issuer, Subject: s.subject(sess.Claims.Account), Audience: jwt.Audience{client},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(idTokenLifetime))}).Claims(own).Serialize()
	if err != nil {
		return fmt.Errorf("signing an id_token: %w", err)
	}
	out["id_token"] = text
	return nil
}
