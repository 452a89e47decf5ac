package token

import (
	"crypto/sha256"
	"os"
	"reflect"
	"strings"
	"testing"
)

// frozen is the token of testdata/format/v1; it never guarded anything.
var frozen = Prefix + strings.Repeat("A", 43)

// What a release stored, every later one opens (docs/format/token.md).
func TestFrozenRowOpens(t *testing.T) {
	t.Parallel()
	value, err := os.ReadFile("testdata/format/v1/row.json")
	if err != nil {
		t.Fatal(err)
	}
	h, c, err := decode(frozen, rowKey(sha256.Sum256([]byte(frozen))), value)
	if err != nil {
		t.Fatal(err)
	}
	if h.Client != "app" || h.Account != prf("token-account", "user:dr-who") || h.Issued != 1767323045 || h.Expires != 1767323945 || h.Revoked != 0 || !reflect.DeepEqual(c, claims()) {
		t.Errorf("%+v %+v", h, c)
	}
}
