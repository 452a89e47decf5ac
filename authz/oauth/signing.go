package oauth

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/repository"
)

// signingBits of the RSA keys of id_tokens, which RS256 needs (OpenID Connect
// Core §15.1).
const signingBits = 2048

// Times of a rotation. Every node publishes a new key within signingTTL, so that
// no token is signed by a key that some node does not know. The old key stays
// published until the last token that it signed has ended, clocks apart.
const (
	signingTTL    = 5 * time.Second
	signingLead   = 2 * signingTTL
	signingRetain = idTokenLifetime + 5*time.Minute
)

// signingPrefix starts the keys of signing keys; a number follows.
const signingPrefix = "signing/"

// signingRow is a stored signing key.
type signingRow struct {
	Format int    `json:"format"`
	Key    []byte `json:"key"`            // PKCS #8, nonce ‖ AES-256-GCM
	From   int64  `json:"from,omitempty"` // when it begins to sign; 0 = at once
}

// signer is one key that signs id_tokens, or did.
type signer struct {
	number   int
	revision uint64
	from     int64
	key      jose.JSONWebKey
	jws      jose.Signer
}

// signing are the keys of id_tokens, which all nodes share; they are read again
// every signingTTL.
type signing struct {
	s      *Server
	mu     sync.Mutex
	keys   []signer // by number
	loaded time.Time
}

// openSigning reads the keys, or makes the first. When several nodes make it at
// the same time, the first that stores it wins.
func (s *Server) openSigning(ctx context.Context) (*signing, error) {
	k := &signing{s: s}
	keys, err := k.all(ctx)
	if err == nil && len(keys) == 0 {
		if _, err = s.makeSigningKey(ctx, 1, 0); err != nil && !errors.Is(err, repository.ErrConflict) {
			return nil, fmt.Errorf("making a signing key: %w", err)
		}
		k.loaded = time.Time{}
		keys, err = k.all(ctx)
	}
	if err == nil && len(keys) == 0 {
		err = repository.ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("reading signing keys: %w", err)
	}
	return k, nil
}

// all are the keys, the oldest first.
func (k *signing) all(ctx context.Context) ([]signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.s.Now()
	if age := now.Sub(k.loaded); !k.loaded.IsZero() && age >= 0 && age < signingTTL {
		return k.keys, nil
	}
	var keys []signer
	for stored, err := range k.s.Table.Scan(ctx, []byte(signingPrefix)) {
		if err != nil {
			return nil, err
		}
		key, err := k.open(stored)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b signer) int { return cmp.Compare(a.number, b.number) })
	k.keys, k.loaded = keys, now
	return keys, nil
}

// open opens a stored key, or returns the one that was opened before.
func (k *signing) open(stored repository.Row) (signer, error) {
	bad := fmt.Errorf("stored signing key: %w", repository.ErrCorrupt)
	number, err := strconv.Atoi(strings.TrimPrefix(string(stored.Key), signingPrefix))
	if err != nil {
		return signer{}, bad
	}
	for _, known := range k.keys {
		if known.number == number && known.revision == stored.Revision {
			return known, nil
		}
	}
	var row signingRow
	if json.Unmarshal(stored.Value, &row) != nil || row.Format != 1 {
		return signer{}, bad
	}
	a, err := k.s.signingAEAD()
	if err != nil {
		return signer{}, err
	}
	der, err := a.Open(nil, nil, row.Key, stored.Key)
	if err != nil {
		return signer{}, bad
	}
	private, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := private.(*rsa.PrivateKey)
	if err != nil || !ok {
		return signer{}, bad
	}
	out, err := newSigner(key)
	out.number, out.revision, out.from = number, stored.Revision, row.From
	return out, err
}

// current is the key that signs: the newest whose time has come.
func (k *signing) current(ctx context.Context) (signer, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return signer{}, fmt.Errorf("reading signing keys: %w", err)
	}
	now := k.s.Now().Unix()
	for _, key := range slices.Backward(keys) {
		if key.from <= now {
			return key, nil
		}
	}
	return signer{}, fmt.Errorf("no signing key: %w", repository.ErrCorrupt)
}

// public is the JSON Web Key Set: also of the key that will sign and of those
// whose tokens may be in use.
func (k *signing) public(ctx context.Context) ([]byte, error) {
	keys, err := k.all(ctx)
	if err != nil {
		return nil, err
	}
	set := jose.JSONWebKeySet{}
	for _, key := range keys {
		set.Keys = append(set.Keys, key.key.Public())
	}
	return json.Marshal(set)
}

func newSigner(key *rsa.PrivateKey) (signer, error) {
	sum := sha256.Sum256(key.N.Bytes())
	k := jose.JSONWebKey{Key: key, KeyID: hex.EncodeToString(sum[:8]), Algorithm: string(jose.RS256), Use: "sig"}
	jws, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: k}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return signer{}, fmt.Errorf("preparing a signing key: %w", err)
	}
	return signer{key: k, jws: jws}, nil
}

func (s *Server) makeSigningKey(ctx context.Context, number int, from int64) (kid string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return "", err
	}
	made, err := newSigner(key)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	a, err := s.signingAEAD()
	if err != nil {
		return "", err
	}
	name := []byte(signingPrefix + strconv.Itoa(number))
	value, err := json.Marshal(signingRow{1, a.Seal(nil, nil, der, name), from}) // #nosec G407 -- the AEAD draws its nonce itself
	if err != nil {
		return "", err
	}
	_, err = s.Table.PutIf(ctx, name, value, 0)
	return made.key.KeyID, err
}

// ErrNoSigning means that there is no OpenID Connect here, hence no key.
var ErrNoSigning = errors.New("no id_tokens are issued here")

// RotateSigningKey makes a new key of id_tokens and returns its id and when it
// begins to sign. The old one stays published while its tokens live; Sweep
// removes it.
func (s *Server) RotateSigningKey(ctx context.Context) (kid string, from time.Time, err error) {
	if s.signing == nil {
		return "", from, ErrNoSigning
	}
	keys, err := s.signing.all(ctx)
	if err != nil {
		return "", from, fmt.Errorf("reading signing keys: %w", err)
	}
	from = s.Now().Add(signingLead).Truncate(time.Second)
	if kid, err = s.makeSigningKey(ctx, keys[len(keys)-1].number+1, from.Unix()); err != nil {
		return "", from, fmt.Errorf("making a signing key: %w", err)
	}
	s.signing.mu.Lock()
	s.signing.loaded = time.Time{}
	s.signing.mu.Unlock()
	return kid, from, nil
}

// sweepSigning removes the keys whose successors have signed for so long that
// none of their tokens is in use.
func (s *Server) sweepSigning(ctx context.Context) (n int, err error) {
	if s.signing == nil {
		return 0, nil
	}
	keys, err := s.signing.all(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading signing keys: %w", err)
	}
	over := s.Now().Add(-signingRetain).Unix()
	for i := range len(keys) - 1 {
		if next := keys[i+1]; next.from > over {
			break
		}
		switch err := s.Table.DeleteIf(ctx, []byte(signingPrefix+strconv.Itoa(keys[i].number)), keys[i].revision); {
		case err == nil:
			n++
		case !errors.Is(err, repository.ErrNotFound) && !errors.Is(err, repository.ErrConflict):
			return n, fmt.Errorf("sweeping signing keys: %w", err)
		}
	}
	return n, nil
}

// signingAEAD is keyed by two outputs of the PRF, of 128 bits each.
func (s *Server) signingAEAD() (cipher.AEAD, error) {
	one, two := s.PRF("oauth-signing-key", "1"), s.PRF("oauth-signing-key", "2")
	block, err := aes.NewCipher(slices.Concat(one[:], two[:]))
	if err != nil {
		return nil, fmt.Errorf("deriving the key of signing keys: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
