package keyring_test

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

// plainCMAC is SP 800-38B §6.2 written out for every length.
func plainCMAC(t *testing.T, key, text []byte) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	twice := func(b []byte) []byte {
		out := make([]byte, 16)
		for i := range 16 {
			out[i] = b[i] << 1
			if i < 15 {
				out[i] |= b[i+1] >> 7
			}
		}
		if b[0]&0x80 != 0 {
			out[15] ^= 0x87
		}
		return out
	}
	l := make([]byte, 16)
	block.Encrypt(l, l)
	sub := twice(l)
	text = bytes.Clone(text)
	if len(text) == 0 || len(text)%16 != 0 {
		sub = twice(sub)
		text = append(text, 0x80)
		for len(text)%16 != 0 {
			text = append(text, 0)
		}
	}
	for i := range 16 {
		text[len(text)-16+i] ^= sub[i]
	}
	c := make([]byte, 16)
	for ; len(text) > 0; text = text[16:] {
		for i := range 16 {
			c[i] ^= text[i]
		}
		block.Encrypt(c, c)
	}
	return c
}

// TestWrittenOutCMAC: SP 800-38B, appendix D.3.
func TestWrittenOutCMAC(t *testing.T) {
	t.Parallel()
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key := unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	text := unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
	for n, want := range map[int]string{
		0: "028962f61b7bf89efc6b551f4667d983", 16: "28a7023f452e8f82bd4bf28d8c37c35c",
		40: "aaf3d8f1de5640c232f5b169b9c911e6", 64: "e1992190549f6ed5696a2c056c315410",
	} {
		if got := hex.EncodeToString(plainCMAC(t, key, text[:n])); got != want {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}

// TestMarks compares what a Sealer derives with SP 800-108r1 counter mode over
// CMAC written out, and with what the first release with it derived.
func TestMarks(t *testing.T) {
	t.Parallel()
	kinds := []bool{false, true}
	if os.Getenv("KEYRING_FIPS_CHILD") != "" {
		kinds = []bool{true} // the other is no approved service
	}
	dek := counting(32)
	lines := map[bool][]string{}
	for _, drawn := range kinds {
		for _, class := range []byte{0, 1, 8} {
			s, err := keyring.SealerOf(secret.Copy(dek), class, drawn)
			if err != nil {
				t.Fatal(err)
			}
			context := []byte{class, 0}
			if drawn {
				context[1] = 1
			}
			key := plainKDF(dek, 64, "fieldseal/sealer/v1", context)[32:]
			digest := [keyring.DigestBytes]byte(counting(64)[7:])
			var got [keyring.MarkBytes]byte
			s.Mark(&got, &digest)
			want := plainCMAC(t, key, append(digest[:], "fieldseal/m1\x00\x01\x01\x00"...))
			want = append(want, plainCMAC(t, key, append(digest[:], "fieldseal/m1\x00\x02\x01\x00"...))...)
			if !bytes.Equal(got[:], want) {
				t.Errorf("class %d: %x, written out %x", class, got, want)
			}
			lines[drawn] = append(lines[drawn], hex.EncodeToString(got[:]))
		}
	}
	if len(kinds) == 2 {
		frozen(t, "marks.txt", strings.Join(append(lines[false], lines[true]...), "\n")+"\n")
	}
}
