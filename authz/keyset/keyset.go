// Package keyset reads JSON Web Key Sets (RFC 7517) and fetches them, and other
// small documents, from where clients and issuers keep theirs.
//
// Start with NewFetcher, Parse and Select.
//
// Security notes: what is fetched lies behind https, at an address that the
// check allows after the name was resolved, without redirects, proxies or
// credentials, and is small. A key is selected by kid, type and use; two that
// fit are none, since nobody can tell whose word the signature is then. Of an
// issuer whose keys or signatures have no kid, a few of the right type are tried:
// all of them are its own. No key is taken from a signed text itself.
package keyset

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// MinRSABits is the size below which an RSA key is not used (SP 800-131A).
const MinRSABits = 2048

// maxKeyIDBytes bounds a kid that is looked up.
const maxKeyIDBytes = 256

// maxCandidates bounds how many keys are tried for one signature.
const maxCandidates = 8

// ErrKey means that no single key fits.
var ErrKey = errors.New("no single key fits")

// Parse reads a key set.
func Parse(text []byte) (set jose.JSONWebKeySet, err error) {
	if err := json.Unmarshal(text, &set); err != nil {
		return set, errors.New("the key set is not readable")
	}
	return set, nil
}

// Named refuses the header of a signature that has no usable kid, or that
// brings a key or points at one (RFC 7515 §4.1.2 to §4.1.6), unless its jku is
// the one that is known. Nothing of it is fetched.
func Named(h jose.Header, jku string) error {
	if h.KeyID == "" {
		return ErrKey
	}
	return Plain(h, jku)
}

// Plain is Named for signatures that may have no kid.
func Plain(h jose.Header, jku string) error {
	if len(h.KeyID) > maxKeyIDBytes || h.JSONWebKey != nil {
		return ErrKey
	}
	for name, value := range h.ExtraHeaders {
		switch name {
		case "jku":
			if jku == "" || value != jku {
				return ErrKey
			}
		case "x5u", "x5c", "crit", "jwk":
			return ErrKey
		}
	}
	return nil
}

// Select returns the one key with the kid that is for signatures by the
// algorithm, or ErrKey.
func Select(set jose.JSONWebKeySet, kid, algorithm string) (any, error) {
	var found []any
	for _, k := range set.Key(kid) {
		if Usable(k, jose.SignatureAlgorithm(algorithm)) {
			found = append(found, k.Key)
		}
	}
	if len(found) != 1 {
		return nil, ErrKey
	}
	return found[0], nil
}

// Candidates returns the keys that may have made a signature: the one that the
// kid names, as Select, and then it is named; else those of the algorithm that
// have no kid, or all of them when the signature has none. More than maxCandidates
// are ErrKey: each costs a verification.
func Candidates(set jose.JSONWebKeySet, kid, algorithm string) (keys []any, named bool, err error) {
	if kid != "" && len(set.Key(kid)) > 0 {
		key, err := Select(set, kid, algorithm)
		return []any{key}, true, err
	}
	for _, k := range set.Keys {
		if (kid == "" || k.KeyID == "") && Usable(k, jose.SignatureAlgorithm(algorithm)) {
			keys = append(keys, k.Key)
		}
	}
	if len(keys) == 0 || len(keys) > maxCandidates {
		return nil, false, ErrKey
	}
	return keys, false, nil
}

// Usable reports whether a key is a public one for signatures by the algorithm
// (RFC 7518 §3.1). Shared secrets are for none.
func Usable(k jose.JSONWebKey, alg jose.SignatureAlgorithm) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != string(alg) {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		switch alg {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			return key.N.BitLen() >= MinRSABits
		}
	case ed25519.PublicKey:
		return alg == jose.EdDSA && len(key) == ed25519.PublicKeySize
	case *ecdsa.PublicKey:
		switch alg {
		case jose.ES256:
			return key.Curve == elliptic.P256()
		case jose.ES384:
			return key.Curve == elliptic.P384()
		case jose.ES512:
			return key.Curve == elliptic.P521()
		}
	}
	return false
}
