package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
)

// published are the keys that a node publishes.
func (n *node) published() *jose.JSONWebKeySet {
	n.t.Helper()
	var set jose.JSONWebKeySet
	n.must(json.Unmarshal(n.do(httptest.NewRequest(http.MethodGet, oauth.Path+"/jwks", nil)).Body.Bytes(), &set))
	return &set
}

// signed is the key id of a fresh id_token, which some key of every node
// verifies.
func (n *node) signed(others ...*node) string {
	n.t.Helper()
	signed, err := jwt.ParseSigned(n.granted("app", "openid user/*.rs").text("id_token"), []jose.SignatureAlgorithm{jose.RS256})
	n.must(err)
	kid := signed.Headers[0].KeyID
	for _, at := range append(others, n) {
		keys := at.published().Key(kid)
		if len(keys) != 1 || signed.Claims(keys[0].Key, &jwt.Claims{}) != nil {
			n.t.Errorf("a node does not publish the key %s", kid)
		}
	}
	return kid
}

// A new key is published everywhere before it signs; the old one stays while its
// tokens live, and is gone after.
func TestSigningKeyIsReplaced(t *testing.T) {
	t.Parallel()
	s := newTables()
	n, other := open(t, s, nil), open(t, s, nil)
	n.app("app", client.Public)
	old := n.signed(other)
	if again := other.signed(n); again != old {
		t.Fatalf("two nodes have two keys: %s %s", old, again)
	}
	kid, from, err := n.RotateSigningKey(t.Context())
	n.must(err)
	if kid == old || n.signed() != old || len(n.published().Keys) != 2 {
		t.Errorf("the new key signs before others know it")
	}
	n.clock.Advance(from.Sub(n.clock.Now()) - time.Second)
	if other.signed(n) != old || len(other.published().Keys) != 2 {
		t.Error("a node did not hear of the new key")
	}
	n.clock.Advance(time.Second)
	for _, at := range []*node{n, other} {
		if got := at.signed(n, other); got != kid {
			t.Errorf("%s signs, want %s", got, kid)
		}
	}
	n.clock.Advance(10 * time.Minute) // the last token of the old key ends
	if removed, err := n.Sweep(t.Context()); err != nil || removed != 0 || len(n.published().Key(old)) != 1 {
		t.Errorf("the old key is removed too early: %d %v", removed, err)
	}
	n.clock.Advance(5*time.Minute + time.Second)
	if removed, err := other.Sweep(t.Context()); err != nil || removed != 1 {
		t.Errorf("%d %v", removed, err)
	}
	n.clock.Advance(5 * time.Second)
	for _, at := range []*node{n, other, open(t, s, nil)} {
		if keys := at.published().Keys; len(keys) != 1 || keys[0].KeyID != kid {
			t.Errorf("%d keys are published", len(keys))
		}
	}
}

// Whoever can write the table but has no key of the keystore cannot make a
// signing key.
func TestSwappedSigningKeyDoesNotOpen(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	_, _, err := n.RotateSigningKey(t.Context())
	n.must(err)
	one, err := n.table.Get(t.Context(), []byte("signing/1"))
	n.must(err)
	two, err := n.table.Get(t.Context(), []byte("signing/2"))
	n.must(err)
	if slices.Equal(one.Value, two.Value) {
		t.Fatal("one key twice")
	}
	_, err = n.table.PutIf(t.Context(), two.Key, one.Value, two.Revision)
	n.must(err)
	n.clock.Advance(time.Minute)
	if w := n.do(httptest.NewRequest(http.MethodGet, oauth.Path+"/jwks", nil)); w.Code != http.StatusInternalServerError {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
