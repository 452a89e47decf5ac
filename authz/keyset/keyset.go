// Package keyset reads JSON Web Key Sets (RFC 7517) and fetches them, and other
// small documents, from where clients and issuers keep theirs.
//
// Start with NewFetcher, Parse and Select.
//
// Security notes: what is fetched lies behind https, at an address that the
// check allows after the name was resolved, without redirects, proxies or
// credentials, and is small. A key is selected by kid, type and use; two that
// fit are none, since nobody can tell whose word the signature is then. No key
// is taken from a signed text itself.
package keyset

import (
	"crypto/ecdsa"
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
	if h.KeyID == "" || len(h.KeyID) > maxKeyIDBytes || h.JSONWebKey != nil {
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
