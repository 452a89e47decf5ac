package keyring_test

import (
	"fmt"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
)

func TestReplacedRootKeyOpensNothingAnyMore(t *testing.T) {
	t.Parallel()
	table, old, next := keyringtest.NewTable(), kmstest.New(), kmstest.New()
	r := keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: old})
	ensure(t, r, 2)
	want := fmt.Sprint(fingerprints(t, r, 2))
	next.SetDown(true)
	wantErr(t, "new KMS down", r.ReplaceRoot(t.Context(), next), keyring.ErrUnavailable)
	if _, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: old}); err != nil {
		t.Fatalf("after a failed replacement: %v", err)
	}
	next.SetDown(false)
	if err := r.ReplaceRoot(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	_, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: old})
	wantErr(t, "old root key", err, keyring.ErrWrongKEK)
	r, err = keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: next})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(fingerprints(t, r, 2)) != want {
		t.Error("replacing the root key changed keys")
	}
}
