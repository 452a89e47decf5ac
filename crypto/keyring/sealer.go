package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"fmt"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

// Labels of what a Sealer derives; stored data depends on them.
const (
	labelSealer = "fieldseal/sealer/v1"
	labelMark   = "fieldseal/m1" // 12 bytes, so that it fills a block with what follows
)

// MarkBytes is the length of what Mark derives: 16 bytes of which a nonce is
// taken, 16 of commitment.
const MarkBytes = 2 * aes.BlockSize

// DigestBytes is the length of what Mark takes in, a SHA-256.
const DigestBytes = 32

// Sealer seals one class of one owner's elements under one DEK version, with
// keys that live as long as the owner's stay in memory. Safe for concurrent use.
type Sealer struct {
	aead cipher.AEAD
	mac  cipher.Block
	last [2][aes.BlockSize]byte // last block of each MAC, subkey added
}

// newSealer derives two keys from the DEK: one for AES-256-GCM, one for the
// marks. drawn takes the AEAD that draws its own nonces (SP 800-38D §8.2.2),
// with keys apart from the other's.
func newSealer(dek secret.Bytes, class uint8, drawn bool) (*Sealer, error) {
	context := []byte{class, 0}
	if drawn {
		context[1] = 1
	}
	keys := derive(dek, 2*keyBytes, labelSealer, context)
	defer keys.Wipe()
	block, err := aes.NewCipher(keys.Expose()[:keyBytes])
	if err != nil {
		return nil, fmt.Errorf("preparing a class key: %w", err)
	}
	s := &Sealer{}
	if drawn {
		s.aead, err = cipher.NewGCMWithRandomNonce(block)
	} else {
		s.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing a class key: %w", err)
	}
	if s.mac, err = aes.NewCipher(keys.Expose()[keyBytes:]); err != nil {
		return nil, fmt.Errorf("preparing a class key: %w", err)
	}
	s.prepare()
	return s, nil
}

// prepare makes the last blocks: label ‖ 0x00 ‖ i(1) ‖ L in bits(2), under
// subkey K1 of CMAC (SP 800-38B §6.1), since every input is whole blocks.
func (s *Sealer) prepare() {
	k1 := make([]byte, aes.BlockSize)
	s.mac.Encrypt(k1, k1)
	double(k1)
	for i := range s.last {
		b := append([]byte(labelMark), 0, byte(i+1), MarkBytes*8>>8, MarkBytes*8&0xFF)
		subtle.XORBytes(s.last[i][:], b, k1)
	}
}

// double multiplies by x in GF(2^128) (SP 800-38B §5.3), in constant time.
func double(b []byte) {
	carry := byte(0)
	for i := len(b) - 1; i >= 0; i-- {
		b[i], carry = b[i]<<1|carry, b[i]>>7
	}
	b[len(b)-1] ^= 0x87 & -carry
}

// AEAD is AES-256-GCM under the class's key.
func (s *Sealer) AEAD() cipher.AEAD { return s.aead }

// Mark derives what is particular to one record from its digest: SP 800-108r1
// §4.1 counter mode over AES-256-CMAC, the counter behind the context:
// block i = CMAC(key, digest ‖ label ‖ 0x00 ‖ i ‖ L). The blocks share the work
// on the digest.
func (s *Sealer) Mark(dst *[MarkBytes]byte, digest *[DigestBytes]byte) {
	one, two := dst[:aes.BlockSize], dst[aes.BlockSize:]
	s.mac.Encrypt(one, digest[:aes.BlockSize])
	subtle.XORBytes(one, one, digest[aes.BlockSize:])
	s.mac.Encrypt(two, one)
	subtle.XORBytes(one, two, s.last[0][:])
	subtle.XORBytes(two, two, s.last[1][:])
	s.mac.Encrypt(one, one)
	s.mac.Encrypt(two, two)
}

// Sealer returns the sealer of one class under one DEK version, made on first
// use; errors are those of ClassKey.
func (k *OwnerKeys) Sealer(version uint32, class uint8, drawn bool) (*Sealer, error) {
	d, err := k.find(version, class)
	if err != nil {
		return nil, err
	}
	at := &d.sealers[0][class]
	if drawn {
		at = &d.sealers[1][class]
	}
	if s := at.Load(); s != nil {
		return s, nil
	}
	s, err := newSealer(d.key, class, drawn)
	if err != nil {
		return nil, err
	}
	at.CompareAndSwap(nil, s)
	return at.Load(), nil
}
