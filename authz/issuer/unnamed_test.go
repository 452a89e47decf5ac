package issuer

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

func unnamed(t *issuertest.Token) { delete(t.Header, "kid") }

// withoutKids is a key set whose keys have no kid, with more of them in front.
func withoutKids(more ...any) issuertest.Faults {
	return issuertest.Faults{Keys: func(keys []any) []any {
		for _, k := range keys {
			delete(k.(object), "kid")
		}
		return append(more, keys...)
	}}
}

func ed(t *testing.T) (ed25519.PrivateKey, object) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private, object{"kty": "OKP", "crv": "Ed25519", "x": encode(public)}
}

// TestKeysWithoutKidAreTried: providers with one key often name none. A key that
// the token names is the only one that counts.
func TestKeysWithoutKidAreTried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	w.admitsToken("a token without kid", w.ann(unnamed), nil)
	w = newWorld(t, bearing)
	w.provider.Misbehave(withoutKids())
	w.admitsToken("neither has one", w.ann(unnamed), nil)
	w.admitsToken("the token has one", w.ann(nil), nil)
	w.rotate()
	w.admitsToken("the next key, too soon", w.ann(unnamed), token.ErrInvalid)
	w.later(retry)
	w.admitsToken("the next key", w.ann(unnamed), nil)
	asked := w.provider.Asked("/keys")
	for range 5 {
		w.admitsToken("a thief's", w.ann(func(t *issuertest.Token) { unnamed(t); t.Header["alg"], t.Key = "RS256", []byte("x") }), token.ErrInvalid)
	}
	if n := w.provider.Asked("/keys") - asked; n != 0 {
		t.Errorf("bad signatures had the keys fetched %d times", n)
	}
}

// Each key that is tried costs a verification: a set with many is refused.
func TestManyKeysWithoutKidAreRefused(t *testing.T) {
	t.Parallel()
	var more []any
	for i := range 9 {
		_, jwk := ed(t)
		jwk["kid"] = fmt.Sprint("e", i)
		more = append(more, jwk)
	}
	w := newWorld(t, bearing+"  algorithms: [EdDSA, ES256]\n")
	w.provider.Misbehave(issuertest.Faults{Keys: func(keys []any) []any { return append(more, keys...) }})
	private, _ := ed(t)
	w.admitsToken("one of nine", w.ann(func(t *issuertest.Token) { unnamed(t); t.Header["alg"], t.Key = "EdDSA", private }), token.ErrInvalid)
	w.admitsToken("another algorithm", w.ann(unnamed), nil)
}

func TestEdDSASignsWhenItIsListed(t *testing.T) {
	t.Parallel()
	private, jwk := ed(t)
	other, _ := ed(t)
	jwk["kid"] = "ed"
	sign := func(t *issuertest.Token) { t.Header["alg"], t.Header["kid"], t.Key = "EdDSA", "ed", private }
	for more, want := range map[string]error{"  algorithms: [EdDSA]\n": nil, "": token.ErrInvalid} {
		w := newWorld(t, bearing+more)
		w.provider.Misbehave(issuertest.Faults{Keys: func(keys []any) []any { return append(keys, jwk) }})
		w.admitsToken("listed: "+more, w.ann(sign), want)
		w.admitsToken("another's", w.ann(func(t *issuertest.Token) { sign(t); t.Key = other }), token.ErrInvalid)
	}
}

// TestReadinessTellsOfAnIssuerThatIsAway, and no more once it is back.
func TestReadinessTellsOfAnIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	if w.Away() {
		t.Error("nobody was asked yet")
	}
	w.provider.Misbehave(issuertest.Faults{Down: true})
	w.admits("away", repository.ErrUnavailable)
	if !w.Away() {
		t.Error("it is away")
	}
	w.provider.Misbehave(issuertest.Faults{})
	w.later(retry)
	w.admits("back", nil)
	if w.Away() {
		t.Error("it is back")
	}
}
