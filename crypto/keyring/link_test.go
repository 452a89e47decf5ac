package keyring_test

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

func TestLinkRoundTrip(t *testing.T) {
	t.Parallel()
	clock := keyringtest.NewClock()
	r := keyringtest.InitRing(t, keyring.Options{Now: clock.Now})
	text, err := r.SealLink([]byte("where to go on"), "user:a")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		plain, err := r.OpenLink(text, "user:a")
		if err != nil || string(plain) != "where to go on" {
			t.Fatalf("%q %v", plain, err)
		}
		clock.Advance(24 * time.Hour)
		if _, err := r.SealLink(nil, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// TestForeignOrAlteredLinkDoesNotOpen flips every byte, cuts, and asks with
// another bind and another tenant.
func TestForeignOrAlteredLinkDoesNotOpen(t *testing.T) {
	t.Parallel()
	r := keyringtest.NewRing(t)
	text, err := r.SealLink([]byte("position"), "user:a")
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, r *keyring.Ring, text, bind string) {
		if plain, err := r.OpenLink(text, bind); !errors.Is(err, keyring.ErrLink) || plain != nil {
			t.Errorf("%s: %q %v", what, plain, err)
		}
	}
	refused("another subject", r, text, "user:b")
	refused("another tenant", keyringtest.NewRing(t), text, "user:a")
	refused("nothing", r, "", "user:a")
	refused("no base64", r, "%%%", "user:a")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x40
		refused("flipped", r, base64.RawURLEncoding.EncodeToString(b), "user:a")
		b[i] ^= 0x40
		refused("cut", r, base64.RawURLEncoding.EncodeToString(b[:i]), "user:a")
	}
	again, err := r.SealLink([]byte("position"), "user:a")
	if err != nil || again == text {
		t.Error("two links of one position are equal")
	}
}
