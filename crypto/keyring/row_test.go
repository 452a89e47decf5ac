package keyring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

func TestSealedRowOpensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	r := keyringtest.NewRing(t)
	sealed, err := r.SealRow([]byte("who it is"), "accounts", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := r.OpenRow(sealed, "accounts", []byte("a")); err != nil || string(plain) != "who it is" {
		t.Fatalf("%q %v", plain, err)
	}
	flipped := slices.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, c := range map[string]struct {
		sealed     []byte
		table, key string
	}{
		"moved to another row":   {sealed, "accounts", "b"},
		"moved to another table": {sealed, "account", "sa"},
		"flipped bit":            {flipped, "accounts", "a"},
		"cut":                    {sealed[:5], "accounts", "a"},
		"empty":                  {nil, "accounts", "a"},
	} {
		if plain, err := r.OpenRow(c.sealed, c.table, []byte(c.key)); !errors.Is(err, keyring.ErrRow) || plain != nil {
			t.Errorf("%s: %q %v", name, plain, err)
		}
	}
	other := keyringtest.NewRing(t)
	if _, err := other.OpenRow(sealed, "accounts", []byte("a")); !errors.Is(err, keyring.ErrRow) {
		t.Errorf("another keystore opens it: %v", err)
	}
}

// The key of a row is frozen: accounts are sealed with it.
func TestRowKeyIsFrozen(t *testing.T) {
	t.Parallel()
	got := keyring.RowKeyOf(secret.Copy(counting(32)), "accounts", []byte("account/1"))
	want := plainKDF(counting(32), 32, "fieldseal/table-row/v1", []byte("\x00\x00\x00\x08accounts\x00\x00\x00\x09account/1"))
	if !bytes.Equal(got.Expose(), want) {
		t.Error("the derivation is not the one that is written out")
	}
	frozen(t, "row-key.txt", hex.EncodeToString(want)+"\n")
}
